//! Does one thing that comes next.

use std::collections::BTreeMap;

use plan::predicate::{Predicate, Probe};
use plan::run::event::{Ending, Event, Work};
use plan::run::{Action, Phase, Run, Undo};
use plan::step::{Step, StepId};
use plan::tool::{Kind, Tool};
use proto::v1::{Need, need};

use super::{Engine, Stall};
use crate::runs::execute::probe;
use crate::runs::live::{Input, Reply};

impl Engine {
    pub(super) async fn do_one(&mut self, action: Action) -> Result<(), Stall> {
        match action {
            Action::Weigh { step } => {
                let Some(step) = self.step(&step) else { return Ok(()) };
                let seen = self.look_at(&step.when).await;
                self.append(self.run.weigh(&step, &seen)).await
            }
            Action::Check { step, .. } => {
                let Some(step) = self.step(&step) else { return Ok(()) };
                let seen = self.look_at(&step.success).await;
                self.append(self.run.check(&step, &seen)).await
            }
            Action::Skip { step, why } => self.append(Event::Skipped { step, why }).await,
            Action::Forbid { step, why } => self.append(Event::Forbidden { step, why }).await,
            Action::Ask { step, request } => match self.told_only(&step) {
                Some(_) => {
                    let why = format!("dry run: would ask a person for {}", request.shown);
                    self.append(Event::NotNeeded { step, why }).await
                }
                None => self.append(Event::Asked { step, request }).await,
            },
            Action::Expire { step, request } => {
                self.append(Event::Expired { step, request: request.digest() }).await
            }
            Action::Escalate { step } => self.append(Event::Escalated { step }).await,
            Action::Start { step, work: Work::Undo, .. } if self.terms.is_dry => {
                self.append(Event::Ended { ending: self.told_undo(&step) }).await
            }
            Action::Start { step, attempt, work, tier, key } => match self.told_only(&step) {
                Some(shown) => {
                    let why = format!("dry run: would do {shown}");
                    self.append(Event::NotNeeded { step, why }).await
                }
                None => self.start(step, attempt, work, tier, key).await,
            },
            Action::Kill { step } => {
                for (_, call) in self.calls.iter().filter(|((id, _), _)| *id == step) {
                    call.cancel();
                }
                Ok(())
            }
            // It is in the journal, where whoever follows sees it.
            Action::AskUnknown { .. } => Ok(()),
            Action::Replan { step, why } => {
                self.need_replan(&step, why);
                Ok(())
            }
            Action::End { ending } => self.append(Event::Ended { ending }).await,
        }
    }

    pub(super) fn step(&self, id: &StepId) -> Option<Step> {
        self.run.plan.step(id).cloned()
    }

    async fn look_at(&self, predicates: &[Predicate]) -> BTreeMap<Probe, bool> {
        probe::look(Run::probes(predicates)).await
    }

    /// In a dry run: what is told of a step instead of doing it. What looks at the outcome of such a step has nothing
    /// to look at either.
    fn told_only(&self, id: &StepId) -> Option<String> {
        let step = self.run.plan.step(id).filter(|_| self.terms.is_dry)?;
        let only_looks = step.effect == modules::effect::Effect::Read
            && matches!(
                step.call.tool.kind(),
                Kind::Collect | Kind::File | Kind::Verify | Kind::Exec | Kind::Service
            )
            || step.call.tool == Tool::HttpGet;
        let was_told = |id: &StepId| {
            let phase = self.run.steps.get(id).map(|progress| &progress.phase);
            matches!(phase, Some(Phase::NotNeeded { why }) if why.starts_with("dry run:"))
        };
        let follows = self.run.plan.ancestors(id).iter().any(was_told);
        if only_looks && !follows {
            return None;
        }
        let call = self.run.call(step, Work::Do).unwrap_or_else(|_| step.call.clone());
        Some(plan::approval::shown(&call))
    }

    /// A dry run takes nothing back: it ends where it would begin to.
    fn told_undo(&self, id: &StepId) -> Ending {
        let call = self.run.plan.step(id).map(|step| {
            let raw = step.undo.clone().unwrap_or_else(|| step.call.clone());
            plan::approval::shown(&self.run.call(step, Work::Undo).unwrap_or(raw))
        });
        let failed = self.run.steps.iter().find_map(|(id, progress)| match &progress.phase {
            Phase::Failed { why } => Some((id.clone(), why.clone())),
            _ => None,
        });
        let (step, why) = failed.unwrap_or_else(|| (id.clone(), String::new()));
        let why = format!("{why}; dry run: would take back {id} by {}", call.unwrap_or_default());
        Ending::Failed { step, why }
    }

    /// What was under way when the agent ended: calls that only the outside answers are waited for again, all others have
    /// an unknown outcome.
    pub(super) async fn recover(&mut self) -> Result<(), Stall> {
        for event in self.run.recover() {
            let Event::Unknown { step, attempt, work: Work::Do, .. } = &event else {
                self.append(event).await?;
                continue;
            };
            let tool = self.run.plan.step(step).map(|step| step.call.tool);
            if tool.is_some_and(is_answered_outside) {
                let (step, attempt) = (step.clone(), *attempt);
                self.call(step, attempt, Work::Do).await?;
            } else {
                self.append(event).await?;
            }
        }
        Ok(())
    }

    /// Something waits for its end.
    pub(super) fn is_under_way(&self, step: &StepId) -> bool {
        self.run
            .steps
            .get(step)
            .is_some_and(|progress| progress.phase == Phase::Running || progress.undo == Undo::Running)
    }

    fn need_replan(&mut self, step: &StepId, why: String) {
        let id = format!("replan-{}", self.run.replans + 1);
        if self.replan.is_some() {
            return;
        }
        let outputs: BTreeMap<&str, _> =
            self.run.outputs().into_iter().map(|(id, out)| (id.as_str(), out)).collect();
        let evidence_json = serde_json::to_string(&outputs).unwrap_or_default();
        let need = need::Need::Replan(need::Replan { why, evidence_json });
        let need = Need { id: id.clone(), step: step.to_string(), need: Some(need) };
        let reply = self.live.open_need(need);
        self.replan = Some(id.clone());
        // Comes back as an input of its own, so that there is one way by which answers are taken.
        let live = self.live.clone();
        tokio::spawn(async move {
            if let Ok(reply @ Reply::Replan(_)) = reply.await {
                live.hand_in(Input::Reply { need: id, reply }).await;
            }
        });
    }
}

/// Whether the effect of a call is made by somebody outside, who recognises a second delivery by its key.
fn is_answered_outside(tool: Tool) -> bool {
    matches!(
        tool,
        Tool::ModuleDeploy | Tool::ModuleRestart | Tool::ModuleRollback | Tool::ModuleRemove | Tool::HumanAsk
    )
}
