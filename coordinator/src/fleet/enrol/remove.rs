//! How a node leaves: everything of ours but the volumes goes from the machine, then the fleet forgets its key.

use proto::ids::NodeName;

use crate::agents::tunnel::as_agent_user;
use crate::domain::node::NodeRecord;
use crate::fault;
use crate::fleet::enrol::{EnrolError, Enrolment, Listener, Note, install};
use crate::fleet::keys;
use crate::fleet::record::decode_spec;
use crate::ssh::HostError;
use crate::store::json::{Stored, get_json};
use crate::store::{Op, Precondition, StoreError, Txn, Versioned};

impl Enrolment {
    /// Cleans the machine and forgets the node; with `force` forgets it even where the machine cannot be reached.
    pub async fn remove(&self, name: &NodeName, force: bool, tell: Listener<'_>) -> Result<(), EnrolError> {
        let kept = self.record(name).await?;
        match self.clean(&kept.value, tell).await {
            Ok(()) => fault::point("leave.cleaned"),
            Err(cause) if force => {
                tell(Note::Warning(format!("{cause}; what it runs goes on until someone stops it there")))
            }
            Err(cause) => return Err(EnrolError::Cleanup { node: name.clone(), cause }),
        }
        self.forget(name, tell).await?;
        fault::point("leave.forgotten");
        self.agents.forget(name);
        tell(Note::Step(format!("{name} has left the fleet")));
        Ok(())
    }

    async fn record(&self, name: &NodeName) -> Result<Stored<NodeRecord>, EnrolError> {
        let found = get_json::<NodeRecord>(&*self.store, &keys::node(name)).await;
        found
            .map_err(|cause| EnrolError::Store { node: name.clone(), cause })?
            .ok_or_else(|| EnrolError::NoSuchNode { node: name.clone() })
    }

    async fn clean(&self, node: &NodeRecord, tell: Listener<'_>) -> Result<(), HostError> {
        tell(Note::Step(format!("removing the agent from {}", node.contact)));
        let host = self.hosts.get(&node.contact);
        let script = as_agent_user(node, &install::remove_script(node));
        host.run(&script, b"").await?.checked(&*host, "removing the agent")?;
        Ok(())
    }

    /// Forgets the node with all that is wanted of it, however often either changes meanwhile: its machine is clean by
    /// now. From here on nobody trusts its key.
    async fn forget(&self, name: &NodeName, tell: Listener<'_>) -> Result<(), EnrolError> {
        let failed = |cause| EnrolError::Store { node: name.clone(), cause };
        let desired = keys::desired(name);
        loop {
            let kept = match self.record(name).await {
                Ok(kept) => kept,
                Err(EnrolError::NoSuchNode { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let wanted = self.store.get(&desired).await.map_err(failed)?;
            let as_seen = match &wanted {
                Some(found) => Precondition::Unchanged { key: desired.clone(), revision: found.revision },
                None => Precondition::Absent { key: desired.clone() },
            };
            let txn = Txn::new()
                .when(kept.unchanged())
                .when(as_seen)
                .then(Op::delete(kept.key))
                .then(Op::delete(desired.clone()));
            match self.store.commit(txn).await {
                Ok(_) => {
                    tell_of_lost(wanted, &desired, tell);
                    return Ok(());
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
    }
}

/// What was to run there; with force it was known, or somebody went back to it meanwhile.
fn tell_of_lost(wanted: Option<Versioned>, key: &str, tell: Listener<'_>) {
    let Some(Ok((_, spec))) = wanted.map(|found| decode_spec(key, found)) else { return };
    let ids: Vec<_> = spec.value.instances.iter().map(|instance| instance.id.as_str()).collect();
    if !ids.is_empty() {
        let lost = format!("{} was to run there; the next command looks for another place", ids.join(", "));
        tell(Note::Warning(lost));
    }
}
