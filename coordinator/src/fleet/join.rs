//! `orchestrator node add` and `remove`, and the first deploy of all, which makes this machine a node.

use proto::ids::NodeName;
use proto::v1;
use proto::v1::add_node_request::{Local, Target};
use proto::v1::change::Kind;
use proto::v1::deploy_event::{Finished, Plan};
use proto::v1::node_event::Event;
use tokio::sync::mpsc::Sender;

use super::enrol::Note;
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, Progress, keys, nodes};
use crate::store::{Op, Txn};

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
        self.finished_node(&record.name).await
    }

    /// Cleans the machine and forgets the node. What it still runs must be moved first, or be given up by force.
    pub async fn remove_node(
        &self,
        request: &v1::RemoveNodeRequest,
        events: &Events,
    ) -> Result<v1::NodeEvent, FleetError> {
        let name = NodeName::parse(&request.node)?;
        let snapshot = self.recall().await?;
        if !snapshot.nodes.contains_key(&name) {
            return Err(nodes::no_such_node(&request.node, &snapshot));
        }
        let wanted = snapshot.desired.get(&name).map(|kept| kept.value.instances.clone()).unwrap_or_default();
        if !wanted.is_empty() && !request.force {
            let instances = wanted.into_iter().map(|instance| instance.id).collect();
            return Err(FleetError::NodeInUse { node: name, instances });
        }
        let leaving =
            snapshot.nodes.get(&name).map(|kept| nodes::describe(&snapshot, &kept.value, self.clock.now()));
        self.enrolment.remove(&name, request.force, &|note| tell(events, note)).await?;
        let forget = Op::Delete { key: keys::desired(&name) };
        self.store.commit(Txn { preconditions: Vec::new(), ops: vec![forget] }).await?;
        Ok(v1::NodeEvent { event: leaving.map(Event::Finished) })
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

fn tell(events: &Events, note: Note) {
    let event = match note {
        Note::Step(text) => Event::Step(text),
        Note::Warning(text) => Event::Warning(text),
    };
    // Full or gone: the work does not wait for its audience.
    let _ = events.try_send(Ok(v1::NodeEvent { event: Some(event) }));
}
