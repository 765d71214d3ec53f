//! Begins a call: written down first, then made.

use modules::effect::Effect;
use plan::run::event::{Event, Work};
use plan::step::{Call, Step, StepId, Tier};
use tokio_util::sync::CancellationToken;

use super::{Engine, Stall};
use crate::fault;
use crate::runs::execute::{Done, Errand, Outcome, Stop};
use crate::runs::look::Node;
use crate::runs::secrets;

impl Engine {
    pub(super) async fn start(
        &mut self,
        step: StepId,
        attempt: u32,
        work: Work,
        tier: Tier,
        key: String,
    ) -> Result<(), Stall> {
        self.append(Event::Started { step: step.clone(), attempt, work, tier, key }).await?;
        fault::point("step.started");
        self.call(step, attempt, work).await
    }

    /// Makes the call of an attempt that is in the journal as begun.
    pub(super) async fn call(&mut self, id: StepId, attempt: u32, work: Work) -> Result<(), Stall> {
        let Some(step) = self.step(&id).filter(|_| self.is_under_way(&id)) else { return Ok(()) };
        match self.prepare(&step, work) {
            Ok(call) => {
                let errand = self.errand(step, call, attempt, work);
                self.calls.insert((id.clone(), work), errand.stop.token.clone());
                let done = self.done.clone();
                tokio::spawn(async move {
                    let outcome = errand.run().await;
                    let _ = done.send(Done { step: id, attempt, work, outcome }).await;
                });
                Ok(())
            }
            Err(why) => {
                let outcome = Outcome::Failed(why);
                self.take(Done { step: id, attempt, work, outcome }).await
            }
        }
    }

    /// The call with its values; an undo is judged here, as nothing has judged it with them before.
    fn prepare(&self, step: &Step, work: Work) -> Result<Call, String> {
        let call = self.run.call(step, work).map_err(|error| error.to_string())?;
        if work == Work::Undo {
            let policy = &self.terms.policy;
            let node = Node { policy, own: &self.own };
            node.with(|look| self.run.may_undo(step, &call, policy, look))?;
        }
        Ok(call)
    }

    fn errand(&self, step: Step, call: Call, attempt: u32, work: Work) -> Errand {
        let effect = match (work, call.tool.effect()) {
            // What a program or an action changes is not known by its tool.
            (Work::Do, _) | (Work::Undo, Effect::Read) => step.effect,
            (Work::Undo, effect) => effect,
        };
        let stop = Stop {
            token: CancellationToken::new(),
            deadline: self.deadline(self.clock.now_ms(), step.timeout_ms),
        };
        Errand {
            runs: self.runs.clone(),
            live: self.live.clone(),
            terms: self.terms.clone(),
            own: self.own.clone(),
            redactor: secrets::redactor(&self.runs.agent, &self.terms),
            tier: self.run.tier(&step.id),
            key: self.run.key(&step),
            now_ms: self.clock.now_ms(),
            step,
            call,
            effect,
            attempt,
            work,
            stop,
        }
    }
}
