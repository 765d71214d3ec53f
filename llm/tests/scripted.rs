//! The scripted provider that other tests use speaks what the real ones speak.

use std::time::Duration;

use llm::error::Kind;
use llm::key::ApiKey;
use llm::message::{Output, Request, Response, Stop, Tool};
use llm::provider::Provider;
use llm::provider::anthropic::Anthropic;
use llm::provider::connection::{Endpoint, Timeouts};
use llm::provider::ollama::{Ollama, Settings};
use llm::provider::openai::{Dialect, OpenAi};
use llm::testing::{INPUT_TOKENS, OUTPUT_TOKENS, Say, Scripted, Wire};
use serde_json::json;

#[tokio::test]
async fn texts_schemas_and_calls_arrive_whole_on_every_wire_in_any_chunks() {
    for wire in Wire::ALL {
        for chunk in [1, 7, 100_000] {
            let long = "déjà vu, ".repeat(20);
            let said = long.clone();
            let scripted =
                Scripted::start(wire, "m", chunk, move |asked| match asked.body["tools"].as_array() {
                    Some(tools) if tools.iter().any(|tool| tool.to_string().contains("disk")) => {
                        Say::Calls(vec![("disk".to_owned(), json!({"path": "/"}))])
                    }
                    Some(_) | None if asked.text().contains("as JSON") => Say::json(&json!({"é": [1, 2]})),
                    Some(_) | None => Say::Text(said.clone()),
                });
            let provider = provider(wire, scripted.url());
            let response = ask(provider.as_ref(), &Request::new("m", "s", "hi", 50)).await;
            assert_eq!(
                (response.text.as_str(), &response.stop),
                (long.as_str(), &Stop::End),
                "{wire:?} {chunk}"
            );
            let usage = response.usage.expect("counts");
            assert_eq!((usage.input, usage.output), (INPUT_TOKENS, OUTPUT_TOKENS));

            let mut schema = Request::new("m", "s", "as JSON", 50);
            schema.output = Output::Schema { name: "x".into(), schema: json!({"type": "object"}) };
            let response = ask(provider.as_ref(), &schema).await;
            let read: serde_json::Value = serde_json::from_str(&response.text).expect("JSON");
            assert_eq!((read, response.stop), (json!({"é": [1, 2]}), Stop::End), "{wire:?} {chunk}");

            let mut tools = Request::new("m", "s", "go", 50);
            tools.tools = vec![Tool {
                name: "disk".into(),
                description: "d".into(),
                parameters: json!({"type": "object"}),
            }];
            let response = ask(provider.as_ref(), &tools).await;
            assert_eq!(response.stop, Stop::ToolCalls, "{wire:?}");
            assert_eq!(response.tool_calls[0].parsed().expect("an object")["path"], "/");
            assert_eq!(scripted.count(), 3);
            assert!(scripted.asked()[0].key.contains("sk-topsecret"), "{:?}", scripted.asked()[0].key);
        }
    }
}

#[tokio::test]
async fn what_is_offered_is_told_and_costs_nothing() {
    for wire in Wire::ALL {
        let scripted = Scripted::start(wire, "m:latest", 9, |_| Say::Silence);
        assert_eq!(provider(wire, scripted.url()).models().await.expect("a list"), ["m:latest"]);
        assert_eq!(scripted.count(), 0);
        let url = scripted.url().to_owned();
        drop(scripted);
        let gone = provider(wire, &url).models().await;
        assert!(matches!(gone.map_err(|error| error.kind()), Err(Kind::Network | Kind::Timeout)), "{wire:?}");
    }
}

#[tokio::test]
async fn refusals_ends_and_garbage_are_what_they_are_of_a_real_one() {
    for wire in Wire::ALL {
        for (say, kinds) in [
            (
                Say::Refuse {
                    status: "429 Too Many Requests",
                    headers: "retry-after: 3\r\n",
                    body: json!({"error": {"type": "rate_limit_error", "message": "slow"}}).to_string(),
                },
                vec![Kind::Rate],
            ),
            (
                Say::Truncated("a long answer that never ends".into(), 40),
                vec![Kind::Truncated, Kind::Network],
            ),
            (Say::Truncated("über die Brücke".into(), 100), vec![Kind::Truncated, Kind::Network]),
            (Say::Truncated("an answer".into(), 0), vec![Kind::Truncated, Kind::Network]),
            (Say::Garbage(b"\xff\xfe{]\n\ndata: x\n\n".to_vec()), vec![Kind::Protocol, Kind::Truncated]),
        ] {
            let told = format!("{say:?}");
            let scripted = Scripted::start(wire, "m", 5, move |_| say.clone());
            let outcome = match provider(wire, scripted.url()).send(&Request::new("m", "", "hi", 9)).await {
                Ok(reply) => reply.whole().await,
                Err(error) => Err(error),
            };
            let error = outcome.expect_err("no answer");
            assert!(kinds.contains(&error.kind()), "{wire:?} {told}: {error:?}");
        }
    }
}

async fn ask(provider: &dyn Provider, request: &Request) -> Response {
    provider.send(request).await.expect("an answer begins").whole().await.expect("a whole answer")
}

fn provider(wire: Wire, url: &str) -> Box<dyn Provider> {
    let wait = Duration::from_secs(20);
    let timeouts = Timeouts { connect: wait, first_byte: wait, idle: wait, total: wait };
    let endpoint =
        Endpoint::parse("scripted", url, Some(ApiKey::new("sk-topsecret")), timeouts).expect("a URL");
    match wire {
        Wire::OpenAi => Box::new(OpenAi::new(endpoint, Dialect::VLLM)),
        Wire::Anthropic => Box::new(Anthropic::new(endpoint)),
        Wire::Ollama => Box::new(Ollama::new(endpoint, Settings::default())),
    }
}
