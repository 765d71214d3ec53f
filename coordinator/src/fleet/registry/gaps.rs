//! Asks LOW what the README of a project says about the gaps of its draft. What it answers is checked against the text by
//! whoever asked (`modules::import::fill`).

use llm::budget::Cap;
use llm::message::{Output, Request, Response, Stop};
use llm::prompts;
use modules::digest::Digest;
use modules::import::fill::Gap;
use plan::step::Tier;
use proto::v1;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::fleet::ask::prompt::{capped, unfenced};
use crate::fleet::models::{Asker, ModelsError};
use crate::fleet::{Fleet, FleetError};

/// Bytes of the README that a model is shown: the beginning, mostly.
const TEXT: usize = 24 << 10;
const TOKENS: u32 = 800;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    found: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    field: String,
    value: String,
    quote: String,
}

impl Fleet {
    /// # Errors
    /// Where no model is there, the budget does not allow it, or what it answers cannot be used.
    pub async fn fill_gaps(&self, request: &v1::FillGapsRequest) -> Result<v1::FillGapsReply, FleetError> {
        let wanted: Vec<Gap> = Gap::ALL
            .into_iter()
            .filter(|gap| request.fields.iter().any(|field| field == gap.as_str()))
            .collect();
        if wanted.is_empty() {
            let names: Vec<&str> = Gap::ALL.into_iter().map(Gap::as_str).collect();
            return Err(FleetError::Invalid {
                message: format!("none of {:?} is a gap that can be filled", request.fields),
                hint: Some(format!("there are {}", names.join(", "))),
            });
        }
        let unique = Digest::of(format!("{}\n{}", request.text, self.models.random()).as_bytes());
        let asker =
            Asker { account: format!("import-{}", &unique.hex()[..10]), node: None, cap: Cap::default() };
        let answer = self.models.ask(&asker, Tier::Low, question(&request.text, &wanted)).await?;
        let found = read(&answer.response)
            .map_err(|why| ModelsError::NoFills { model: answer.model.clone(), why })?;
        let fills = found.into_iter().map(|found| v1::fill_gaps_reply::Fill {
            field: found.field,
            value: found.value,
            quote: found.quote,
        });
        Ok(v1::FillGapsReply {
            fills: fills.collect(),
            model: format!("{} at {}", answer.model, answer.provider),
            tokens: answer.tokens,
            money: answer.money.to_string(),
        })
    }
}

fn question(text: &str, wanted: &[Gap]) -> Request {
    let names: Vec<&str> = wanted.iter().map(|gap| gap.as_str()).collect();
    let about: Map<String, Value> =
        wanted.iter().map(|gap| (gap.as_str().to_owned(), json!(gap.about()))).collect();
    let told = json!({"wanted": about, "text": capped(text, TEXT)});
    let found = json!({
        "type": "object",
        "properties": {
            "field": {"type": "string", "enum": names},
            "value": {"type": "string"},
            "quote": {"type": "string"},
        },
        "required": ["field", "value", "quote"],
        "additionalProperties": false,
    });
    let schema = json!({
        "type": "object",
        "properties": {"found": {"type": "array", "items": found, "maxItems": wanted.len()}},
        "required": ["found"],
        "additionalProperties": false,
    });
    let mut request = Request::new("", prompts::FILL, &told.to_string(), TOKENS);
    request.output = Output::Schema { name: "found".to_owned(), schema };
    request
}

fn read(response: &Response) -> Result<Vec<Found>, String> {
    match &response.stop {
        Stop::End => {}
        Stop::Length => return Err("it was cut off".to_owned()),
        Stop::Refusal => return Err("it declined".to_owned()),
        Stop::ToolCalls | Stop::Other(_) => return Err("it is no answer".to_owned()),
    }
    let told: Told = serde_json::from_str(unfenced(&response.text)).map_err(|error| error.to_string())?;
    Ok(told.found.into_iter().take(Gap::ALL.len()).collect())
}
