use serde_json::json;

use super::*;
use crate::error::{Fault, Kind};
use crate::message::{Event, Response, Stop, Tool, Usage};
use crate::provider::parser::Parser;

/// As the API streams it: thinking, text, a tool call in fragments, a ping, an event of a type yet unknown.
const STREAM: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude-x\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"Größe: 磁盘\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"df\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"path\\\": \\\"/v\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"ar\\\"}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "event: brand_new\ndata: {\"type\":\"brand_new\"}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":89}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[test]
fn an_answer_is_the_same_however_its_bytes_are_cut() {
    let expected = Response {
        text: "Größe: 磁盘".to_owned(),
        thinking: "hm".to_owned(),
        tool_calls: vec![ToolCall {
            id: "toolu_1".into(),
            name: "df".into(),
            arguments: "{\"path\": \"/var\"}".into(),
        }],
        stop: Stop::ToolCalls,
        usage: Some(Usage { input: 135, cache_read: 100, cache_write: 10, output: 89 }),
        model: "claude-x".to_owned(),
    };
    for cut in 0..STREAM.len() {
        let (left, right) = STREAM.as_bytes().split_at(cut);
        assert_eq!(answer(&[left, right]).expect("whole"), expected, "cut at {cut}");
    }
    let single: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
    assert_eq!(answer(&single).expect("whole"), expected);
}

#[test]
fn without_message_stop_an_answer_is_not_whole() {
    let stop =
        STREAM.rfind("{\"type\":\"message_stop\"}").expect("the stop") + "{\"type\":\"message_stop\"}".len();
    for end in 0..stop {
        match answer(&[&STREAM.as_bytes()[..end]]) {
            Err(Fault::Truncated { .. } | Fault::NotJson { .. } | Fault::NotUtf8) => {}
            other => panic!("cut off at {end}: {other:?}"),
        }
    }
}

#[test]
fn errors_in_mid_stream_are_told_by_kind() {
    let start = &STREAM[..STREAM.find("event: ping").expect("the ping")];
    let cases = [
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            Kind::Overload,
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}\n\n",
            Kind::Rate,
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n",
            Kind::Overload,
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"x\"}}\n\n",
            Kind::Invalid,
        ),
        ("event: error\ndata: {\"type\":\"error\"}\n\n", Kind::Protocol),
        (
            "data: {\"type\":\"content_block_delta\",\"index\":7,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
            Kind::Protocol,
        ),
        (
            "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"x\"}}\n\n",
            Kind::Protocol,
        ),
        (
            "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\"}}\n\n",
            Kind::Protocol,
        ),
        ("data: {}\n\n", Kind::Protocol),
        ("data: nonsense\n\n", Kind::Protocol),
        ("data: {\"type\":\"message_stop\"}\n\n", Kind::Truncated),
    ];
    for (rest, expected) in cases {
        let fault = answer(&[start.as_bytes(), rest.as_bytes()]).expect_err(rest);
        assert_eq!(fault.kind(), expected, "{rest}: {fault}");
    }
    let early = "data: {\"type\":\"message_stop\"}\n\n";
    assert!(matches!(answer(&[early.as_bytes()]), Err(Fault::Shape { .. })));
}

#[test]
fn an_answer_of_a_schema_comes_through_a_tool_and_is_text() {
    let stream = STREAM.replace("\"name\":\"df\"", "\"name\":\"answer\"");
    let mut parser = AnthropicParser::new(Some(ANSWER_TOOL));
    parser.push(stream.as_bytes()).expect("a stream");
    let Some(Event::Done(response)) = parser.events().pop() else { panic!("a whole answer") };
    assert_eq!((response.stop, response.tool_calls), (Stop::End, vec![]));
    assert_eq!(response.text, "{\"path\": \"/var\"}");
}

#[test]
fn a_request_is_written_as_the_api_wants_it() {
    let mut request = Request::new("claude-x", "Be brief.", "df?", 100);
    request.output = Output::Schema { name: "plan".to_owned(), schema: json!({"type": "object"}) };
    assert_eq!(
        body(&request),
        json!({
            "model": "claude-x", "max_tokens": 100, "stream": true, "system": "Be brief.",
            "tool_choice": {"type": "tool", "name": "answer"},
            "tools": [{"name": "answer", "description": "Gives the answer (plan).", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "df?"}]}],
        })
    );
    let call = |id: &str| ToolCall { id: id.into(), name: "df".into(), arguments: "{\"path\":\"/\"}".into() };
    let result = |id: &str| Message::Tool {
        call_id: id.into(),
        name: "df".into(),
        text: "90 %".into(),
        is_error: true,
    };
    request.output = Output::Text;
    request.tools =
        vec![Tool { name: "df".into(), description: "Disks".into(), parameters: json!({"type": "object"}) }];
    request.messages.push(Message::Assistant { text: " ".into(), tool_calls: vec![call("a"), call("b")] });
    request.messages.extend([result("a"), result("b")]);
    let body = body(&request);
    assert_eq!(
        json!([body["messages"][1], body["messages"][2]]),
        json!([
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "df", "input": {"path": "/"}},
                {"type": "tool_use", "id": "b", "name": "df", "input": {"path": "/"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "90 %", "is_error": true},
                {"type": "tool_result", "tool_use_id": "b", "content": "90 %", "is_error": true}]},
        ])
    );
    assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object"}));
}

#[test]
fn an_answer_that_is_no_stream_is_read_whole() {
    let mut parser = AnthropicParser::new(None);
    let body = r#"{"id":"msg","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"t","name":"df","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":2}}"#;
    parser.whole(body).expect("an answer");
    let Some(Event::Done(response)) = parser.events().pop() else { panic!("a whole answer") };
    assert_eq!((response.text.as_str(), response.tool_calls[0].arguments.as_str()), ("hi", "{\"a\":1}"));
    assert_eq!(response.usage.map(|usage| usage.total()), Some(5));
}

fn answer(chunks: &[&[u8]]) -> Result<Response, Fault> {
    let mut parser = AnthropicParser::new(None);
    for chunk in chunks {
        parser.push(chunk)?;
    }
    parser.end()?;
    match parser.events().pop() {
        Some(Event::Done(response)) => Ok(response),
        other => panic!("the last event is {other:?}"),
    }
}
