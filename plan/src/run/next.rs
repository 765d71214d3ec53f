//! What comes next in a run.
//!
//! Every call states all that is to be done now; what was stated and is not yet in the journal is stated again.

use super::event::{Ending, Work};
use super::{MAX_REPLANS, Phase, Progress, Run, Undo};
use crate::approval::Request;
use crate::step::{OnFailure, Step, StepId, Tier};

/// Something to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// See whether the step's `when` holds; append `Cleared` or `NotNeeded`.
    Weigh {
        step: StepId,
    },
    Skip {
        step: StepId,
        why: String,
    },
    Forbid {
        step: StepId,
        why: String,
    },
    Ask {
        step: StepId,
        request: Request,
    },
    /// Nobody approved it in time.
    Expire {
        step: StepId,
        request: Request,
    },
    /// Append `Started`, sync, and make the call.
    Start {
        step: StepId,
        attempt: u32,
        work: Work,
        tier: Tier,
        key: String,
    },
    /// Look at the evidence anew and append `Checked`.
    Check {
        step: StepId,
        attempt: u32,
    },
    /// Ask a person whether it was done.
    AskUnknown {
        step: StepId,
        attempt: u32,
        work: Work,
        why: String,
    },
    Escalate {
        step: StepId,
    },
    /// A new plan for what has not run is needed.
    Replan {
        step: StepId,
        why: String,
    },
    /// Kill the whole tree of the call.
    Kill {
        step: StepId,
    },
    End {
        ending: Ending,
    },
}

/// What policy and approvals say of a step with the values it has now.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    Open,
    /// A person has to approve this.
    Ask(Request),
    Shut(String),
}

/// What holds now.
pub struct Present<'p> {
    pub now_ms: u64,
    pub gate: &'p dyn Fn(&Step) -> Gate,
    /// So many calls at once.
    pub most: usize,
}

/// What becomes of the run as a whole.
enum Course {
    GoesOn,
    /// Nothing new begins.
    Ends(Ending),
    TakesBack {
        step: StepId,
        why: String,
    },
    Replans {
        step: StepId,
        why: String,
    },
}

impl Run {
    pub fn next(&self, present: &Present<'_>) -> Vec<Action> {
        if self.ending.is_some() {
            return Vec::new();
        }
        if let Some(ending) = self.overtaken(present.now_ms) {
            return self.close(ending);
        }
        let mut actions = self.checks();
        actions.extend(self.unknowns());
        match self.course() {
            Course::GoesOn => actions.extend(self.go_on(present)),
            Course::Ends(ending) if self.is_quiet() => actions.push(Action::End { ending }),
            Course::TakesBack { step, why } if self.is_quiet() => actions.extend(self.take_back(&step, &why)),
            Course::Replans { step, why } if self.is_quiet() => actions.push(Action::Replan { step, why }),
            Course::Ends(_) | Course::TakesBack { .. } | Course::Replans { .. } => {}
        }
        actions
    }

    /// When to look again although nothing happened: a pause is over, a request expires, the time is up.
    pub fn wake_ms(&self, now_ms: u64) -> Option<u64> {
        if self.ending.is_some() {
            return None;
        }
        let end = self.begun_ms.saturating_add(self.plan.budget.wall_ms);
        let pauses = self.steps.values().filter_map(|progress| match progress.phase {
            Phase::Waiting { from_ms } if from_ms > now_ms => Some(from_ms),
            Phase::Waiting { .. } => progress.asked.as_ref().map(|asked| asked.expires_ms),
            _ => None,
        });
        pauses.chain([end]).filter(|at| *at > now_ms).min()
    }

    /// Cancelled, or out of time: what runs is killed, nothing is asked any more.
    fn overtaken(&self, now_ms: u64) -> Option<Ending> {
        match &self.cancelled_by {
            Some(by) => Some(Ending::Cancelled { by: by.clone() }),
            None if now_ms >= self.begun_ms.saturating_add(self.plan.budget.wall_ms) => {
                Some(Ending::TimedOut)
            }
            None => None,
        }
    }

    fn close(&self, ending: Ending) -> Vec<Action> {
        let running =
            |progress: &Progress| progress.phase == Phase::Running || progress.undo == Undo::Running;
        let kills: Vec<Action> = self
            .steps
            .iter()
            .filter(|(_, progress)| running(progress))
            .map(|(id, _)| Action::Kill { step: id.clone() })
            .collect();
        if !kills.is_empty() {
            return kills;
        }
        let unknown: Vec<StepId> = self
            .steps
            .iter()
            .filter(|(_, progress)| progress.is_unknown())
            .map(|(id, _)| id.clone())
            .collect();
        let ending = if unknown.is_empty() { ending } else { Ending::Unknown { steps: unknown } };
        vec![Action::End { ending }]
    }

    fn checks(&self) -> Vec<Action> {
        let returned = self.steps.iter().filter(|(_, progress)| progress.phase == Phase::Returned);
        returned
            .map(|(id, progress)| Action::Check { step: id.clone(), attempt: progress.attempts })
            .collect()
    }

    fn unknowns(&self) -> Vec<Action> {
        let ask = |id: &StepId, progress: &Progress, work, why: &str| Action::AskUnknown {
            step: id.clone(),
            attempt: progress.attempts,
            work,
            why: why.to_owned(),
        };
        let mut actions = Vec::new();
        for (id, progress) in &self.steps {
            if let Phase::Unknown { why } = &progress.phase {
                actions.push(ask(id, progress, Work::Do, why));
            }
            if let Undo::Unknown { why } = &progress.undo {
                actions.push(ask(id, progress, Work::Undo, why));
            }
        }
        actions
    }

    /// Nothing is under way and nothing waits for an answer about its outcome.
    fn is_quiet(&self) -> bool {
        !self.steps.values().any(|progress| progress.is_under_way() || progress.is_unknown())
    }

    fn course(&self) -> Course {
        let mut course = Course::GoesOn;
        for (id, progress) in &self.steps {
            let Phase::Failed { why } = &progress.phase else { continue };
            let Some(step) = self.plan.step(id) else { continue };
            let (step, why) = (step.id.clone(), why.clone());
            match self.plan.step(id).map(|step| step.on_failure).unwrap_or_default() {
                OnFailure::Rollback => return Course::TakesBack { step, why },
                OnFailure::Stop | OnFailure::Retry(_) => course = Course::Ends(Ending::Failed { step, why }),
                OnFailure::Escalate if self.replans < MAX_REPLANS => match course {
                    Course::GoesOn => course = Course::Replans { step, why },
                    Course::Ends(_) | Course::TakesBack { .. } | Course::Replans { .. } => {}
                },
                OnFailure::Escalate => {
                    let why = format!("{why}; after {MAX_REPLANS} new plans a person must decide");
                    course = Course::Ends(Ending::Failed { step, why });
                }
                OnFailure::Continue => {}
            }
        }
        course
    }

    /// Takes back one step after the other, the last begun first. One that cannot be keeps the others from nothing.
    fn take_back(&self, failed: &StepId, why: &str) -> Option<Action> {
        let mut left = String::new();
        for id in self.order.iter().rev() {
            let (Some(step), Some(progress)) = (self.plan.step(id), self.steps.get(id)) else { continue };
            if step.undo.is_none() || progress.did_nothing {
                continue;
            }
            match &progress.undo {
                Undo::Done => {}
                Undo::Failed { why } => left.push_str(&format!("; {id} could not be taken back: {why}")),
                Undo::Not => return Some(self.start_action(step, progress, Work::Undo)),
                Undo::Running | Undo::Unknown { .. } => return None,
            }
        }
        let (step, why) = (failed.clone(), format!("{why}{left}"));
        let ending = match left.is_empty() {
            true => Ending::RolledBack { step, why },
            false => Ending::NotRolledBack { step, why },
        };
        Some(Action::End { ending })
    }

    pub(super) fn start_action(&self, step: &Step, progress: &Progress, work: Work) -> Action {
        let attempt = progress.attempts + u32::from(work == Work::Do);
        Action::Start { step: step.id.clone(), attempt, work, tier: progress.tier, key: self.key(step) }
    }

    /// Steps that may begin, those that need nobody to think first.
    fn go_on(&self, present: &Present<'_>) -> Vec<Action> {
        let mut steps: Vec<(&Step, &Progress)> =
            self.plan.steps.iter().filter_map(|step| Some((step, self.steps.get(&step.id)?))).collect();
        steps.sort_by_key(|(step, progress)| (progress.tier, &step.id));
        let mut actions = Vec::new();
        let mut room = present.most.saturating_sub(self.running());
        let mut begun = self.begun;
        for (step, progress) in steps {
            let Some(action) = self.advance(step, progress, present) else { continue };
            if matches!(action, Action::Start { .. }) {
                if let Some(why) = self.over_budget(progress.tier, begun) {
                    return if self.is_quiet() {
                        vec![Action::End { ending: Ending::OverBudget { why } }]
                    } else {
                        actions
                    };
                }
                if room == 0 {
                    continue;
                }
                (room, begun) = (room - 1, begun + 1);
            }
            actions.push(action);
        }
        if actions.is_empty() && self.is_over() {
            actions.push(Action::End { ending: self.good_ending() });
        }
        actions
    }

    fn running(&self) -> usize {
        self.steps.values().filter(|progress| progress.phase == Phase::Running).count()
    }

    /// What the budget of the plan has left for models.
    pub fn tokens_left(&self) -> u64 {
        self.plan.budget.tokens.saturating_sub(self.tokens)
    }

    fn over_budget(&self, tier: Tier, begun: u32) -> Option<String> {
        let budget = &self.plan.budget;
        if begun >= budget.steps {
            return Some(format!("{begun} steps begun, the budget has {}", budget.steps));
        }
        if tier != Tier::None && self.tokens_left() == 0 {
            return Some(format!("{} tokens used, the budget has {}", self.tokens, budget.tokens));
        }
        // Who calls a model refuses what its price would not leave room for: one that is free needs no money.
        (tier != Tier::None && self.money > budget.money)
            .then(|| format!("{} spent, the budget has {}", self.money, budget.money))
    }

    fn is_over(&self) -> bool {
        let over = |phase: &Phase| match phase {
            Phase::Succeeded | Phase::Failed { .. } | Phase::NotNeeded { .. } | Phase::Skipped { .. } => true,
            Phase::Waiting { .. }
            | Phase::Running
            | Phase::Returned
            | Phase::Unknown { .. }
            | Phase::Escalating => false,
        };
        self.steps.values().all(|progress| over(&progress.phase))
    }

    fn good_ending(&self) -> Ending {
        let failed = |progress: &Progress| matches!(progress.phase, Phase::Failed { .. });
        let steps: Vec<StepId> =
            self.steps.iter().filter(|(_, progress)| failed(progress)).map(|(id, _)| id.clone()).collect();
        if steps.is_empty() { Ending::Done } else { Ending::DoneExcept { steps } }
    }
}
