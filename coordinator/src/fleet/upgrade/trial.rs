//! A build on trial: met over a connection of its own, looked at, and confirmed. Whatever fails here is tried again until
//! the trial is over; then the former agent is back and tells why.

use std::time::Duration;

use proto::v1;
use proto::v1::upgrade_request::{Act, Confirm, Look};
use tokio::time::{Instant, sleep, timeout_at};

use super::survey::Ready;
use crate::agents::AgentError;
use crate::domain::upgrade::{Over, Trial, is_sound, trial};
use crate::fault;
use crate::fleet::Fleet;

/// How long after the trial the former agent may take to be back.
const RETURN: Duration = Duration::from_secs(15);
/// One try to meet the agent, SSH detours included.
const ATTEMPT: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(50);

/// What came of watching.
pub(super) enum Watched {
    Over(Over),
    Silent(String),
}

impl Fleet {
    pub(super) async fn confirm_trial(&self, node: &Ready, before: &v1::Report, within: Duration) -> Watched {
        let deadline = Instant::now() + within + RETURN;
        loop {
            let end = deadline.min(Instant::now() + ATTEMPT);
            let why = match timeout_at(end, self.meet(node, before)).await {
                Ok(Ok(Trial::Over(over))) => return Watched::Over(over),
                Ok(Ok(Trial::Awaited)) => "it has not restarted".to_owned(),
                Ok(Ok(Trial::Running)) => "what ran before is not healthy under it".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no connection".to_owned(),
            };
            if Instant::now() >= deadline {
                return Watched::Silent(why);
            }
            tracing::debug!(node = %node.record.name, why, "not confirmed yet");
            sleep(PAUSE).await;
        }
    }

    /// A new connection each time: that the node can be reached anew is what is to be shown.
    async fn meet(&self, node: &Ready, before: &v1::Report) -> Result<Trial, AgentError> {
        self.agents.forget(&node.record.name);
        let agent = self.agents.dial(&node.record).await?;
        let found = trial(&agent.upgrade(Act::Look(Look {})).await?, &node.digest());
        if found != Trial::Running {
            return Ok(found);
        }
        fault::point("upgrade.met");
        while !is_sound(before, &agent.observe().await?) {
            sleep(PAUSE).await;
        }
        let confirmed = agent.upgrade(Act::Confirm(Confirm { digest: node.digest() })).await?;
        fault::point("upgrade.confirmed");
        Ok(trial(&confirmed, &node.digest()))
    }
}
