//! Upgrading the agent: the coordinator sends a build, has it tried, and confirms it.

use std::time::Duration;

use proto::code::Code;
use proto::v1::upgrade_request::Act;
use proto::v1::{ReceiveRequest, UpgradeReply, UpgradeRequest};
use tonic::{Status, Streaming};

use crate::log;
use crate::rpc::{Rpc, receive, status};
use crate::upgrade::UpgradeError;

pub async fn receive(rpc: &Rpc, parts: Streaming<ReceiveRequest>) -> Result<(), Status> {
    rpc.upgrades.check_ready().map_err(|error| refusal(&error))?;
    receive::receive(&rpc.agent.data, receive::AGENT, parts).await
}

pub async fn upgrade(rpc: &Rpc, request: UpgradeRequest) -> Result<UpgradeReply, Status> {
    let act = request.act.ok_or_else(|| status(Code::InvalidInput, "nothing is asked for".to_owned()))?;
    let upgrades = rpc.upgrades.clone();
    // Where it is tried, no step of a plan may begin any more: its outcome would be unknown.
    let quiet = match &act {
        Act::Try(_) => Some(quiet(rpc).map_err(|error| refusal(&error))?),
        Act::Look(_) | Act::Confirm(_) => None,
    };
    let done = tokio::task::spawn_blocking(move || {
        match act {
            Act::Look(_) => {}
            Act::Try(asked) => {
                upgrades
                    .try_received(&asked.digest, Duration::from_millis(asked.confirm_within_ms.into()))?;
                // Held on until this process is another program.
                quiet.map(tokio::sync::OwnedSemaphorePermit::forget);
            }
            Act::Confirm(asked) => upgrades.confirm(&asked.digest)?,
        }
        upgrades.look()
    });
    let done = done.await.map_err(|error| status(Code::Internal, error.to_string()))?;
    done.map_err(|error| refusal(&error))
}

/// Nothing is under way that a restart would spoil.
fn quiet(rpc: &Rpc) -> Result<tokio::sync::OwnedSemaphorePermit, UpgradeError> {
    if rpc.agent.installing.try_lock().is_err() {
        return Err(UpgradeError::AtWork("installing something"));
    }
    rpc.runs.hold_calls().ok_or(UpgradeError::AtWork("carrying out a step of a plan"))
}

fn refusal(error: &UpgradeError) -> Status {
    status(error.code(), log::chain(error))
}
