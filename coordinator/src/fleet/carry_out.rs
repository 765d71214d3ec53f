//! Carries out a recorded wish on all its nodes at once and waits until the fleet has settled one way or another.
//! Every node is driven on its own: apply, then follow its reports. A node that is away holds up nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use proto::ids::NodeName;
use proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::recorded::Recorded;
use super::snapshot::lacks_package;
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::deployment::DeploymentRecord;
use crate::domain::placement::Liveness;
use crate::domain::rollout::{self, Leaving, Observed, Wanted};
use crate::fault;
use crate::store::json::get_json;

/// How long a node that went away rests before it is tried again, while others are still being waited for.
const REDIAL: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How often it is asked whether the change still counts.
const RECALL: Duration = Duration::from_millis(500);
/// News that may queue up; each node sends one at a time.
const QUEUE: usize = 64;

/// What came of carrying out a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All that has a place is as wanted.
    Done,
    /// Only these nodes are missing, and why.
    Waiting {
        nodes: BTreeMap<NodeName, String>,
        /// Whether there are instances on others, and all of them are healthy.
        is_proven: bool,
    },
    Failed {
        reason: String,
    },
    /// The time was up before anything else could be said.
    Progressing {
        message: String,
    },
    /// Somebody wants something else of the deployment by now; that is theirs to see through.
    Superseded,
}

/// The latest of one node.
#[derive(Debug)]
enum News {
    Report(Box<v1::Report>),
    /// Cannot be reached, or not be brought what it needs; what it is to do waits for that.
    Away {
        reason: String,
    },
    /// Was reached and cannot do what is asked.
    Refused {
        reason: String,
    },
}

impl Fleet {
    /// Returns once every instance is healthy, one has failed, only absent nodes are left, or `timeout` has passed.
    pub(super) async fn carry_out(
        &self,
        recorded: &Recorded,
        timeout: Duration,
        progress: &Progress,
    ) -> Verdict {
        let limit = Limit { timeout, began: Instant::now() };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let drives = join_all(recorded.touched.iter().map(|node| self.drive(node, sender.clone(), progress)));
        tokio::select! {
            verdict = await_verdict(recorded, receiver, limit, progress) => verdict,
            () = self.until_superseded(recorded) => Verdict::Superseded,
            // Without a node to drive there is nothing to wait for.
            _ = drives => Verdict::Done,
        }
    }

    /// Ends once the store no longer has the change that was recorded. A store in trouble is no reason to give up.
    async fn until_superseded(&self, recorded: &Recorded) {
        loop {
            sleep(RECALL).await;
            let key = keys::deployment(&recorded.record.name);
            let Ok(kept) = get_json::<DeploymentRecord>(self.store.as_ref(), &key).await else { continue };
            if kept.map(|kept| kept.value.attempt) != recorded.attempt {
                return;
            }
        }
    }

    /// Applies the node's spec, then tells each of its reports; after a failure, tries again until dropped.
    async fn drive(&self, node: &NodeName, news: mpsc::Sender<(NodeName, News)>, progress: &Progress) {
        loop {
            let trouble = match self.apply(node, progress).await {
                Ok(()) => match self.follow_reports(node, &news).await {
                    // The agent may only have been restarted: applying again tells whether the node is away.
                    Ok(()) => None,
                    Err(error) if error.is_absence() => None,
                    Err(error) => Some(News::Away { reason: one_line(&error) }),
                },
                Err(error) => Some(trouble(&error)),
            };
            if let Some(trouble) = trouble {
                // Nobody listens any more once the verdict is found.
                let _ = news.send((node.clone(), trouble)).await;
            }
            sleep(REDIAL).await;
        }
    }

    /// Passes the node's reports on until the stream ends, or until the node lacks what `apply` had brought it, as
    /// when a removal came in between.
    async fn follow_reports(
        &self,
        node: &NodeName,
        news: &mpsc::Sender<(NodeName, News)>,
    ) -> Result<(), FleetError> {
        let agent = self.dial(&self.node(node).await?).await?;
        let wanted = self.wanted(node).await?.map(|kept| kept.value);
        let mut reports = agent.watch(HEARTBEAT).await?;
        while let Some(report) = reports.next().await {
            let report = report?;
            let lacks_package = lacks_package(&report, wanted.as_ref());
            let _ = news.send((node.clone(), News::Report(Box::new(report)))).await;
            fault::point("watch.reported");
            if lacks_package {
                break;
            }
        }
        Ok(())
    }
}

/// Only what a node says counts against a release. One that nobody can speak to, or that lacks what this coordinator
/// does not have for it, is no reason to take others back.
fn trouble(error: &FleetError) -> News {
    let reason = one_line(error);
    if error.is_refusal() {
        return News::Refused { reason };
    }
    match error.hint().filter(|_| !error.is_absence()) {
        Some(hint) => News::Away { reason: format!("{reason}; {hint}") },
        None => News::Away { reason },
    }
}

/// How long a change may take to become healthy.
#[derive(Clone, Copy)]
struct Limit {
    timeout: Duration,
    began: Instant,
}

impl Limit {
    /// A slow line is no fault of the release: the time counts from when the last piece of a package has arrived.
    fn end(self, progress: &Progress) -> Instant {
        let from = progress.last_moved().filter(|_| !self.timeout.is_zero());
        from.map_or(self.began, |moved| moved.max(self.began)) + self.timeout
    }
}

async fn await_verdict(
    recorded: &Recorded,
    mut news: mpsc::Receiver<(NodeName, News)>,
    limit: Limit,
    progress: &Progress,
) -> Verdict {
    let away =
        recorded.away.iter().map(|(node, reason)| (node.clone(), News::Away { reason: reason.clone() }));
    let mut seen: BTreeMap<NodeName, News> = away.collect();
    let mut told = BTreeMap::new();
    loop {
        let message = match verdict(recorded, &seen) {
            Verdict::Progressing { message } => message,
            verdict => return verdict,
        };
        match timeout_at(limit.end(progress), news.recv()).await {
            Ok(Some((node, latest))) => {
                tell_changes(&recorded.record, &node, &latest, &mut told, progress);
                seen.insert(node, latest);
            }
            Err(_) if limit.end(progress) > Instant::now() => {}
            Ok(None) | Err(_) => return Verdict::Progressing { message },
        }
    }
}

/// What can be said so far. A node that has not answered yet is neither away nor done.
fn verdict(recorded: &Recorded, seen: &BTreeMap<NodeName, News>) -> Verdict {
    let refused = seen.iter().find_map(|(node, news)| match news {
        News::Refused { reason } => Some(format!("{node}: {reason}")),
        News::Report(_) | News::Away { .. } => None,
    });
    if let Some(reason) = refused {
        return Verdict::Failed { reason };
    }
    let observed = seen.iter().map(|(node, news)| (node.clone(), observed(news))).collect();
    let so_far = rollout::assess(&wanted(&recorded.record), &leaving(recorded), &observed);
    let unheard: BTreeSet<_> =
        recorded.touched.iter().filter(|node| !seen.contains_key(node)).cloned().collect();
    match so_far.verdict {
        rollout::Verdict::Failed { instance, node, reason } => {
            Verdict::Failed { reason: format!("{instance} on {node}: {reason}") }
        }
        _ if !unheard.is_empty() => {
            let names: Vec<_> = unheard.iter().map(NodeName::as_str).collect();
            Verdict::Progressing { message: format!("{} has not answered yet", names.join(", ")) }
        }
        rollout::Verdict::Progressing => Verdict::Progressing { message: so_far.message },
        rollout::Verdict::Done => waiting_for(silent(recorded, seen), seen, true),
        rollout::Verdict::WaitingFor { nodes, .. } => {
            // Nobody who was heard is still on the way: those that are not healthy are away.
            let is_proven = so_far.instances.iter().any(|status| status.state == rollout::State::Healthy);
            waiting_for(nodes.into_iter().chain(silent(recorded, seen)).collect(), seen, is_proven)
        }
    }
}

/// Where a removal did not arrive: no instance is there, but what was kept for going back.
fn silent(recorded: &Recorded, seen: &BTreeMap<NodeName, News>) -> BTreeSet<NodeName> {
    let is_removal = recorded.attempt.is_none();
    let is_away = |node: &&NodeName| matches!(seen.get(*node), Some(News::Away { .. }));
    recorded.touched.iter().filter(|_| is_removal).filter(is_away).cloned().collect()
}

fn waiting_for(nodes: BTreeSet<NodeName>, seen: &BTreeMap<NodeName, News>, is_proven: bool) -> Verdict {
    if nodes.is_empty() {
        return Verdict::Done;
    }
    let reason = |node: &NodeName| match seen.get(node) {
        Some(News::Away { reason } | News::Refused { reason }) => reason.clone(),
        Some(News::Report(_)) | None => "does not answer".to_owned(),
    };
    let nodes = nodes.into_iter().map(|node| (node.clone(), reason(&node))).collect();
    Verdict::Waiting { nodes, is_proven }
}

fn observed(news: &News) -> Observed<'_> {
    match news {
        News::Report(report) => Observed { liveness: Liveness::Ready, report: Some(report) },
        News::Away { .. } | News::Refused { .. } => Observed { liveness: Liveness::Unknown, report: None },
    }
}

/// The instances of a deployment that have a place.
pub(super) fn wanted(record: &DeploymentRecord) -> Vec<Wanted> {
    let placements = record.current.placements.iter();
    placements
        .map(|(instance, node)| Wanted {
            instance: instance.clone(),
            node: Some(node.clone()),
            digest: record.current.wish.release.digest.clone(),
            attempt: record.attempt,
        })
        .collect()
}

fn leaving(recorded: &Recorded) -> Vec<Leaving> {
    let leaving = recorded.record.leaving.iter();
    leaving.map(|(instance, node)| Leaving { instance: instance.clone(), node: node.clone() }).collect()
}

/// Tells the listener of each phase once.
fn tell_changes(
    record: &DeploymentRecord,
    node: &NodeName,
    news: &News,
    told: &mut BTreeMap<String, (i32, String)>,
    progress: &Progress,
) {
    let News::Report(report) = news else { return };
    let ours = report.instances.iter().filter(|instance| instance.deployment == record.name.as_str());
    for instance in ours {
        let phase = (instance.phase, instance.message.clone());
        if told.insert(instance.id.clone(), phase.clone()).as_ref() != Some(&phase) {
            progress.instance(node.as_str(), instance);
        }
    }
}

/// The error with its causes, as one line.
pub(super) fn one_line(error: &FleetError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// The nodes that a settled deployment lives on.
pub(super) fn homes(record: &DeploymentRecord) -> BTreeSet<NodeName> {
    record.current.placements.values().cloned().collect()
}

#[cfg(test)]
mod tests;
