//! `orchestrator status`: the wish beside what the agents say, and nothing that was not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;
use proto::v1::deployment::Instance;

use super::observe::Observed;
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, carry_out, wire};
use crate::domain::deployment::{DeploymentRecord, Progress};
use crate::domain::placement::Liveness;
use crate::domain::rollout::{self, InstanceStatus, Observed as Seen, State, Wanted};

impl Fleet {
    /// Looks at the fleet, after a round of `reconcile`.
    pub async fn status(
        self: &Arc<Self>,
        request: &v1::StatusRequest,
    ) -> Result<Vec<v1::Deployment>, FleetError> {
        let wanted = match request.deployment.as_str() {
            "" => None,
            name => Some(DeploymentName::parse(name)?),
        };
        let snapshot = self.reconcile(&Default::default()).await?;
        if let Some(name) = &wanted
            && !snapshot.deployments.contains_key(name)
        {
            return Err(self.no_such_deployment(name, &snapshot));
        }
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let shown = records.filter(|record| wanted.as_ref().is_none_or(|name| *name == record.name));
        Ok(shown.map(|record| describe(&snapshot, record)).collect())
    }

    /// One deployment as it is now; `None` where it is gone.
    pub(super) async fn status_of(
        &self,
        name: &DeploymentName,
    ) -> Result<Option<v1::Deployment>, FleetError> {
        let mut snapshot = self.recall().await?;
        let Some(kept) = snapshot.deployments.get(name) else { return Ok(None) };
        let homes = carry_out::homes(&kept.value);
        let nodes =
            snapshot.nodes.iter().filter(|(node, _)| homes.contains(node)).map(|(_, kept)| &kept.value);
        snapshot.observed = self.observe_all(nodes).await;
        Ok(snapshot.deployments.get(name).map(|kept| describe(&snapshot, &kept.value)))
    }
}

/// A deployment for people: its wish, each instance as its node reports it, and what it all amounts to.
pub(super) fn describe(snapshot: &Snapshot, record: &DeploymentRecord) -> v1::Deployment {
    let unplaced = record.unplaced.iter().map(|id| Wanted {
        instance: id.clone(),
        node: None,
        digest: record.current.wish.release.digest.clone(),
        attempt: record.attempt,
    });
    let wanted: Vec<Wanted> = carry_out::wanted(record).into_iter().chain(unplaced).collect();
    let remembered = remembered(record);
    let seen = |node| {
        let seen = seen(snapshot, node);
        Seen { report: seen.report.or(Some(&remembered)), ..seen }
    };
    let observed = snapshot.nodes.keys().map(|node| (node.clone(), seen(node))).collect();
    let so_far = rollout::assess(&wanted, &[], &observed);
    let (state, message) = amounts_to(record, so_far.state, so_far.message);
    let (state, message) = match lingering(snapshot, record) {
        Some(lingering) if state == State::Starting && so_far.state == State::Healthy => {
            (State::Healthy, lingering)
        }
        _ => (state, message),
    };
    v1::Deployment {
        name: record.name.to_string(),
        release: Some(wire::release(&record.current.wish.release)),
        generation: record.current.generation.0,
        state: v1::deployment::State::from(state).into(),
        message,
        instances: so_far.instances.iter().map(|status| instance(snapshot, record, status)).collect(),
        replicas: Some(wire::replicas(record.current.wish.replicas)),
        explanation: Some(wire::explanation(&record.explanation)),
    }
}

/// Where what ran before may still run, when that is all that a change waits for.
fn lingering(snapshot: &Snapshot, record: &DeploymentRecord) -> Option<String> {
    let is_away = |node: &&NodeName| matches!(snapshot.observed.get(*node), Some(Observed::Unreachable(_)));
    let nodes: BTreeSet<&str> = record.leaving.values().filter(is_away).map(NodeName::as_str).collect();
    let nodes: Vec<&str> = nodes.into_iter().collect();
    let is_all = record.is_proven && record.leaving.values().all(|node| is_away(&node));
    (is_all && !nodes.is_empty())
        .then(|| format!("an instance may still run on {} until it can be reached", nodes.join(", ")))
}

/// What every node had reported when the change was settled: none of it waits for a node that has gone since.
fn remembered(record: &DeploymentRecord) -> v1::Report {
    let taken = match record.progress {
        Progress::Settled => &record.current.placements,
        Progress::Rolling | Progress::RolledBack { .. } | Progress::Failed { .. } => &BTreeMap::new(),
    };
    let report = |id: &InstanceId| v1::InstanceReport {
        id: id.to_string(),
        attempt: record.attempt,
        ..Default::default()
    };
    v1::Report { instances: taken.keys().map(report).collect(), ..Default::default() }
}

fn seen<'a>(snapshot: &'a Snapshot, node: &NodeName) -> Seen<'a> {
    let liveness = match snapshot.observed.get(node) {
        Some(Observed::Report { .. }) => Liveness::Ready,
        _ if snapshot.lost.contains(node) => Liveness::Lost,
        Some(Observed::Unreachable(_)) | None => Liveness::Unknown,
    };
    Seen { liveness, report: snapshot.report(node) }
}

fn instance(snapshot: &Snapshot, record: &DeploymentRecord, status: &InstanceStatus) -> Instance {
    let report = status.node.as_ref().and_then(|node| snapshot.report(node));
    let id = status.instance.to_string();
    let none = v1::InstanceReport::default();
    let report = report.and_then(|report| report.instances.iter().find(|one| one.id == id)).unwrap_or(&none);
    let node = status.node.as_ref().and_then(|node| snapshot.nodes.get(node));
    let address = node.map(|kept| kept.value.address.as_str()).unwrap_or_default();
    Instance {
        id,
        node: status.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        release: report.release.clone().or_else(|| Some(wire::release(&record.current.wish.release))),
        state: v1::deployment::State::from(status.state).into(),
        message: message(record, status),
        since_unix_ms: report.since_unix_ms,
        urls: wire::urls(address, report),
        restarts: report.restarts,
        memory_bytes: report.memory_bytes,
        cpu_cores: report.cpu_cores,
    }
}

/// Whoever waits to see it start elsewhere is told why it does not.
fn message(record: &DeploymentRecord, status: &InstanceStatus) -> String {
    let is_away = matches!(status.state, State::Unknown | State::Lost);
    match is_away && record.footprint.keeps_data {
        true => format!("{}; it stays there, where its data is", status.message),
        false => status.message.clone(),
    }
}

/// The state of the whole: that of its instances, and what became of its last change.
fn amounts_to(record: &DeploymentRecord, state: State, message: String) -> (State, String) {
    match (&record.progress, state) {
        (Progress::RolledBack { failed, reason }, State::Healthy) => {
            (State::RolledBack, format!("{} failed: {reason}", failed.version))
        }
        (Progress::RolledBack { failed, .. }, other) => {
            (other, format!("going back from {}: {message}", failed.version))
        }
        (Progress::Failed { reason }, _) => (State::Failed, reason.clone()),
        (Progress::Rolling, State::Healthy) => (State::Starting, "the change is being concluded".to_owned()),
        (Progress::Rolling | Progress::Settled, other) => (other, message),
    }
}
