//! Whether a plan reached its goal, from evidence that code collected anew (`plan::verify`). Predicates decide first; what
//! they say no to is never asked about. HIGH then may say no, too. Nothing that the executor said of itself counts.

use std::collections::BTreeMap;

use llm::tier::Tier;
use plan::plan::Plan;
use plan::run::Phase;
use plan::run::Run;
use plan::step::{StepId, Tier as StepTier};
use plan::verify::Looking;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Asker, Models};
use crate::fleet::ask::prompt;

/// What was seen when looking anew, on one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    pub checks: Vec<Check>,
    pub outputs: BTreeMap<StepId, Value>,
}

/// A step whose claims decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub step: StepId,
    pub claims: Vec<String>,
    pub holds: bool,
    /// Why not.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Achieved {
    Yes,
    No,
    /// Nothing that was seen shows it, one way or the other.
    Unknown,
}

/// Who found it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub achieved: Achieved,
    /// `code`, or the model's name.
    pub by: String,
    pub reasons: Vec<String>,
}

impl Seen {
    /// What the run of the looking plan saw.
    pub fn of(looking: &Looking, run: &Run) -> Seen {
        let steps = looking.plan.steps.iter().filter(|step| looking.decisive.contains(&step.id));
        let checks = steps.map(|step| {
            let phase = run.steps.get(&step.id).map(|progress| &progress.phase);
            let (holds, why) = match phase {
                Some(Phase::Succeeded) => (true, String::new()),
                Some(Phase::Failed { why } | Phase::NotNeeded { why } | Phase::Skipped { why }) => {
                    (false, why.clone())
                }
                Some(Phase::Unknown { why }) => (false, why.clone()),
                Some(Phase::Waiting { .. } | Phase::Running | Phase::Returned | Phase::Escalating) | None => {
                    (false, "it was not looked at".to_owned())
                }
            };
            let claims = step.success.iter().map(ToString::to_string).collect();
            Check { step: step.id.clone(), claims, holds, why }
        });
        let outputs = run.steps.iter().filter_map(|(id, progress)| Some((id.clone(), progress.out.clone()?)));
        Seen { checks: checks.collect(), outputs: outputs.collect() }
    }
}

impl Models {
    /// Judges a run of a plan from what was seen afterwards; nothing where no step of it looks.
    pub async fn verify(&self, asker: &Asker, plan: &Plan, seen: Option<&Seen>) -> Verdict {
        let Some(seen) = seen else {
            let reasons = vec!["no step of the plan looks at what it reached".to_owned()];
            return Verdict { achieved: Achieved::Unknown, by: CODE.to_owned(), reasons };
        };
        let by_code = by_code(seen);
        if by_code.achieved == Achieved::No || !self.has(Tier::High) {
            return by_code;
        }
        let outputs: BTreeMap<&str, &Value> =
            seen.outputs.iter().map(|(id, out)| (id.as_str(), out)).collect();
        let request = prompt::verify(plan, &json!(seen.checks), &json!(outputs));
        let answer = match self.ask(asker, StepTier::High, request).await {
            Ok(answer) => answer,
            Err(error) => return alone(by_code, &format!("HIGH could not be asked: {error}")),
        };
        match prompt::read_verdict(&answer.response) {
            Some(judged) => Verdict {
                achieved: if judged.achieved { Achieved::Yes } else { Achieved::No },
                by: answer.model,
                reasons: judged.reasons,
            },
            None => alone(by_code, "HIGH gave no usable verdict"),
        }
    }
}

const CODE: &str = "code";

/// What predicates say: one that does not hold is enough for a no.
fn by_code(seen: &Seen) -> Verdict {
    let verdict = |achieved, reasons| Verdict { achieved, by: CODE.to_owned(), reasons };
    let failed: Vec<String> = seen
        .checks
        .iter()
        .filter(|check| !check.holds)
        .map(|check| format!("step {}: {}", check.step, check.why))
        .collect();
    match (seen.checks.is_empty(), failed.is_empty()) {
        (true, _) => {
            verdict(Achieved::Unknown, vec!["no check of the plan looks at what it changed".to_owned()])
        }
        (false, false) => verdict(Achieved::No, failed),
        (false, true) => {
            let held = seen.checks.iter().map(|check| {
                let claims =
                    if check.claims.is_empty() { "it holds".to_owned() } else { check.claims.join(", ") };
                format!("step {}: {claims}", check.step)
            });
            let held = held.chain(["decided by its predicates alone".to_owned()]);
            verdict(Achieved::Yes, held.collect())
        }
    }
}

fn alone(by_code: Verdict, why: &str) -> Verdict {
    let mut reasons = by_code.reasons;
    reasons.push(why.to_owned());
    Verdict { reasons, ..by_code }
}
