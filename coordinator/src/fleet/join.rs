//! `orchestrator node add` and `remove`, and the first deploy of all, which makes this machine a node.

use proto::ids::NodeName;
use proto::v1;
use proto::v1::add_node_request::{Local, Target};
use proto::v1::change::Kind;
use proto::v1::deploy_event::{Finished, Plan};
use proto::v1::node_event::Event;
use tokio::sync::mpsc::Sender;

use super::enrol::Note;
use super::enrol::authority::edit_record;
use super::record::still;
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, Progress, carry_out, keys, nodes};
use crate::domain::node::NodeRecord;
use crate::store::json::{Stored, put_json};
use crate::store::{StoreError, Txn};

/// What the first machine is called when nobody named one.
const LOCAL: &str = "local";

type Events = Sender<Result<v1::NodeEvent, FleetError>>;

impl Fleet {
    /// Makes a machine a node, or repairs the node it is; tells each step.
    pub async fn add_node(
        &self,
        request: &v1::AddNodeRequest,
        events: &Events,
    ) -> Result<v1::NodeEvent, FleetError> {
        let record = self.enrolment.add(request, &|note| tell(events, note)).await?;
        self.absences.forget(&record.name);
        // Its agent may remember more than the fleet does.
        if let Err(error) = self.apply(&record.name, &Progress::unheard()).await {
            let why = carry_out::one_line(&error);
            let told = format!("{why}; what is wanted of it is delivered by the next command that finds it");
            tell(events, Note::Warning(told));
        }
        self.finished_node(&record.name).await
    }

    /// Cleans the machine and forgets the node. What it still runs must be moved first, or be given up by force.
    pub async fn remove_node(
        &self,
        request: &v1::RemoveNodeRequest,
        events: &Events,
    ) -> Result<v1::NodeEvent, FleetError> {
        let name = NodeName::parse(&request.node)?;
        let (snapshot, kept) = self.set_apart(&name, request.force).await?;
        let leaving = nodes::describe(&snapshot, &kept, self.clock.now());
        let removed = self.enrolment.remove(&name, request.force, &|note| tell(events, note)).await;
        if removed.is_err() && !kept.cordoned {
            let let_stay = |record: &mut NodeRecord| record.cordoned = false;
            if let Err(error) = edit_record(self.store.as_ref(), &name, let_stay).await {
                let undo = format!("`orchestrator node uncordon {name}`");
                tell(events, Note::Warning(format!("it is still cordoned ({error}): {undo}")));
            }
        }
        removed?;
        Ok(v1::NodeEvent { event: Some(Event::Finished(leaving)) })
    }

    /// Cordons a node that is about to leave, so that nothing is placed on it while it is being cleaned. Gives the
    /// fleet and the node as they were.
    async fn set_apart(&self, name: &NodeName, force: bool) -> Result<(Snapshot, NodeRecord), FleetError> {
        loop {
            let snapshot = self.recall().await?;
            let Some(kept) = snapshot.nodes.get(name) else {
                return Err(nodes::no_such_node(name.as_str(), &snapshot));
            };
            let record = kept.value.clone();
            match self.store.commit(cordon_to_leave(kept, snapshot.desired.get(name), force)?).await {
                Ok(_) => return Ok((snapshot, record)),
                // Perhaps something was placed on it just now.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A fleet without nodes gets this machine as its first one, and says so.
    pub(super) async fn enrol_this_machine_if_alone(
        &self,
        request: &v1::DeployRequest,
        progress: &Progress,
    ) -> Result<(), FleetError> {
        if !enrols_this_machine(request, &self.recall().await?) {
            return Ok(());
        }
        progress.note(format!("no nodes yet: enrolling this machine as node {LOCAL}"));
        let request = v1::AddNodeRequest {
            name: LOCAL.to_owned(),
            target: Some(Target::Local(Local {})),
            ..Default::default()
        };
        self.enrolment
            .add(&request, &|note| {
                if let Note::Warning(text) = note {
                    progress.note(text);
                }
            })
            .await?;
        Ok(())
    }

    async fn finished_node(&self, name: &NodeName) -> Result<v1::NodeEvent, FleetError> {
        let mut nodes = self.list_nodes(&v1::ListNodesRequest { name: name.to_string() }).await?;
        Ok(v1::NodeEvent { event: nodes.pop().map(Event::Finished) })
    }
}

/// Whether the deploy begins with making this machine the first node.
pub(super) fn enrols_this_machine(request: &v1::DeployRequest, snapshot: &Snapshot) -> bool {
    snapshot.nodes.is_empty() && request.nodes.iter().all(|node| node == LOCAL)
}

/// The plan as it will be once this machine is a node.
pub(super) fn on_this_machine(mut plan: Plan) -> Plan {
    for change in &mut plan.changes {
        change.node = LOCAL.to_owned();
        change.kind = Kind::Start.into();
        change.to.clone_from(&plan.release);
    }
    plan
}

/// What a dry run of such a deploy ends with.
pub(super) fn would_enrol() -> Finished {
    let message = format!(
        "dry run: nothing was changed; there are no nodes yet, so this machine would become node {LOCAL} first"
    );
    Finished { outcome: v1::Outcome::Done.into(), deployment: None, message, hint: String::new() }
}

/// Whoever places something on the node at the same time has read another record or another spec, so one of both
/// has to look again.
fn cordon_to_leave(
    kept: &Stored<NodeRecord>,
    desired: Option<&Stored<v1::NodeSpec>>,
    force: bool,
) -> Result<Txn, FleetError> {
    let node = kept.value.name.clone();
    let wanted = desired.map(|kept| kept.value.instances.as_slice()).unwrap_or_default();
    if !wanted.is_empty() && !force {
        let instances = wanted.iter().map(|instance| instance.id.clone()).collect();
        return Err(FleetError::NodeInUse { node, instances });
    }
    let cordoned = put_json(kept.key.clone(), &NodeRecord { cordoned: true, ..kept.value.clone() })?;
    Ok(Txn::new().when(kept.unchanged()).when(still(keys::desired(&node), desired)).then(cordoned))
}

fn tell(events: &Events, note: Note) {
    let event = match note {
        Note::Step(text) => Event::Step(text),
        Note::Warning(text) => Event::Warning(text),
    };
    // Full or gone: the work does not wait for its audience.
    let _ = events.try_send(Ok(v1::NodeEvent { event: Some(event) }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Precondition, Revision};

    #[test]
    fn a_node_is_set_apart_only_as_it_was_seen() {
        let kept = Stored {
            key: "/nodes/attic".to_owned(),
            value: NodeRecord::sample("attic"),
            revision: Revision(3),
        };
        let unused = cordon_to_leave(&kept, None, false).expect("nothing is on it");
        let desired = keys::desired(&kept.value.name);
        assert_eq!(
            unused.preconditions,
            [kept.unchanged(), Precondition::Absent { key: desired.clone() }],
            "a deploy that writes in between is noticed"
        );
        let instances = vec![v1::InstanceSpec { id: "web/0".to_owned(), ..Default::default() }];
        let spec = v1::NodeSpec { instances, ..Default::default() };
        let used = Stored { key: desired, value: spec, revision: Revision(5) };
        let refused = cordon_to_leave(&kept, Some(&used), false);
        assert!(matches!(refused, Err(FleetError::NodeInUse { .. })), "{refused:?}");
        let forced = cordon_to_leave(&kept, Some(&used), true).expect("forced");
        assert_eq!(forced.preconditions, [kept.unchanged(), used.unchanged()]);
    }
}
