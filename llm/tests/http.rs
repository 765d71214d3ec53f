//! Providers against scripted servers that speak the real wire over TCP.

use std::time::Duration;

use llm::error::{Fault, Kind, ProviderError};
use llm::key::ApiKey;
use llm::message::{Event, Request, Response};
use llm::provider::Provider;
use llm::provider::anthropic::Anthropic;
use llm::provider::connection::{Endpoint, Timeouts};
use llm::provider::ollama::{Ollama, Settings};
use llm::provider::openai::{Dialect, OpenAi};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OPENAI: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hé\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
const ANTHROPIC: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"hé\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"llo\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const OLLAMA: &str = "{\"model\":\"m\",\"message\":{\"content\":\"hé\"},\"done\":false}\n{\"model\":\"m\",\"message\":{\"content\":\"llo\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":9,\"eval_count\":2}\n";

#[derive(Clone, Copy, Debug)]
enum Wire {
    OpenAi,
    Anthropic,
    Ollama,
}

const WIRES: [(Wire, &str, &str); 3] = [
    (Wire::OpenAi, "text/event-stream; charset=utf-8", OPENAI),
    (Wire::Anthropic, "text/event-stream", ANTHROPIC),
    (Wire::Ollama, "application/x-ndjson", OLLAMA),
];

#[tokio::test]
async fn every_wire_is_understood_in_chunks_of_every_size() {
    for (wire, content_type, stream) in WIRES {
        for size in [1, 2, 3, 7, 64, 10_000] {
            let parts: Vec<Vec<u8>> = stream.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nx-ratelimit-remaining-requests: 7\r\ntransfer-encoding: chunked\r\n\r\n"
            );
            let (url, request) = serve(Script { head, parts, chunked: true, then: Then::Close }).await;
            let reply = provider(wire, &url).send(&question()).await.expect("an answer begins");
            assert_eq!(reply.limits.requests.remaining, Some(7));
            let response = reply.whole().await.expect("a whole answer");
            check(&response, wire);
            let sent = request.await.expect("the server ran");
            assert!(sent.contains("\"df?\""), "{sent}");
        }
    }
}

#[tokio::test]
async fn keys_travel_in_the_header_of_their_wire_and_show_in_no_error() {
    for (wire, header) in [
        (Wire::OpenAi, "authorization: Bearer sk-topsecret\r\n"),
        (Wire::Anthropic, "x-api-key: sk-topsecret\r\nanthropic-version: 2023-06-01\r\n"),
        (Wire::Ollama, "authorization: Bearer sk-topsecret\r\n"),
    ] {
        let body =
            "{\"error\":{\"type\":\"authentication_error\",\"message\":\"no such key: sk-topsecret\"}}";
        let (url, request) = serve(refuse("401 Unauthorized", "", body)).await;
        let error = failure(provider(wire, &url).send(&question()).await);
        assert_eq!(error.kind(), Kind::Auth);
        let sent = request.await.expect("the server ran");
        for line in header.split("\r\n") {
            assert!(sent.to_lowercase().contains(&line.to_lowercase()), "{wire:?}: {sent}");
        }
        let told = format!("{error} {error:?} {:?} {}", error.hint(), error.fault);
        assert!(told.contains("no such key: ***") && !told.contains("topsecret"), "{told}");
    }
}

#[tokio::test]
async fn refusals_tell_their_kind_and_when_to_come_again() {
    let cases = [
        (
            Wire::OpenAi,
            "429 Too Many Requests",
            "retry-after: 7\r\nx-ratelimit-limit-requests: 60\r\n",
            "{\"error\":{\"code\":\"rate_limit_exceeded\"}}",
            Kind::Rate,
            Some(7_000),
        ),
        (
            Wire::OpenAi,
            "429 Too Many Requests",
            "retry-after-ms: 1500\r\n",
            "{\"error\":{\"code\":\"insufficient_quota\"}}",
            Kind::Quota,
            Some(1_500),
        ),
        (
            Wire::Anthropic,
            "529 Overloaded",
            "",
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
            Kind::Overload,
            None,
        ),
        (
            Wire::Anthropic,
            "429 Too Many Requests",
            "date: Fri, 20 Nov 2026 21:48:27 GMT\r\nretry-after: Fri, 20 Nov 2026 21:48:30 GMT\r\n",
            "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}",
            Kind::Rate,
            Some(3_000),
        ),
        (Wire::Ollama, "404 Not Found", "", "{\"error\":\"model 'm' not found\"}", Kind::Invalid, None),
        (
            Wire::Ollama,
            "503 Service Unavailable",
            "",
            "{\"error\":\"server busy, please try again.  maximum pending requests exceeded\"}",
            Kind::Overload,
            None,
        ),
        (Wire::OpenAi, "302 Found", "location: http://127.0.0.1:1/\r\n", "", Kind::Invalid, None),
    ];
    for (wire, status, headers, body, kind, wait) in cases {
        let (url, _request) = serve(refuse(status, headers, body)).await;
        let error = failure(provider(wire, &url).send(&question()).await);
        assert_eq!(
            (error.kind(), error.retry_after),
            (kind, wait.map(Duration::from_millis)),
            "{status} {body}"
        );
        assert!(!error.may_be_charged());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_anywhere_is_no_answer() {
    for (wire, content_type, stream) in WIRES {
        for end in [0, 1, stream.len() / 3, stream.len() / 2, stream.len() - 30] {
            for chunked in [true, false] {
                let framing = if chunked { "transfer-encoding: chunked" } else { "connection: close" };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n");
                let parts = vec![stream.as_bytes()[..end].to_vec()];
                let (url, _request) = serve(Script { head, parts, chunked, then: Then::Hangup }).await;
                let error = failure(whole(wire, &url).await);
                let kind = error.kind();
                // Cut in mid-line, what is left is no JSON: which is also told as an answer that cannot be used.
                assert!(
                    matches!(kind, Kind::Truncated | Kind::Network | Kind::Protocol),
                    "{wire:?} at {end}: {error:?}"
                );
                assert!(end == 0 || error.may_be_charged());
            }
        }
    }
}

#[tokio::test]
async fn a_page_instead_of_an_answer_is_told() {
    let (url, _request) =
        serve(Script::plain("200 OK", "content-type: text/html\r\n", "<html>Please log in</html>")).await;
    let error = failure(whole(Wire::OpenAi, &url).await);
    assert!(
        matches!(&error.fault, Fault::NotAnAnswer { start, .. } if start.contains("log in")),
        "{error:?}"
    );
}

#[tokio::test]
async fn servers_that_do_not_stream_are_read_too() {
    let body = "{\"model\":\"m\",\n\"choices\":[{\"message\":{\"content\":\"héllo\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}";
    let (url, _request) = serve(Script::plain("200 OK", "content-type: application/json\r\n", body)).await;
    check(&whole(Wire::OpenAi, &url).await.expect("an answer"), Wire::OpenAi);
    let (url, _request) = serve(Script::plain("200 OK", "content-type: application/json\r\n", OLLAMA)).await;
    check(&whole(Wire::Ollama, &url).await.expect("an answer"), Wire::Ollama);
}

#[tokio::test]
async fn every_wait_has_an_end() {
    // Nobody listens.
    let port =
        TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let error = failure(provider(Wire::OpenAi, &format!("http://127.0.0.1:{port}")).send(&question()).await);
    assert!(matches!(error.fault, Fault::Connect { .. }), "{error:?}");
    // The server accepts and says nothing; then one that stops in the middle.
    let (url, _request) =
        serve(Script { head: String::new(), parts: vec![], chunked: false, then: Then::Hang }).await;
    let error = failure(provider(Wire::OpenAi, &url).send(&question()).await);
    assert!(matches!(error.fault, Fault::Timeout { doing: "waiting for the first byte", .. }), "{error:?}");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned();
    let parts = vec![OPENAI.as_bytes()[..60].to_vec()];
    let (url, _request) = serve(Script { head, parts, chunked: false, then: Then::Hang }).await;
    let error = failure(whole(Wire::OpenAi, &url).await);
    assert!(
        matches!(error.fault, Fault::Timeout { doing: "waiting for the next part of the answer", .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn text_comes_while_the_answer_is_still_written() {
    use futures::StreamExt;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_owned();
    let first = OPENAI.find("\n\n").expect("an event") + 2;
    let (url, _request) = serve(Script {
        head,
        parts: vec![OPENAI.as_bytes()[..first].to_vec()],
        chunked: false,
        then: Then::Hang,
    })
    .await;
    let mut reply = provider(Wire::OpenAi, &url).send(&question()).await.expect("an answer begins");
    assert_eq!(reply.events.next().await.expect("an event").expect("a text"), Event::Text("hé".to_owned()));
}

#[test]
fn endpoints_are_checked_and_show_no_password() {
    for (url, usable) in [
        ("http://10.0.0.7:8080/v1/", true),
        ("https://api.example.org", true),
        ("http://[::1]:11434", true),
        ("ftp://x", false),
        ("localhost:11434", false),
        ("http://", false),
        ("http://user:hunter2@x/", false),
        ("http://x/?key=hunter2", false),
        ("http://x y", false),
    ] {
        let parsed = Endpoint::parse("p", url, None, Timeouts::default());
        assert_eq!(parsed.is_ok(), usable, "{url}");
        if let Err(error) = parsed {
            let told = format!("{error} {error:?} {}", error.fault);
            assert!(!told.contains("user:hunter2"), "{told}");
        }
    }
}

fn check(response: &Response, wire: Wire) {
    let usage = response.usage.expect("counts");
    assert_eq!((response.text.as_str(), usage.input, usage.output), ("héllo", 9, 2), "{wire:?}");
}

fn question() -> Request {
    Request::new("m", "Be brief.", "df?", 50)
}

async fn whole(wire: Wire, url: &str) -> Result<Response, ProviderError> {
    provider(wire, url).send(&question()).await?.whole().await
}

fn failure<T>(result: Result<T, ProviderError>) -> ProviderError {
    result.err().expect("a failure")
}

fn provider(wire: Wire, url: &str) -> Box<dyn Provider> {
    let short = Duration::from_millis(300);
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: short * 4,
        idle: short,
        total: Duration::from_secs(20),
    };
    let endpoint =
        Endpoint::parse("scripted", url, Some(ApiKey::new("sk-topsecret")), timeouts).expect("an endpoint");
    match wire {
        Wire::OpenAi => Box::new(OpenAi::new(endpoint, Dialect::VLLM)),
        Wire::Anthropic => Box::new(Anthropic::new(endpoint)),
        Wire::Ollama => Box::new(Ollama::new(endpoint, Settings::default())),
    }
}

/// What a server answers to the one request it gets.
struct Script {
    head: String,
    parts: Vec<Vec<u8>>,
    chunked: bool,
    then: Then,
}

enum Then {
    /// Ends the answer as it should.
    Close,
    /// Closes the connection with the answer unfinished.
    Hangup,
    /// Says nothing more until the client has gone.
    Hang,
}

impl Script {
    fn plain(status: &str, headers: &str, body: &str) -> Script {
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
        Script { head, parts: vec![body.as_bytes().to_vec()], chunked: false, then: Then::Close }
    }
}

fn refuse(status: &str, headers: &str, body: &str) -> Script {
    Script::plain(status, &format!("content-type: application/json\r\n{headers}"), body)
}

/// Serves one request, and gives what the client sent.
async fn serve(script: Script) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let request = read_request(&mut stream).await;
        let _ = answer(&mut stream, script).await;
        request
    });
    (url, task)
}

async fn answer(stream: &mut TcpStream, script: Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(script.head.as_bytes()).await?;
    for part in &script.parts {
        if script.chunked {
            stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
        }
        stream.write_all(part).await?;
        if script.chunked {
            stream.write_all(b"\r\n").await?;
        }
    }
    match script.then {
        Then::Close if script.chunked => stream.write_all(b"0\r\n\r\n").await,
        Then::Close | Then::Hangup => Ok(()),
        Then::Hang => stream.read(&mut [0; 1]).await.map(|_| ()),
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map(|rest| rest.lines().next().unwrap_or("0").parse::<usize>().expect("a length"));
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if count == 0 {
            return text;
        }
    }
}
