//! What an error body says, and of which kind it is.
//!
//! Shapes in use: `{"error":{"type","code","message"}}` (OpenAI, Anthropic, llama.cpp, OpenRouter with a number as
//! code, GLM with a number in a string), `{"error":"…"}` (Ollama), `{"object":"error","message","type","code"}` (vLLM,
//! Mistral), `{"detail":…}` and `{"message":…}` (proxies).

use serde_json::Value;

use crate::error::{Fault, Kind};

const MESSAGE_LIMIT: usize = 400;

/// The name and the message of an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    name: String,
    message: String,
    /// The HTTP status that some write into the body.
    status: Option<u16>,
}

impl Refusal {
    /// The error in a part of a stream, if it is one.
    pub(crate) fn in_stream(value: &Value) -> Option<Refusal> {
        match value.get("error") {
            Some(Value::Null) | None => {
                (value.get("object").and_then(Value::as_str) == Some("error")).then(|| Refusal::from(value))
            }
            Some(Value::String(message)) => Some(Refusal { message: cut(message), ..Refusal::default() }),
            Some(error) => Some(Refusal::from(error)),
        }
    }

    pub(crate) fn mid_stream(self) -> Fault {
        Fault::MidStream {
            kind: kind(self.status, &self.name, &self.message),
            name: self.name,
            message: self.message,
        }
    }

    /// The fault of an answer with an error status.
    pub(crate) fn of_status(status: u16, body: &str) -> Fault {
        let refusal = match serde_json::from_str::<Value>(body) {
            Ok(value) => Refusal::in_stream(&value).unwrap_or_else(|| Refusal::from(&value)),
            Err(_) => Refusal { message: cut(body), ..Refusal::default() },
        };
        Fault::Status {
            status,
            kind: kind(Some(status), &refusal.name, &refusal.message),
            name: if refusal.name.is_empty() { "no name".to_owned() } else { refusal.name },
            message: refusal.message,
        }
    }

    fn from(error: &Value) -> Refusal {
        let code = match error.get("code") {
            Some(Value::String(code)) => code.clone(),
            Some(Value::Number(code)) => code.to_string(),
            _ => String::new(),
        };
        let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
        let message = match text("message") {
            "" => error.get("detail").unwrap_or(error).to_string(),
            message => message.to_owned(),
        };
        let status = code.parse().ok().filter(|status| (400..600).contains(status));
        let name = [text("type"), if status.is_some() { "" } else { &code }];
        let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
        Refusal { name: cut(&name.join(" ")), message: cut(&message), status }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The names go first: they tell an empty account from a full minute, which share the status 429.
fn kind(status: Option<u16>, name: &str, message: &str) -> Kind {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    // The numbers are GLM's.
    if says(&["insufficient_quota", "billing", "insufficient_balance", "credit", "1113", "1304", "1308"])
        || message.contains("credit balance is too low")
    {
        return Kind::Quota;
    }
    if says(&["rate_limit", "rate_limited", "too_many_requests", "1302", "1303", "1305"]) {
        return Kind::Rate;
    }
    if says(&["overloaded", "unavailable"]) {
        return Kind::Overload;
    }
    if says(&["authentication", "permission", "invalid_api_key"]) {
        return Kind::Auth;
    }
    match status {
        Some(429) => Kind::Rate,
        Some(402) => Kind::Quota,
        Some(401 | 403 | 407) => Kind::Auth,
        Some(408 | 504 | 524) => Kind::Timeout,
        Some(300..=499) => Kind::Invalid,
        Some(_) => Kind::Overload,
        None if says(&["invalid_request", "not_found", "exceed_context"]) => Kind::Invalid,
        None if says(&["timeout"]) => Kind::Timeout,
        None => Kind::Overload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_servers_are_told_apart() {
        let cases = [
            (
                429,
                r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
                Kind::Rate,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Kind::Quota,
            ),
            (429, r#"{"error":{"code":"1113","message":"account in arrears"}}"#, Kind::Quota),
            (429, r#"{"error":{"code":"1302","message":"high concurrency"}}"#, Kind::Rate),
            (429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, Kind::Rate),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Kind::Overload,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
                Kind::Quota,
            ),
            (
                400,
                r#"{"object":"error","message":"maximum context length is 4096","type":"BadRequestError","code":400}"#,
                Kind::Invalid,
            ),
            (
                401,
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                Kind::Auth,
            ),
            (402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, Kind::Quota),
            (403, "<html>", Kind::Auth),
            (404, r#"{"error":"model 'x' not found"}"#, Kind::Invalid),
            (500, r#"{"type":"error","error":{"type":"api_error","message":"Internal"}}"#, Kind::Overload),
            (502, "", Kind::Overload),
            (
                503,
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                Kind::Overload,
            ),
            (504, "upstream", Kind::Timeout),
            (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, Kind::Invalid),
            (302, "", Kind::Invalid),
        ];
        for (status, body, expected) in cases {
            assert_eq!(Refusal::of_status(status, body).kind(), expected, "{status} {body}");
        }
    }

    #[test]
    fn messages_are_short_and_on_one_line() {
        let Fault::Status { message, .. } = Refusal::of_status(500, &"é\n".repeat(1_000)) else {
            panic!("a status")
        };
        assert!(message.len() <= MESSAGE_LIMIT && !message.contains('\n'), "{message}");
    }
}
