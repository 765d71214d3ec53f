//! Lets HIGH judge whether a run reached its goal. Predicates have decided before (`domain::verdict`), and HIGH can only say
//! no where they say yes.

use std::collections::BTreeMap;

use llm::tier::Tier;
use plan::plan::Plan;
use plan::step::Tier as StepTier;
use proto::ids::NodeName;
use serde_json::{Value, json};

use super::{Asker, Models};
use crate::domain::verdict::{Achieved, Seen, Verdict};
use crate::fleet::ask::prompt;

impl Models {
    /// Judges a run of a plan from what was seen afterwards on each node.
    pub async fn verify(&self, asker: &Asker, plan: &Plan, seen: &BTreeMap<NodeName, Seen>) -> Verdict {
        let by_code = Verdict::by_code(seen);
        if by_code.achieved != Achieved::Yes {
            return by_code;
        }
        if !self.has(Tier::High) {
            return by_code
                .and("decided by its predicates alone: no model is configured that could judge it");
        }
        let checks: BTreeMap<&str, Value> =
            seen.iter().map(|(node, seen)| (node.as_str(), json!(seen.checks))).collect();
        let outputs: BTreeMap<&str, BTreeMap<&str, &Value>> = seen
            .iter()
            .map(|(node, seen)| {
                (node.as_str(), seen.outputs.iter().map(|(id, out)| (id.as_str(), out)).collect())
            })
            .collect();
        let request = prompt::verify(plan, &json!(checks), &json!(outputs));
        let answer = match self.ask(asker, StepTier::High, request).await {
            Ok(answer) => answer,
            Err(error) => {
                return by_code
                    .and(&format!("decided by its predicates alone: HIGH could not be asked: {error}"));
            }
        };
        match prompt::read_verdict(&answer.response) {
            Some(judged) => Verdict {
                achieved: if judged.achieved { Achieved::Yes } else { Achieved::No },
                by: answer.model,
                reasons: judged.reasons,
            },
            None => by_code.and("decided by its predicates alone: HIGH gave no usable verdict"),
        }
    }
}
