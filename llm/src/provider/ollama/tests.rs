use serde_json::json;

use super::*;
use crate::error::{Fault, Kind};
use crate::message::{Event, Response, Stop, Tool, Usage};
use crate::provider::parser::Parser;

/// As Ollama streams it.
const STREAM: &str = concat!(
    r#"{"model":"qwen3:4b","created_at":"2026-01-01T00:00:00.1Z","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","created_at":"2026-01-01T00:00:00.2Z","message":{"role":"assistant","content":"磁盘 ü"},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","created_at":"2026-01-01T00:00:00.3Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"df","arguments":{"path":"/"}}},{"function":{"name":"uptime","arguments":{}}}]},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","created_at":"2026-01-01T00:00:00.4Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":5,"load_duration":1,"prompt_eval_count":26,"prompt_eval_duration":1,"eval_count":9,"eval_duration":3}"#,
    "\n",
);

#[test]
fn an_answer_is_the_same_however_its_bytes_are_cut() {
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let expected = Response {
        text: "磁盘 ü".to_owned(),
        thinking: "hm".to_owned(),
        tool_calls: vec![call("call_0", "df", "{\"path\":\"/\"}"), call("call_1", "uptime", "{}")],
        stop: Stop::ToolCalls,
        usage: Some(Usage { input: 26, output: 9, ..Usage::default() }),
        model: "qwen3:4b".to_owned(),
    };
    for cut in 0..STREAM.len() {
        let (left, right) = STREAM.as_bytes().split_at(cut);
        assert_eq!(answer(&[left, right]).expect("whole"), expected, "cut at {cut}");
    }
    let single: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
    assert_eq!(answer(&single).expect("whole"), expected);
}

#[test]
fn an_answer_that_ends_anywhere_before_done_is_truncated() {
    for end in 0..STREAM.trim_end().len() {
        match answer(&[&STREAM.as_bytes()[..end]]) {
            Err(Fault::Truncated { .. } | Fault::NotUtf8) => {}
            other => panic!("cut off at {end}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_answer_is_told_by_name() {
    let cases = [
        ("{\"error\":\"an error was encountered while running the model\"}\n", Kind::Overload),
        ("{\"error\":{\"code\":401,\"message\":\"unauthorized\"}}\n", Kind::Auth),
        ("<html></html>\n", Kind::Protocol),
        ("{\"message\":{\"content\":\"x\"}}\n", Kind::Protocol),
        ("{\"message\":{\"tool_calls\":[{}]},\"done\":false}\n", Kind::Protocol),
        ("{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"\"}}]},\"done\":false}\n", Kind::Protocol),
        ("null\n", Kind::Protocol),
        ("", Kind::Truncated),
    ];
    for (stream, expected) in cases {
        let fault = answer(&[stream.as_bytes()]).expect_err(stream);
        assert_eq!(fault.kind(), expected, "{stream}: {fault}");
    }
    let endless = vec![b'x'; 2 << 20];
    assert!(matches!(answer(&[&endless]), Err(Fault::LineTooLong { .. })));
}

#[test]
fn a_context_that_is_full_is_told_as_cut_off() {
    let mut parser = OllamaParser::new(Some(35));
    parser.push(STREAM.as_bytes()).expect("a stream");
    assert!(matches!(parser.events().last(), Some(Event::Done(response)) if response.stop == Stop::Length));
}

#[test]
fn a_request_is_written_as_ollama_wants_it() {
    let mut request = Request::new("qwen3:4b", "Be brief.", "df?", 100);
    request.output = Output::Schema { name: "plan".to_owned(), schema: json!({"type": "object"}) };
    request.tools =
        vec![Tool { name: "df".into(), description: "Disks".into(), parameters: json!({"type": "object"}) }];
    let call = ToolCall { id: "c".into(), name: "df".into(), arguments: "{\"path\":\"/\"}".into() };
    request.messages.push(Message::Assistant { text: String::new(), tool_calls: vec![call] });
    request.messages.push(Message::Tool {
        call_id: "c".into(),
        name: "df".into(),
        text: "90 %".into(),
        is_error: false,
    });
    let settings = Settings { num_ctx: Some(8192), keep_alive: Some("-1".to_owned()), think: Some(false) };
    assert_eq!(
        body(&request, &settings),
        json!({
            "model": "qwen3:4b", "stream": true, "think": false, "keep_alive": -1, "format": {"type": "object"},
            "options": {"num_predict": 100, "num_ctx": 8192},
            "tools": [{"type": "function", "function": {"name": "df", "description": "Disks", "parameters": {"type": "object"}}}],
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "df?"},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "df", "arguments": {"path": "/"}}}]},
                {"role": "tool", "tool_name": "df", "content": "90 %"},
            ],
        })
    );
    request.tool_choice = ToolChoice::None;
    assert_eq!(body(&request, &Settings::default()).get("tools"), None);
}

fn answer(chunks: &[&[u8]]) -> Result<Response, Fault> {
    let mut parser = OllamaParser::new(None);
    for chunk in chunks {
        parser.push(chunk)?;
    }
    parser.end()?;
    match parser.events().pop() {
        Some(Event::Done(response)) => Ok(response),
        other => panic!("the last event is {other:?}"),
    }
}
