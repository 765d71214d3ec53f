//! Who is to answer a request: nobody but the trigger words of a module, an earlier plan, LOW, or HIGH. Pure: what is
//! known is an argument, and every decision has its reasons.
//!
//! The stages, cheapest first: `route` (trigger words, then earlier requests); where it says `Classify`, the caller asks
//! LOW with `classify::request` and hands the answer to `classify::read`; where that fails, HIGH plans.

use serde::{Deserialize, Serialize};

use crate::router::difficulty::{Band, Difficulty};
use crate::router::recall::Similar;
use crate::router::trigger::Trigger;

pub mod classify;
pub mod difficulty;
pub mod recall;
pub mod score;
pub mod trigger;

#[cfg(test)]
mod tests;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// It is about this module and little else: offer it, without any model.
    Module { module: String },
    /// It asks for what this earlier plan did.
    Earlier { plan: String },
    /// LOW is asked what kind of request it is.
    Classify,
    /// LOW answers it.
    Low,
    /// HIGH writes a plan.
    Plan,
}

/// A route, why it was taken, and what was learned on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub route: Route,
    /// In the order of the stages; each a sentence for a person.
    pub reasons: Vec<String>,
    /// Modules that the request names: worth telling the planner, whatever the route.
    pub mentioned: Vec<String>,
    /// How hard it looks; a part of the task class under which pass rates are kept.
    pub band: Band,
}

/// Routes a request without asking any model. `earlier` are the most similar requests of the past, best first.
pub fn route(request: &str, triggers: &[Trigger], earlier: &[Similar]) -> Decision {
    let difficulty = Difficulty::of(request);
    let matches = trigger::find(request, triggers);
    let mentioned: Vec<String> = matches.iter().map(|found| found.module.clone()).collect();
    let mut reasons = Vec::new();
    let decide =
        |route, reasons| Decision { route, reasons, mentioned: mentioned.clone(), band: difficulty.band() };
    match matches.as_slice() {
        [] => reasons.push("it has no trigger word of any module".to_owned()),
        [only] if only.is_all => {
            let words = only.words.join(", ");
            reasons.push(format!("it asks for {} ({words}) and nothing else", only.module));
            return decide(Route::Module { module: only.module.clone() }, reasons);
        }
        [only] => reasons.push(format!("it names {}, but asks for more than that", only.module)),
        several => {
            let names: Vec<&str> = several.iter().map(|found| found.module.as_str()).collect();
            reasons.push(format!("its words fit several modules: {}", names.join(", ")));
        }
    }
    match recall::usable(request, earlier) {
        Ok(similar) => {
            reasons.push(format!(
                "it asks for the same as \"{}\" ({:.2} alike)",
                similar.request, similar.cosine
            ));
            return decide(Route::Earlier { plan: similar.plan.clone() }, reasons);
        }
        Err(reason) => reasons.push(reason),
    }
    reasons.push("LOW is asked what kind of request it is".to_owned());
    decide(Route::Classify, reasons)
}
