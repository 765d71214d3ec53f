//! What the fleet remembers of a run: on which nodes a plan is carried out, how far each of them is, how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use modules::digest::Digest;
use plan::rollout::State;
use plan::run::event::Ending;
use plan::step::StepId;
use proto::ids::NodeName;
use serde::{Deserialize, Serialize};

use super::deployment::Carrier;
use super::verdict::Verdict;
use crate::clock::UnixMillis;

/// The name of a run, unique in the fleet for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// Why a text is no name of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name of a run: expected {LENGTH} lower-case letters and digits")]
pub struct RunIdError {
    pub text: String,
}

const LENGTH: usize = 10;
/// Digits that nobody takes for another; 32 of them, so that a byte gives five bits evenly.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl RunId {
    /// A name out of randomness.
    pub fn of(random: &[u8; LENGTH]) -> Self {
        Self(random.iter().map(|byte| char::from(DIGITS[usize::from(byte & 31)])).collect())
    }

    /// # Errors
    /// When it could not have been made by [`RunId::of`].
    pub fn parse(text: &str) -> Result<Self, RunIdError> {
        if text.len() == LENGTH && text.bytes().all(|byte| DIGITS.contains(&byte)) {
            return Ok(Self(text.to_owned()));
        }
        Err(RunIdError { text: text.chars().take(80).collect() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;
    fn try_from(text: String) -> Result<Self, RunIdError> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.0
    }
}

/// Kept in the store under `/runs/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub id: RunId,
    pub plan: Digest,
    /// Those that the plan was for when it began.
    pub nodes: BTreeSet<NodeName>,
    pub dry_run: bool,
    /// Steps whose approvals were given beforehand, by whoever began the run.
    pub yes_to: BTreeSet<StepId>,
    pub approval_timeout_ms: u32,
    pub by: String,
    pub begun_at: UnixMillis,
    /// Who begins nodes and answers what they need.
    pub carrier: Carrier,
    pub cancelled_by: Option<String>,
    pub ended: Option<Ended>,
    /// The plan whose outcome this run looks at anew, where that is what it is for. Its own plan follows from that one.
    #[serde(default)]
    pub looks_after: Option<Digest>,
    /// The run that looks whether this one reached its goal.
    #[serde(default)]
    pub looked_at_by: Option<RunId>,
    /// Whether it did.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// The end of a run, over all its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub how: How,
    pub at: UnixMillis,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    Done,
    /// Every step ended well, and nothing that was seen afterwards shows that the goal is reached.
    Unverified {
        why: String,
    },
    /// Every step ended well, and what was seen afterwards shows that the goal is not reached.
    NotReached {
        why: String,
    },
    /// Done, although nodes failed: not more than the plan lives with.
    DoneExcept {
        failed: BTreeSet<NodeName>,
    },
    /// No further node was begun.
    Stopped {
        why: String,
    },
    Cancelled {
        by: String,
    },
    /// Every node was left out.
    NowhereDone,
}

/// How far one node of a run is. Kept in the store under `/run-nodes/<id>/<node>`; none: not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRun {
    pub node: NodeName,
    pub stage: Stage,
    pub at: UnixMillis,
    /// Of its journal and receipts, which are kept beside it once the node has ended.
    pub journal: Option<Archived>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Left out.
    Skipped {
        why: String,
    },
    /// Its agent may have it.
    Beginning,
    /// Its agent has it, and goes on by itself.
    Running,
    Ended {
        ending: Ending,
    },
    /// Its agent does not take it; nothing was done.
    Refused {
        why: String,
    },
    /// Its agent does not have it any more, or cannot read it: nobody knows what was done.
    Lost {
        why: String,
    },
}

/// How a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    pub chunks: u32,
    /// Outputs that were too large to be kept.
    pub left_out: u32,
    /// The key that the node's receipts must be signed with, as it was known when they came; hex.
    pub receipt_key: Option<String>,
}

impl Stage {
    /// As the rollout counts it.
    pub fn state(&self) -> State {
        match self {
            Stage::Skipped { .. } => State::Skipped,
            Stage::Beginning | Stage::Running => State::Running,
            Stage::Ended { ending: Ending::Done | Ending::DoneExcept { .. } } => State::Done,
            Stage::Ended { ending: Ending::Unknown { .. } } | Stage::Lost { .. } => State::Unknown,
            Stage::Ended {
                ending:
                    Ending::Failed { .. }
                    | Ending::RolledBack { .. }
                    | Ending::NotRolledBack { .. }
                    | Ending::OverBudget { .. }
                    | Ending::TimedOut
                    | Ending::Cancelled { .. },
            }
            | Stage::Refused { .. } => State::Failed,
        }
    }

    /// Nothing more comes of it.
    pub fn is_over(&self) -> bool {
        !matches!(self, Stage::Beginning | Stage::Running)
    }
}

impl RunRecord {
    /// How the run ended, if nothing of it goes on any more.
    pub fn ending(
        &self,
        nodes: &BTreeMap<NodeName, NodeRun>,
        verdict: &plan::rollout::Verdict,
    ) -> Option<How> {
        use plan::rollout::Verdict;
        if nodes.values().any(|node| !node.stage.is_over()) {
            return None;
        }
        if let Some(by) = &self.cancelled_by {
            let all_told = self.nodes.iter().all(|node| nodes.contains_key(node));
            return all_told.then(|| How::Cancelled { by: by.clone() });
        }
        match verdict {
            Verdict::GoesOn | Verdict::Waits => None,
            Verdict::Done if nodes.values().all(|node| node.stage.state() == State::Skipped) => {
                Some(How::NowhereDone)
            }
            Verdict::Done => Some(How::Done),
            Verdict::DoneExcept { failed } => {
                Some(How::DoneExcept { failed: failed.iter().cloned().collect() })
            }
            Verdict::Stopped { why, .. } => Some(How::Stopped { why: why.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use plan::rollout::Verdict;

    use super::*;

    #[test]
    fn names_of_runs_are_made_of_plain_digits_and_read_back() {
        let id = RunId::of(&[0, 31, 32, 255, 7, 8, 9, 10, 11, 12]);
        assert_eq!(id.as_str(), "0z0z789abc");
        assert_eq!(RunId::parse(id.as_str()), Ok(id));
        for text in ["", "0z0z789ab", "0z0z789ab/", "0Z0z789abc", "0z0z789abu0", "../../etc0"] {
            assert!(RunId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_run_ends_only_when_nothing_of_it_goes_on() {
        let skipped = || Stage::Skipped { why: "away".to_owned() };
        let done = || Stage::Ended { ending: Ending::Done };
        let cases = [
            (vec![done(), Stage::Running], Verdict::Done, false, "None"),
            (vec![done(), done()], Verdict::Done, false, "Some(Done)"),
            (vec![skipped(), done()], Verdict::Done, false, "Some(Done)"),
            (vec![skipped(), skipped()], Verdict::Done, false, "Some(NowhereDone)"),
            (vec![done()], Verdict::Waits, false, "None"),
            (vec![done()], Verdict::GoesOn, true, "None"),
            (vec![done(), skipped()], Verdict::GoesOn, true, "Some(Cancelled { by: \"ann\" })"),
            (vec![done(), Stage::Beginning], Verdict::GoesOn, true, "None"),
        ];
        for (stages, verdict, is_cancelled, expected) in cases {
            let record = record(is_cancelled);
            let nodes = record.nodes.iter().cloned().zip(stages);
            let nodes =
                nodes.map(|(node, stage)| (node.clone(), NodeRun { node, stage, at: 0, journal: None }));
            let got = record.ending(&nodes.collect(), &verdict);
            assert_eq!(format!("{got:?}"), expected);
        }
    }

    fn record(is_cancelled: bool) -> RunRecord {
        RunRecord {
            id: RunId::of(&[1; LENGTH]),
            plan: Digest::of(b""),
            nodes: ["a", "b"].map(|name| NodeName::parse(name).expect("a name")).into(),
            dry_run: false,
            yes_to: BTreeSet::new(),
            approval_timeout_ms: 0,
            by: String::new(),
            begun_at: 0,
            carrier: Carrier::default(),
            cancelled_by: is_cancelled.then(|| "ann".to_owned()),
            ended: None,
            looks_after: None,
            looked_at_by: None,
            verdict: None,
        }
    }
}
