//! Whether a run reached its goal, from what code looked at anew (`plan::verify`). Predicates decide first; nothing that
//! the executor said of itself counts.

use std::collections::BTreeMap;

use modules::effect::Effect;
use plan::plan::Plan;
use plan::run::{Phase, Run};
use plan::step::StepId;
use plan::verify::Looking;
use proto::ids::NodeName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::runs::How;

/// Whoever decides by predicates alone.
pub const CODE: &str = "code";

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

impl Achieved {
    pub fn as_str(self) -> &'static str {
        match self {
            Achieved::Yes => "yes",
            Achieved::No => "no",
            Achieved::Unknown => "unknown",
        }
    }
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
    /// What the run of the looking plan saw. A check whose `when` does not hold is none.
    pub fn of(looking: &Looking, run: &Run) -> Seen {
        let steps = looking.plan.steps.iter().filter(|step| looking.decisive.contains(&step.id));
        let checks = steps.filter_map(|step| {
            let phase = run.steps.get(&step.id).map(|progress| &progress.phase);
            let (holds, why) = match phase {
                Some(Phase::NotNeeded { .. }) => return None,
                Some(Phase::Succeeded) => (true, String::new()),
                Some(Phase::Failed { why } | Phase::Skipped { why } | Phase::Unknown { why }) => {
                    (false, why.clone())
                }
                Some(Phase::Waiting { .. } | Phase::Running | Phase::Returned | Phase::Escalating) | None => {
                    (false, "it was not looked at".to_owned())
                }
            };
            let claims = step.success.iter().map(ToString::to_string).collect();
            Some(Check { step: step.id.clone(), claims, holds, why })
        });
        let outputs = run.steps.iter().filter_map(|(id, progress)| Some((id.clone(), progress.out.clone()?)));
        Seen { checks: checks.collect(), outputs: outputs.collect() }
    }
}

impl Verdict {
    pub fn unknown(reason: &str) -> Verdict {
        Verdict { achieved: Achieved::Unknown, by: CODE.to_owned(), reasons: vec![reason.to_owned()] }
    }

    /// What predicates say: one that does not hold anywhere is enough for a no, and a yes takes one that holds on each
    /// node.
    pub fn by_code(seen: &BTreeMap<NodeName, Seen>) -> Verdict {
        let verdict = |achieved, reasons| Verdict { achieved, by: CODE.to_owned(), reasons };
        let checks =
            || seen.iter().flat_map(|(node, seen)| seen.checks.iter().map(move |check| (node, check)));
        let failed: Vec<String> = checks()
            .filter(|(_, check)| !check.holds)
            .map(|(node, check)| format!("{node}: step {}: {}", check.step, check.why))
            .collect();
        if !failed.is_empty() {
            return verdict(Achieved::No, failed);
        }
        let unseen: Vec<String> = seen
            .iter()
            .filter(|(_, seen)| seen.checks.is_empty())
            .map(|(node, _)| format!("{node}: no check of the plan looks at what it changed there"))
            .collect();
        if !unseen.is_empty() || seen.is_empty() {
            return verdict(Achieved::Unknown, unseen);
        }
        let held = checks().map(|(node, check)| {
            let claims =
                if check.claims.is_empty() { "it holds".to_owned() } else { check.claims.join(", ") };
            format!("{node}: step {}: {claims}", check.step)
        });
        verdict(Achieved::Yes, held.collect())
    }

    /// The same, with a reason more.
    pub fn and(mut self, reason: &str) -> Verdict {
        self.reasons.push(reason.to_owned());
        self
    }

    /// How a run ended whose every step ended well.
    pub fn how(&self) -> How {
        let why = self.reasons.join("; ");
        match self.achieved {
            Achieved::Yes => How::Done,
            Achieved::No => How::NotReached { why },
            Achieved::Unknown => How::Unverified { why },
        }
    }
}

/// Whether a model judges the evidence, too, where predicates say yes: the first time that a model's plan runs, and each
/// time that one destroys something. What a person wrote is decided by its predicates.
pub fn is_judged_by_model(plan: &Plan, is_drafted: bool, has_run_well: bool) -> bool {
    let destroys = plan.steps.iter().any(|step| step.effect == Effect::Destructive);
    is_drafted && (destroys || !has_run_well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_check_that_fails_is_a_no_and_a_yes_takes_one_on_each_node() {
        let check = |holds: bool| Check {
            step: StepId::parse("after").expect("an id"),
            claims: vec!["out.used_percent at most 85".to_owned()],
            holds,
            why: if holds { String::new() } else { "found 91".to_owned() },
        };
        let cases: [(&[&[bool]], Achieved, &str); 6] = [
            (&[&[true], &[true, true]], Achieved::Yes, "a: step after: out.used_percent"),
            (&[&[true], &[true, false]], Achieved::No, "b: step after: found 91"),
            (&[&[false], &[]], Achieved::No, "a: step after: found 91"),
            (&[&[true], &[]], Achieved::Unknown, "b: no check"),
            (&[&[]], Achieved::Unknown, "a: no check"),
            (&[], Achieved::Unknown, ""),
        ];
        for (nodes, achieved, says) in cases {
            let names = ["a", "b"].map(|name| NodeName::parse(name).expect("a name"));
            let seen = nodes.iter().map(|checks| Seen {
                checks: checks.iter().copied().map(check).collect(),
                outputs: BTreeMap::new(),
            });
            let verdict = Verdict::by_code(&names.into_iter().zip(seen).collect());
            assert_eq!(verdict.achieved, achieved, "{nodes:?}: {verdict:?}");
            assert!(verdict.reasons.join("; ").contains(says), "{nodes:?}: {verdict:?}");
        }
    }
}
