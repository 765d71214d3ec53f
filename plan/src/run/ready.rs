//! What one step of a run does next: whether it may begin, and who must be asked before.

use super::event::Work;
use super::next::{Action, Gate, Present};
use super::{Phase, Progress, Run};
use crate::reference;
use crate::step::{Step, StepId};

impl Run {
    /// What one step does next.
    pub(super) fn advance(&self, step: &Step, progress: &Progress, present: &Present<'_>) -> Option<Action> {
        let id = || step.id.clone();
        let from_ms = match progress.phase {
            Phase::Waiting { from_ms } => from_ms,
            Phase::Escalating => return Some(Action::Escalate { step: id() }),
            _ => return None,
        };
        match self.ready(step) {
            Ready::Not => return None,
            Ready::Never(why) => return Some(Action::Skip { step: id(), why }),
            Ready::Now => {}
        }
        if present.now_ms < from_ms {
            return None;
        }
        if !progress.is_cleared {
            return Some(Action::Weigh { step: id() });
        }
        let request = match (present.gate)(step) {
            Gate::Open => return Some(self.start_action(step, progress, Work::Do)),
            Gate::Shut(why) => return Some(Action::Forbid { step: id(), why }),
            Gate::Ask(request) => request,
        };
        match &progress.asked {
            Some(asked) if asked.is_same(&request) => {
                let is_approved = progress.approved == Some(asked.digest());
                if present.now_ms >= asked.expires_ms {
                    Some(Action::Expire { step: id(), request: asked.clone() })
                } else {
                    is_approved.then(|| self.start_action(step, progress, Work::Do))
                }
            }
            Some(_) | None => Some(Action::Ask { step: id(), request }),
        }
    }

    fn ready(&self, step: &Step) -> Ready {
        for need in &step.needs {
            match self.steps.get(need).map(|progress| &progress.phase) {
                Some(Phase::Succeeded | Phase::NotNeeded { .. }) => {}
                Some(Phase::Failed { .. }) => return Ready::Never(format!("{need} has failed")),
                Some(Phase::Skipped { .. }) => return Ready::Never(format!("{need} was skipped")),
                Some(_) | None => return Ready::Not,
            }
        }
        match reference::references(&step.call.args) {
            Ok(found) => match found.iter().find_map(|found| self.without_output(&found.name)) {
                Some(missing) => Ready::Never(format!("it refers to {missing}, which has no output")),
                None => Ready::Now,
            },
            Err(error) => Ready::Never(error.to_string()),
        }
    }

    /// The step behind a reference, where it was skipped.
    fn without_output(&self, name: &str) -> Option<StepId> {
        let id = StepId::parse(name.split_once('.')?.0).ok()?;
        matches!(self.steps.get(&id)?.phase, Phase::NotNeeded { .. }).then_some(id)
    }
}

/// Whether what a step needs is there.
enum Ready {
    Not,
    Now,
    Never(String),
}
