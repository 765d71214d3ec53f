//! `orchestrator node …`: list, cordon, exec, remove. How a machine joins is in `enrol.rs`.

use futures::stream::select_all;
use futures::{StreamExt as _, TryStreamExt as _};
use modules::suggest;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::node::State;

use super::observe::Observed;
use super::output::{Output, whole};
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::domain::node::NodeRecord;
use crate::domain::placement::Selector;
use crate::ssh::Contact;
use crate::store::json::{get_json, put_json};
use crate::store::{StoreError, Txn};

impl Fleet {
    /// All nodes, or the one that is named, as they are now.
    pub async fn list_nodes(&self, request: &v1::ListNodesRequest) -> Result<Vec<v1::Node>, FleetError> {
        let mut snapshot = self.recall().await?;
        if !request.name.is_empty() && !snapshot.nodes.keys().any(|name| name.as_str() == request.name) {
            return Err(no_such_node(&request.name, &snapshot));
        }
        let records = snapshot.nodes.values().map(|kept| &kept.value);
        let is_asked = |record: &&NodeRecord| request.name.is_empty() || record.name.as_str() == request.name;
        snapshot.observed = self.observe_all(records.clone().filter(is_asked)).await;
        let now = self.clock.now();
        let shown = snapshot.nodes.values().map(|kept| &kept.value).filter(is_asked);
        Ok(shown.map(|record| describe(&snapshot, record, now)).collect())
    }

    /// A cordoned node keeps what it runs and gets nothing new.
    pub async fn cordon(&self, request: &v1::CordonRequest) -> Result<v1::Node, FleetError> {
        let name = NodeName::parse(&request.node)?;
        loop {
            let Some(kept) = get_json::<NodeRecord>(self.store.as_ref(), &keys::node(&name)).await? else {
                return Err(no_such_node(&request.node, &self.recall().await?));
            };
            let record = NodeRecord { cordoned: request.cordoned, ..kept.value.clone() };
            let change = Txn {
                preconditions: vec![kept.unchanged()],
                ops: vec![put_json(kept.key.clone(), &record)?],
            };
            match self.store.commit(change).await {
                Ok(_) => break,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut nodes = self.list_nodes(&v1::ListNodesRequest { name: name.to_string() }).await?;
        nodes.pop().ok_or(FleetError::NoSuchNode { name: name.to_string(), similar: None })
    }

    /// Runs a command on the nodes that are named or selected, all at once. A node that cannot be reached is told
    /// as output on stderr with exit code 255, as ssh does.
    pub async fn exec(&self, request: &v1::FleetExecRequest) -> Result<Output, FleetError> {
        let nodes = self.chosen(&request.nodes, &request.selector).await?;
        let streams = nodes.iter().map(|node| self.exec_on(node, request));
        Ok(select_all(futures::future::join_all(streams).await).boxed())
    }

    /// The nodes that are named or selected, at least one.
    pub(super) async fn chosen(&self, names: &[String], on: &str) -> Result<Vec<NodeRecord>, FleetError> {
        let mut snapshot = self.recall().await?;
        if let Some(unknown) =
            names.iter().find(|name| !snapshot.nodes.keys().any(|node| node.as_str() == *name))
        {
            return Err(no_such_node(unknown, &snapshot));
        }
        let selector =
            Selector::parse(on).map_err(|cause| FleetError::Selector { selector: on.to_owned(), cause })?;
        if names.is_empty() && selector.is_empty() {
            let hint = "name nodes, or choose them with --on".to_owned();
            return Err(FleetError::Invalid { message: "no node is named".to_owned(), hint: Some(hint) });
        }
        // What a node offers may have changed since it joined.
        if !selector.is_empty() {
            snapshot.observed = self.observe_all(snapshot.nodes.values().map(|kept| &kept.value)).await;
        }
        let matching = super::views::placement_snapshot(&snapshot).chosen(&selector);
        let records = snapshot.nodes.into_values().map(|kept| kept.value);
        let is_chosen = |record: &NodeRecord| {
            let is_named = names.iter().any(|name| name == record.name.as_str());
            (names.is_empty() || is_named) && matching.contains(&record.name)
        };
        let chosen: Vec<_> = records.filter(is_chosen).collect();
        if chosen.is_empty() {
            let message = format!("no node matches {on}");
            let hint = Some("`orchestrator node list` shows labels and capabilities".to_owned());
            return Err(FleetError::Invalid { message, hint });
        }
        Ok(chosen)
    }

    async fn exec_on(&self, node: &NodeRecord, request: &v1::FleetExecRequest) -> Output {
        let asked = v1::ExecRequest { argv: request.argv.clone(), timeout_ms: request.timeout_ms };
        let heard = async { Ok(self.dial(node).await?.exec(asked).await?.map_err(FleetError::from)) };
        whole(node.name.to_string(), heard.await).map(Ok).boxed()
    }
}

pub(super) fn no_such_node(name: &str, snapshot: &Snapshot) -> FleetError {
    let known = snapshot.nodes.keys().map(NodeName::as_str);
    FleetError::NoSuchNode {
        name: name.to_owned(),
        similar: suggest::closest(name, known).map(str::to_owned),
    }
}

/// A node for people: what it is and, where it answers, how busy it is.
pub(super) fn describe(snapshot: &Snapshot, record: &NodeRecord, now: UnixMillis) -> v1::Node {
    let observed = snapshot.observed.get(&record.name);
    let report = observed.and_then(Observed::report);
    let (state, message) = match observed {
        Some(Observed::Unreachable(_)) if snapshot.lost.contains(&record.name) => {
            (State::Lost, "does not answer".to_owned())
        }
        Some(Observed::Unreachable(error)) if record.cordoned => {
            (State::Unknown, format!("cordoned; {error}"))
        }
        Some(Observed::Unreachable(error)) => (State::Unknown, error.to_string()),
        None => (State::Unknown, "was not asked".to_owned()),
        Some(Observed::Report { .. }) if record.cordoned => (State::Cordoned, String::new()),
        Some(Observed::Report { .. }) => (State::Ready, String::new()),
    };
    let wanted = snapshot.desired.get(&record.name).map_or(0, |kept| kept.value.instances.len());
    v1::Node {
        name: record.name.to_string(),
        address: record.address.clone(),
        state: state.into(),
        labels: record.labels.clone(),
        facts: Some(
            report
                .and_then(|report| report.facts.clone())
                .unwrap_or_else(|| super::wire::facts(&record.facts)),
        ),
        load: report.and_then(|report| report.load.clone()),
        instances: u32::try_from(report.map_or(wanted, |report| report.instances.len())).unwrap_or(u32::MAX),
        message,
        tunnelled: matches!(observed, Some(Observed::Report { is_tunnelled: true, .. })),
        ssh: match &record.contact {
            Contact::Local => String::new(),
            Contact::Ssh { destination, .. } => destination.clone(),
        },
        seen_unix_ms: report.map_or(0, |_| now),
        certificate_expires_unix: report.map_or(0, |report| report.certificate_expires_unix),
    }
}
