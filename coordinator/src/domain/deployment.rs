//! What the fleet remembers of a deployment: the wish, where it was placed and why, and how its last change went.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, Generation, InstanceId, NodeName};
use serde::{Deserialize, Serialize};

use super::placement::{Explanation, HostPort, Replicas};
use crate::clock::UnixMillis;

/// An immutable module release, as records name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub module: String,
    pub version: String,
    /// `sha256:…` of the package.
    pub digest: String,
}

/// One version of a secret; the value is resolved only when a node's spec is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRef {
    pub name: String,
    pub version: u64,
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub release: Release,
    pub replicas: Replicas,
    /// Only these nodes; empty: any.
    pub nodes: Vec<NodeName>,
    /// As written: `arch=aarch64,room=attic`.
    pub selector: String,
    /// Only what was set; defaults come from the release.
    pub config: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, SecretRef>,
    /// Grows with each `restart`.
    pub restart: u64,
}

impl Wish {
    /// Whether an instance of `other` runs just as one of `self`, however many there are and wherever.
    pub fn runs_as(&self, other: &Wish) -> bool {
        self.release == other.release
            && self.config == other.config
            && self.secrets == other.secrets
            && self.restart == other.restart
    }
}

/// A wish with its places: enough to go back to it exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub generation: Generation,
    pub wish: Wish,
    pub placements: BTreeMap<InstanceId, NodeName>,
}

impl Placed {
    /// Instances that are wanted and found no place.
    pub fn unplaced(&self) -> BTreeSet<InstanceId> {
        let (Some(first), Replicas::Count(count)) = (self.placements.keys().next(), self.wish.replicas)
        else {
            return BTreeSet::new();
        };
        let missing = (count as usize).saturating_sub(self.placements.len());
        let ids = (0..).map(|index| InstanceId { deployment: first.deployment.clone(), index });
        ids.filter(|id| !self.placements.contains_key(id)).take(missing).collect()
    }
}

/// How the last change of a deployment went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Progress {
    /// On its way; whoever comes next carries it on.
    Rolling,
    /// Every instance that could be reached was healthy.
    Settled,
    /// `failed` did not become healthy; what ran before is wanted again.
    RolledBack { failed: Release, reason: String },
    /// It did not become healthy and there was nothing to go back to.
    Failed { reason: String },
}

/// Kept in the store under `/deployments/<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    pub name: DeploymentName,
    pub current: Placed,
    /// The last wish that was healthy wherever it could be reached, unless it is `current`.
    pub previous: Option<Placed>,
    pub progress: Progress,
    /// Whether a change that still waits for nodes was healthy wherever it could be reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_proven: bool,
    /// Instances that fit nowhere now; they are placed when capacity comes.
    pub unplaced: BTreeSet<InstanceId>,
    /// Where instances were before the last change and may still run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<InstanceId, NodeName>,
    /// Names the deploy, rollback or restart that is being carried out: agents try a failed release again in a new one.
    pub attempt: u64,
    pub explanation: Explanation,
    pub footprint: Footprint,
    /// Who carries out the last change.
    pub carrier: Carrier,
    pub changed_at: UnixMillis,
}

impl DeploymentRecord {
    /// Whether a change, or the way back from it, was recorded and not yet concluded.
    pub fn is_under_way(&self) -> bool {
        match self.progress {
            Progress::Rolling => true,
            Progress::RolledBack { .. } => self.carrier != Carrier::default(),
            Progress::Settled | Progress::Failed { .. } => false,
        }
    }

    /// What to go back to when the next wish fails: the last one that was healthy wherever it could be reached. A node
    /// that is away must not make it an older one.
    pub fn last_good(&self) -> Option<&Placed> {
        match self.progress {
            Progress::Settled | Progress::RolledBack { .. } => Some(&self.current),
            Progress::Rolling if self.is_proven => Some(&self.current),
            Progress::Rolling | Progress::Failed { .. } => self.previous.as_ref(),
        }
    }

    /// The same, where the next wish and its places are known: the very same once more has behind it what this one had.
    pub fn good_before(&self, next: &Wish, places: &BTreeMap<InstanceId, NodeName>) -> Option<&Placed> {
        let is_the_same = self.current.wish == *next && self.current.placements == *places;
        let is_waited_for = self.progress == Progress::Rolling;
        if is_waited_for && is_the_same { self.previous.as_ref() } else { self.last_good() }
    }

    /// Whether what it is now is what it is to be, wherever it can be reached.
    pub fn is_calm(&self) -> bool {
        match self.progress {
            Progress::Rolling => self.is_proven,
            Progress::Settled | Progress::RolledBack { .. } => !self.is_under_way(),
            Progress::Failed { .. } => false,
        }
    }
}

/// One coordinator process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Carrier {
    pub host: String,
    /// One run of a machine: many have the same name, and images of one card the same id. Empty in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot: String,
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`: tells a process from a later one with its number.
    pub started: u64,
}

/// What each instance takes of its node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Footprint {
    pub cpu_cores: f64,
    pub memory_bytes: u64,
    /// Ports of the node that are not picked by it.
    pub ports: Vec<HostPort>,
    /// Whether it has folders there that are kept for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_data: bool,
}

/// What was done to a deployment, for `history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Deploy,
    Rollback,
    Restart,
    Move,
    Remove,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deploy => "deploy",
            Action::Rollback => "rollback",
            Action::Restart => "restart",
            Action::Move => "move",
            Action::Remove => "remove",
        }
    }
}

/// Kept in the store under `/history/<deployment>/<generation>`. With `placed` a rollback can return to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    pub action: Action,
    pub placed: Placed,
    /// `None` while it is being carried out.
    pub outcome: Option<Outcome>,
    pub by: String,
    pub started_at: UnixMillis,
}

impl HistoryEntry {
    /// Whether it was healthy wherever it could be reached, so that it may be gone back to.
    pub fn was_healthy(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| match outcome.word {
            OutcomeWord::Healthy => true,
            OutcomeWord::Waiting => outcome.is_proven,
            OutcomeWord::Failed | OutcomeWord::RolledBack | OutcomeWord::Removed => false,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub word: OutcomeWord,
    pub message: String,
    pub at: UnixMillis,
    /// Of one that waits: whether it was healthy wherever it could be reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_proven: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeWord {
    Healthy,
    Failed,
    RolledBack,
    Waiting,
    Removed,
}

impl OutcomeWord {
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeWord::Healthy => "healthy",
            OutcomeWord::Failed => "failed",
            OutcomeWord::RolledBack => "rolled_back",
            OutcomeWord::Waiting => "waiting",
            OutcomeWord::Removed => "removed",
        }
    }
}

#[cfg(test)]
impl DeploymentRecord {
    /// A deployment for tests that look at nothing but what they set themselves: one release of the module of its name,
    /// settled where it is.
    pub fn sample(name: &str, version: &str, places: &[(&str, &str)]) -> Self {
        let release = Release {
            module: name.to_owned(),
            version: version.to_owned(),
            digest: format!("sha256:{version}"),
        };
        let wish = Wish {
            release,
            replicas: Replicas::Count(1),
            nodes: Vec::new(),
            selector: String::new(),
            config: BTreeMap::new(),
            secrets: BTreeMap::new(),
            restart: 0,
        };
        let place = |(id, node): &(&str, &str)| {
            (InstanceId::parse(id).expect("an id"), NodeName::parse(node).expect("a name"))
        };
        let placements = places.iter().map(place).collect();
        Self {
            name: DeploymentName::parse(name).expect("a name"),
            current: Placed { generation: Generation(1), wish, placements },
            previous: None,
            progress: Progress::Settled,
            is_proven: false,
            unplaced: BTreeSet::new(),
            leaving: BTreeMap::new(),
            attempt: 1,
            explanation: Explanation::default(),
            footprint: Footprint::default(),
            carrier: Carrier::default(),
            changed_at: 0,
        }
    }
}

#[cfg(test)]
mod tests;
