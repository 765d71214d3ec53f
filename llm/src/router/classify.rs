//! The LOW classifier: what is asked of the model, and what its answer is worth.

use serde::Deserialize;
use serde_json::json;

use crate::message::{Output, Request, Response, Stop};
use crate::router::{Decision, Route};

const PROMPT: &str = include_str!("../prompts/classify.md");
const MAX_TOKENS: u32 = 200;
/// More of a request tells nothing about its kind.
const REQUEST_LIMIT: usize = 4_000;
/// Below this a classification is a guess.
const SURE: u8 = 70;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    kind: Kind,
    module: Option<String>,
    /// In percent.
    confidence: u8,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Module,
    Question,
    Plan,
}

/// The request to LOW. The model's name is left to the tier.
pub fn request(text: &str, modules: &[String]) -> Request {
    let schema = json!({
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["module", "question", "plan"]},
            "module": {"type": ["string", "null"]},
            "confidence": {"type": "integer", "minimum": 0, "maximum": 100},
        },
        "required": ["kind", "module", "confidence"],
        "additionalProperties": false,
    });
    let text: String = text.chars().take(REQUEST_LIMIT).collect();
    let user = format!("Modules: {}\n\nRequest, as a JSON string:\n{}", modules.join(", "), json!(text));
    let mut request = Request::new("", PROMPT, &user, MAX_TOKENS);
    request.output = Output::Schema { name: "request_kind".to_owned(), schema };
    request.temperature = Some(0.0);
    request
}

/// What the classification comes to. An answer that cannot be used, is unsure or names what does not exist means that
/// HIGH plans: never an error, and never more than the router could have decided by itself.
pub fn read(before: Decision, response: &Response, modules: &[String]) -> Decision {
    let (route, reason) = match usable(response, modules) {
        Ok((route, reason)) => (route, reason),
        Err(reason) => (Route::Plan, format!("HIGH plans it: {reason}")),
    };
    let mut reasons = before.reasons;
    reasons.push(reason);
    Decision { route, reasons, ..before }
}

fn usable(response: &Response, modules: &[String]) -> Result<(Route, String), String> {
    if response.stop != Stop::End {
        return Err("LOW's classification was cut off".to_owned());
    }
    let text = response.text.trim().trim_start_matches("```json").trim_matches('`').trim();
    let answer: Answer =
        serde_json::from_str(text).map_err(|_| "LOW's classification is not of the schema".to_owned())?;
    if answer.confidence > 100 || answer.confidence < SURE {
        return Err(format!("LOW is only {} % sure what it is", answer.confidence));
    }
    match (answer.kind, answer.module) {
        (Kind::Plan, _) => Err("LOW says that it takes a plan".to_owned()),
        (Kind::Question, _) => Ok((Route::Low, "LOW says that it is a question, and answers it".to_owned())),
        (Kind::Module, Some(module)) if modules.contains(&module) => {
            Ok((Route::Module { module: module.clone() }, format!("LOW says that it asks for {module}")))
        }
        (Kind::Module, _) => Err("LOW names a module that does not exist".to_owned()),
    }
}
