//! Upgrading the agent: the coordinator sends a build, has it tried, and confirms it.

use std::time::Duration;

use proto::code::Code;
use proto::v1::upgrade_request::Act;
use proto::v1::{ReceiveRequest, UpgradeReply, UpgradeRequest};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, Streaming};

use crate::log;
use crate::rpc::{Rpc, receive, status};
use crate::upgrade::UpgradeError;

pub async fn receive(rpc: &Rpc, parts: Streaming<ReceiveRequest>) -> Result<(), Status> {
    rpc.upgrades.check_ready().map_err(|error| refusal(&error))?;
    let received = receive::receive(&rpc.agent.data, receive::AGENT, parts).await;
    if received.is_err() {
        // The command may have been killed before it could do so.
        rpc.upgrades.sweep();
    }
    received
}

pub async fn upgrade(rpc: &Rpc, request: UpgradeRequest) -> Result<UpgradeReply, Status> {
    let act = request.act.ok_or_else(|| status(Code::InvalidInput, "nothing is asked for".to_owned()))?;
    let upgrades = rpc.upgrades.clone();
    // Where it is tried, no step of a plan may begin any more: its outcome would be unknown.
    let quiet = match &act {
        Act::Try(_) => Some(quiet(rpc).map_err(|error| {
            upgrades.forget_received();
            refusal(&error)
        })?),
        Act::Look(_) | Act::Confirm(_) => None,
    };
    let done = tokio::task::spawn_blocking(move || {
        match act {
            Act::Look(_) => {}
            Act::Try(asked) => {
                let within = Duration::from_millis(asked.confirm_within_ms.into());
                if let (true, Some(quiet)) = (upgrades.try_received(&asked.digest, within)?, quiet) {
                    // Until this process is another program.
                    quiet.forget();
                }
            }
            Act::Confirm(asked) => upgrades.confirm(&asked.digest)?,
        }
        upgrades.look()
    });
    let done = done.await.map_err(|error| status(Code::Internal, error.to_string()))?;
    done.map_err(|error| refusal(&error))
}

/// Nothing is under way that a restart would spoil.
fn quiet(rpc: &Rpc) -> Result<OwnedSemaphorePermit, UpgradeError> {
    if rpc.agent.installing.try_lock().is_err() {
        return Err(UpgradeError::AtWork("installing something"));
    }
    rpc.runs.hold_calls().ok_or(UpgradeError::AtWork("carrying out a step of a plan"))
}

fn refusal(error: &UpgradeError) -> Status {
    status(error.code(), log::chain(error))
}
