//! The words in which models are asked through whoever follows the run: `llm::message` as serde writes it, as far as a step
//! needs it.

use plan::step::Call;
use plan::tool::Tool;
use plan::tool::signature::{Arg, Type};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const SYSTEM: &str = include_str!("step.md");
/// Bytes of one answer.
const MAX_ANSWER: usize = 1 << 20;

/// What form the answer must have.
pub enum Form {
    Text,
    /// One of these, and why.
    Choice(Vec<String>),
}

/// What has been said so far.
pub struct Conversation {
    messages: Vec<Value>,
    tools: Vec<Value>,
    output: Value,
    max_tokens: u64,
}

impl Conversation {
    pub fn new(prompt: &str, tools: &[Tool], form: Form, max_tokens: u64) -> Self {
        let output = match form {
            Form::Text => json!("text"),
            Form::Choice(options) => json!({"schema": {"name": "choice", "schema": {
                "type": "object",
                "properties": {"choice": {"type": "string", "enum": options}, "why": {"type": "string"}},
                "required": ["choice", "why"],
                "additionalProperties": false,
            }}}),
        };
        let tools = tools.iter().map(|tool| offered(*tool)).collect();
        Self { messages: vec![json!({"role": "user", "text": prompt})], tools, output, max_tokens }
    }

    pub fn request(&self) -> Value {
        json!({
            "model": "",
            "system": SYSTEM,
            "messages": self.messages,
            "tools": self.tools,
            "tool_choice": "auto",
            "output": self.output,
            "max_tokens": self.max_tokens,
            "temperature": null,
            "stop": [],
        })
    }

    /// The model's own words, which it must see again.
    pub fn take(&mut self, answer: &Answer) {
        let calls = answer
            .calls
            .iter()
            .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments}));
        let calls: Vec<Value> = calls.collect();
        self.messages.push(json!({"role": "assistant", "text": answer.text, "tool_calls": calls}));
    }

    pub fn give(&mut self, wanted: &Wanted, text: String, is_error: bool) {
        let (id, name) = (&wanted.id, &wanted.name);
        self.messages
            .push(json!({"role": "tool", "call_id": id, "name": name, "text": text, "is_error": is_error}));
    }

    pub fn correct(&mut self, why: &str) {
        self.messages.push(json!({"role": "user", "text": why}));
    }
}

/// A model's answer.
#[derive(Debug, Deserialize)]
pub struct Answer {
    pub text: String,
    #[serde(default, rename = "tool_calls")]
    pub calls: Vec<Wanted>,
    /// Why it ended: `llm::message::Stop`.
    #[serde(default)]
    stop: Value,
}

/// A call that a model wants.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    pub id: String,
    pub name: String,
    /// As the model wrote them.
    pub arguments: String,
}

impl Answer {
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX_ANSWER {
            return Err(format!(
                "the model's answer has {} bytes, at most {MAX_ANSWER} are taken",
                json.len()
            ));
        }
        let answer: Self = serde_json::from_str(json)
            .map_err(|error| format!("the model's answer cannot be read: {error}"))?;
        match answer.stop.as_str() {
            Some("length") => Err("the model's answer was cut off because it is too long".to_owned()),
            Some("refusal") => Err("the model declined to answer".to_owned()),
            _ => Ok(answer),
        }
    }
}

impl Wanted {
    pub fn call(&self) -> Result<Call, String> {
        let tool = Tool::parse(&self.name.replace("__", ".")).map_err(|error| error.to_string())?;
        Ok(Call { tool, args: super::args(&self.arguments)? })
    }
}

/// A tool as a model is told of it. Providers take no dot in a name.
fn offered(tool: Tool) -> Value {
    let signature = tool.signature();
    let mut properties = Map::new();
    for arg in signature.args {
        properties.insert(arg.name.to_owned(), schema(arg));
    }
    let required: Vec<&str> =
        signature.args.iter().filter(|arg| arg.is_required).map(|arg| arg.name).collect();
    json!({
        "name": signature.name.replace('.', "__"),
        "description": signature.about,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        },
    })
}

fn schema(arg: &Arg) -> Value {
    let mut schema = match arg.kind {
        Type::Text | Type::Name | Type::Path | Type::Url => json!({"type": "string"}),
        Type::Integer { .. } => json!({"type": "integer"}),
        Type::Number => json!({"type": "number"}),
        Type::Flag => json!({"type": "boolean"}),
        Type::Argv | Type::Texts | Type::Paths | Type::Domains | Type::Tools => {
            json!({"type": "array", "items": {"type": "string"}})
        }
        Type::Map => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Type::Any => json!({}),
    };
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), json!(arg.about));
    }
    schema
}

/// The JSON that a text is, or has in a fence; null where there is none.
pub fn json_in(text: &str) -> Value {
    let inner = text.split_once("```").and_then(|(_, rest)| {
        let rest = rest.strip_prefix("json").unwrap_or(rest);
        rest.split_once("```").map(|(inner, _)| inner)
    });
    let found =
        [Some(text), inner].into_iter().flatten().find_map(|text| serde_json::from_str(text.trim()).ok());
    found.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_the_other_side_understands() {
        let tools: Vec<Tool> = Tool::all().map(|signature| signature.tool).collect();
        let mut talk = Conversation::new("how full?", &tools, Form::Choice(vec!["a".to_owned()]), 99);
        let answer = json!({"text": "", "thinking": "", "tool_calls": [
            {"id": "1", "name": "collect__disk", "arguments": "{\"path\": \"/\"}"}], "stop": "tools",
            "usage": null, "model": "m"});
        let answer = Answer::parse(&answer.to_string()).expect("an answer");
        talk.take(&answer);
        talk.give(&answer.calls[0], "{}".to_owned(), false);
        let request: llm::message::Request = serde_json::from_value(talk.request()).expect("a request");
        assert_eq!((request.messages.len(), request.tools.len(), request.max_tokens), (3, tools.len(), 99));
        assert_eq!(serde_json::to_value(&request).expect("JSON"), talk.request(), "and nothing else");
        for stop in ["length", "refusal"] {
            let half = json!({"text": "half", "tool_calls": [], "stop": stop});
            assert!(Answer::parse(&half.to_string()).is_err(), "{stop}");
        }
        let call = answer.calls[0].call().expect("a call");
        assert_eq!((call.tool, call.args["path"].as_str()), (Tool::CollectDisk, Some("/")));
    }

    #[test]
    fn json_is_found_bare_or_in_a_fence() {
        let cases = [
            ("{\"a\": 1}", json!({"a": 1})),
            ("Sure:\n```json\n{\"a\": 1}\n```\nDone.", json!({"a": 1})),
            ("no json", Value::Null),
            ("```\nnot json\n```", Value::Null),
        ];
        for (text, expected) in cases {
            assert_eq!(json_in(text), expected, "{text}");
        }
    }
}
