use serde_json::json;

use super::*;
use crate::error::{Fault, Kind};
use crate::message::{Event, Response, Stop, Usage};
use crate::provider::parser::{ANSWER_LIMIT, Parser};

/// As OpenAI streams it: role first, text, two tool calls in fragments, usage in a chunk without choices.
const OPENAI: &str = concat!(
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-x-0613\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße, 磁盘\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{\"name\":\"df\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"path\\\":\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"/var\\\"}\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"uptime\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":57,\"completion_tokens\":17,\"total_tokens\":74,\"prompt_tokens_details\":{\"cached_tokens\":32}}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn an_answer_is_the_same_however_its_bytes_are_cut() {
    let expected = Response {
        text: "Grüße, 磁盘".to_owned(),
        thinking: String::new(),
        tool_calls: vec![call_of("call_a", "df", "{\"path\":\"/var\"}"), call_of("call_b", "uptime", "")],
        stop: Stop::ToolCalls,
        usage: Some(Usage { input: 57, cache_read: 32, cache_write: 0, output: 17 }),
        model: "gpt-x-0613".to_owned(),
    };
    for cut in 0..OPENAI.len() {
        let (left, right) = OPENAI.as_bytes().split_at(cut);
        assert_eq!(answer(&[left, right]).expect("whole"), expected, "cut at {cut}");
    }
    let single: Vec<&[u8]> = OPENAI.as_bytes().chunks(1).collect();
    assert_eq!(answer(&single).expect("whole"), expected);
}

#[test]
fn an_answer_that_ends_anywhere_before_its_reason_to_stop_is_truncated() {
    let reason = OPENAI.find("\"tool_calls\"}]}").expect("the reason") + "\"tool_calls\"}]}".len();
    for end in 0..reason {
        match answer(&[&OPENAI.as_bytes()[..end]]) {
            Err(Fault::Truncated { .. } | Fault::NotJson { .. } | Fault::NotUtf8) => {}
            other => panic!("cut off at {end}: {other:?}"),
        }
    }
}

#[test]
fn the_quirks_of_compatible_servers_are_understood() {
    // Ollama's /v1: two calls, both with index 0, and a plain stop.
    let ollama = concat!(
        r#"data: {"model":"q","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"c1","index":0,"type":"function","function":{"name":"a","arguments":"{}"}}]},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"model":"q","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"c2","index":0,"type":"function","function":{"name":"b","arguments":"{}"}}]},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"model":"q","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}"#,
        "\n\ndata: [DONE]\n\n",
    );
    let got = whole(ollama);
    assert_eq!(got.tool_calls, [call_of("c1", "a", "{}"), call_of("c2", "b", "{}")]);
    assert_eq!((got.stop, got.usage), (Stop::ToolCalls, None));
    // No index and no id; arguments as an object; the last event without its blank line; no [DONE].
    let bare = r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"a","arguments":{"x":1}}}]},"finish_reason":"tool_calls"}]}"#;
    assert_eq!(whole(bare).tool_calls, [call_of("call_0", "a", "{\"x\":1}")]);
    // GLM, vLLM: thinking apart from the answer. OpenRouter: comments, and another name for it.
    let glm = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n: OPENROUTER PROCESSING\n\ndata: {\"choices\":[{\"delta\":{\"reasoning\":\"!\",\"content\":\"ok\"},\"finish_reason\":\"\"}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n";
    let got = whole(glm);
    assert_eq!((got.thinking.as_str(), got.text.as_str(), got.stop), ("hm!", "ok", Stop::Length));
    // Mistral: content in parts.
    let parts = r#"data: {"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"finish_reason":"stop"}]}"#;
    assert_eq!(whole(parts).text, "ab");
}

#[test]
fn errors_in_mid_stream_are_told_by_kind_after_what_came_before() {
    let start = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    let cases = [
        (
            "data: {\"error\":{\"code\":429,\"message\":\"slow down\"},\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
            Kind::Rate,
        ),
        ("data: {\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"code\":null}}\n\n", Kind::Overload),
        (
            "data: {\"object\":\"error\",\"message\":\"bad\",\"type\":\"BadRequestError\",\"code\":400}\n\n",
            Kind::Invalid,
        ),
        (
            "error: {\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}\n\n",
            Kind::Overload,
        ),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"network_error\"}]}\n\n", Kind::Truncated),
        ("data: {\"choices\":[{\"delta\":{}\n\n", Kind::Protocol),
        ("data: <html>\n\n", Kind::Protocol),
        ("data: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\n", Kind::Protocol),
        (
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":3,\"function\":{\"arguments\":\"x\"}}]}}]}\n\n",
            Kind::Protocol,
        ),
        ("data: []\n\n", Kind::Protocol),
        ("data: \"\"\n\n", Kind::Protocol),
        ("data: {\"hello\":1}\n\n", Kind::Protocol),
        ("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}\n\n", Kind::Protocol),
        ("data: [DONE]\n\n", Kind::Truncated),
        ("", Kind::Truncated),
    ];
    for (rest, expected) in cases {
        let mut parser = OpenAiParser::new();
        let stream = format!("{start}{rest}");
        let fault = parser.push(stream.as_bytes()).and_then(|()| parser.end()).expect_err(rest);
        assert_eq!(fault.kind(), expected, "{rest}: {fault}");
        assert_eq!(parser.events(), [Event::Text("half".to_owned())], "{rest}");
    }
    let mut parser = OpenAiParser::new();
    assert!(matches!(parser.push(b"data: \xff\xfe\n\n"), Err(Fault::NotUtf8)));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let mut parser = OpenAiParser::new();
    let chunk = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(60_000)}}]}));
    let fault = (0..200).find_map(|_| parser.push(chunk.as_bytes()).err());
    assert!(matches!(fault, Some(Fault::AnswerTooLong { limit: ANSWER_LIMIT })), "{fault:?}");
    let mut parser = OpenAiParser::new();
    let fault = (0..100).find_map(|index| {
        let call =
            json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": "{}"}});
        parser
            .push(format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]})).as_bytes())
            .err()
    });
    assert!(matches!(fault, Some(Fault::TooManyToolCalls { limit: 64 })), "{fault:?}");
}

#[test]
fn a_request_is_written_as_each_dialect_wants_it() {
    let mut request = Request::new("m", "Be brief.", "df?", 100);
    request.output = Output::Schema { name: "plan".to_owned(), schema: json!({"type": "object"}) };
    request.tools =
        vec![Tool { name: "df".into(), description: "Disks".into(), parameters: json!({"type": "object"}) }];
    request.tool_choice = ToolChoice::Required;
    request
        .messages
        .push(Message::Assistant { text: String::new(), tool_calls: vec![call_of("c", "df", "{broken")] });
    request.messages.push(Message::Tool {
        call_id: "c".into(),
        name: "df".into(),
        text: "90 %".into(),
        is_error: false,
    });
    let openai = body(&request, Dialect::OPENAI);
    assert_eq!(
        openai,
        json!({
            "model": "m", "stream": true, "max_completion_tokens": 100, "stream_options": {"include_usage": true},
            "tool_choice": "required",
            "response_format": {"type": "json_schema", "json_schema": {"name": "plan", "strict": false, "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "df", "description": "Disks", "parameters": {"type": "object"}}}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "df?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "df", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "90 %"},
            ],
        })
    );
    let glm = body(&request, Dialect::GLM);
    assert_eq!((&glm["max_tokens"], &glm["response_format"]), (&json!(100), &json!({"type": "json_object"})));
    assert!(glm["messages"][0]["content"].as_str().expect("text").contains(r#"{"type":"object"}"#));
    assert_eq!(glm.get("tool_choice"), None);
    assert!(request.worst_input_tokens() as usize > openai["messages"].to_string().len() / 2);
}

#[test]
fn a_schema_is_strict_only_where_openai_takes_it() {
    let closed = |inner: Value, required: &[&str]| json!({"type": "object", "properties": {"a": inner}, "required": required, "additionalProperties": false});
    assert!(is_strict(&closed(json!({"type": "string"}), &["a"])));
    assert!(is_strict(&closed(closed(json!({"type": ["string", "null"]}), &["a"]), &["a"])));
    assert!(!is_strict(&closed(json!({"type": "string"}), &[])));
    assert!(!is_strict(&closed(json!({"type": "object"}), &["a"])));
    assert!(!is_strict(&closed(json!({"type": "array", "items": {"type": "object"}}), &["a"])));
}

#[test]
fn an_answer_that_is_no_stream_is_read_whole() {
    let mut parser = OpenAiParser::new();
    parser
        .whole(r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#)
        .expect("an answer");
    assert!(matches!(parser.events().last(), Some(Event::Done(response)) if response.text == "hi"));
}

fn whole(stream: &str) -> Response {
    answer(&[stream.as_bytes()]).expect("a whole answer")
}

fn answer(chunks: &[&[u8]]) -> Result<Response, Fault> {
    let mut parser = OpenAiParser::new();
    for chunk in chunks {
        parser.push(chunk)?;
    }
    parser.end()?;
    match parser.events().pop() {
        Some(Event::Done(response)) => Ok(response),
        other => panic!("the last event is {other:?}"),
    }
}

fn call_of(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
}
