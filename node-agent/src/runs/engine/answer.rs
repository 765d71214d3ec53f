//! Takes what somebody outside says. An answer that fits nothing any more is dropped: the first one counted.

use modules::digest::Digest;
use plan::plan::Plan;
use plan::run::event::{Ending, Event, Record};
use plan::step::StepId;
use plan::validate::{self, Surroundings};

use super::{Engine, Stall};
use crate::runs::live::{Input, Reply};

impl Engine {
    pub(super) async fn answer(&mut self, input: Input) -> Result<(), Stall> {
        match input {
            Input::Approval { step, request, approved, by } => {
                let event = match approved {
                    true => Event::Approved { step, request, by },
                    false => Event::Denied { step, request, by },
                };
                self.append_if_it_fits(event).await
            }
            Input::Unknown { step, attempt, work, answer, by } => {
                self.append_if_it_fits(Event::Answered { step, attempt, work, answer, by }).await
            }
            Input::Cancel { by } if self.run.cancelled_by.is_none() => {
                self.append_if_it_fits(Event::Cancelled { by }).await
            }
            Input::Cancel { .. } => Ok(()),
            Input::Reply { need, reply: Reply::Replan(answer) } => self.replan(&need, answer).await,
            Input::Reply { need, reply } => self.pass_on(&need, reply).await,
        }
    }

    /// What was spent is written down before the answer is used.
    async fn pass_on(&mut self, need: &str, reply: Reply) -> Result<(), Stall> {
        let Some(open) = self.live.need(need) else { return Ok(()) };
        if let (Reply::Model { tokens, money, .. }, Ok(step)) = (&reply, StepId::parse(&open.step)) {
            self.append(Event::Spent { step, tokens: *tokens, money: *money }).await?;
        }
        self.live.reply(need, reply);
        Ok(())
    }

    async fn replan(&mut self, need: &str, answer: Result<(String, String), String>) -> Result<(), Stall> {
        if self.replan.as_deref() != Some(need) {
            return Ok(());
        }
        let Some(step) = self.live.need(need).and_then(|need| StepId::parse(&need.step).ok()) else {
            return Ok(());
        };
        self.live.withdraw(need);
        self.replan = None;
        let event = answer.and_then(|(json, hash)| self.replanned(json, &hash));
        let event = event.unwrap_or_else(|why| Event::Ended { ending: Ending::Failed { step, why } });
        self.append(event).await
    }

    /// The new plan, if it holds together and fits what has run.
    fn replanned(&self, json: String, hash: &str) -> Result<Event, String> {
        let wrong = |why: String| format!("the new plan does not do: {why}");
        let hash = Digest::parse(hash).map_err(|error| wrong(error.to_string()))?;
        let plan = Plan::from_canonical(json.as_bytes(), &hash).map_err(|error| wrong(error.to_string()))?;
        validate::validate(&plan, &Surroundings::default()).map_err(|faults| wrong(faults.to_string()))?;
        let event = Event::Replanned { plan: json, hash };
        self.fits(&event).map_err(|error| wrong(error.to_string()))?;
        Ok(event)
    }

    fn fits(&self, event: &Event) -> Result<(), plan::run::RunError> {
        self.run.clone().apply(&Record { at_ms: self.clock.now_ms(), event: event.clone() })
    }

    async fn append_if_it_fits(&mut self, event: Event) -> Result<(), Stall> {
        match self.fits(&event) {
            Ok(()) => self.append(event).await,
            Err(error) => {
                tracing::warn!(run = %self.live.id, %error, "an answer fits nothing, it is dropped");
                Ok(())
            }
        }
    }
}
