//! A provider of one's own for tests: speaks the three wire protocols over real TCP, says what a script tells it to, and
//! remembers what it was asked. One thread, no runtime: usable from any test, also of the command line.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// A wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    OpenAi,
    Anthropic,
    Ollama,
}

impl Wire {
    pub const ALL: [Wire; 3] = [Wire::OpenAi, Wire::Anthropic, Wire::Ollama];

    /// As a configuration names it.
    pub fn name(self) -> &'static str {
        match self {
            Wire::OpenAi => "openai",
            Wire::Anthropic => "anthropic",
            Wire::Ollama => "ollama",
        }
    }
}

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub path: String,
    /// The line of the header that holds the key; empty without one.
    pub key: String,
    pub body: Value,
}

impl Asked {
    /// All that the model is told, instructions and messages, as one text.
    pub fn text(&self) -> String {
        let system = self.body["system"].as_str().unwrap_or_default().to_owned();
        let messages = self.body["messages"].as_array().into_iter().flatten().map(|message| {
            let parts = message["content"].as_array().into_iter().flatten();
            let parts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
            format!("{}{}", message["content"].as_str().unwrap_or_default(), parts.join("\n"))
        });
        std::iter::once(system).chain(messages).collect::<Vec<_>>().join("\n")
    }
}

/// What the provider says to a request.
#[derive(Clone, Debug)]
pub enum Say {
    /// A whole answer, with the tokens it is told to have taken.
    Text(String),
    /// Calls of tools, by name and arguments.
    Calls(Vec<(String, Value)>),
    /// A status other than 200, with header lines (`name: value\r\n` each) and a body.
    Refuse { status: &'static str, headers: &'static str, body: String },
    /// The first so many bytes of an answer, then the end of the connection.
    Truncated(String, usize),
    /// Bytes under status 200 that are of no protocol.
    Garbage(Vec<u8>),
    /// Nothing, until the asker has gone.
    Silence,
}

impl Say {
    pub fn json(value: &Value) -> Say {
        Say::Text(value.to_string())
    }
}

/// What a scripted provider counts for each answer.
pub const INPUT_TOKENS: u64 = 100;
pub const OUTPUT_TOKENS: u64 = 20;

/// A provider that says what it is told to. Stops when dropped.
pub struct Scripted {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
}

type Script = Box<dyn FnMut(&Asked) -> Say + Send>;

struct Server {
    wire: Wire,
    model: String,
    chunk: usize,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Mutex<Script>,
}

impl Scripted {
    /// Offers `model`, answers by `script`, and sends answers in pieces of `chunk` bytes.
    pub fn start(
        wire: Wire,
        model: &str,
        chunk: usize,
        script: impl FnMut(&Asked) -> Say + Send + 'static,
    ) -> Scripted {
        Scripted::listen("127.0.0.1:0", wire, model, chunk, script)
    }

    /// The same at an address of one's choice.
    pub fn listen(
        address: &str,
        wire: Wire,
        model: &str,
        chunk: usize,
        script: impl FnMut(&Asked) -> Say + Send + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind(address).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let (asked, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let server = Arc::new(Server {
            wire,
            model: model.to_owned(),
            chunk: chunk.max(1),
            asked: Arc::clone(&asked),
            script: Mutex::new(Box::new(script)),
        });
        let over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                // Somebody who hangs up is no trouble of the server.
                std::thread::spawn(move || stream.and_then(|stream| server.serve(stream)));
            }
        });
        Scripted { url, asked, is_over }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far; looks at what is offered are not counted.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    pub fn count(&self) -> usize {
        lock(&self.asked).len()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let (head, body) = read_request(&mut stream)?;
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if method == "GET" {
            let model = &self.model;
            let list = json!({"data": [{"id": model}], "models": [{"name": model}]});
            return plain(&mut stream, "200 OK", "", &list.to_string());
        }
        let names = ["authorization: ", "x-api-key: "];
        let is_key = |line: &&str| names.iter().any(|name| line.to_lowercase().starts_with(name));
        let asked = Asked {
            path: path.to_owned(),
            key: head.lines().find(is_key).unwrap_or_default().to_owned(),
            body: serde_json::from_str(&body).unwrap_or(Value::Null),
        };
        lock(&self.asked).push(asked.clone());
        let say = (lock(&self.script))(&asked);
        self.say(&mut stream, &asked, say)
    }

    fn say(&self, stream: &mut TcpStream, asked: &Asked, say: Say) -> std::io::Result<()> {
        match say {
            Say::Text(text) => self.stream(stream, &self.answer(asked, &text, &[]), true),
            Say::Calls(calls) => self.stream(stream, &self.answer(asked, "", &calls), true),
            Say::Refuse { status, headers, body } => plain(stream, status, headers, &body),
            Say::Truncated(text, most) => {
                let mut answer = self.answer(asked, &text, &[]);
                answer.truncate(most);
                self.stream(stream, &answer, false)
            }
            Say::Garbage(bytes) => self.stream(stream, &bytes, true),
            // Until the other side hangs up, or for as long as the timeout says.
            Say::Silence => stream.read(&mut [0]).map(|_| ()),
        }
    }

    fn stream(&self, stream: &mut TcpStream, bytes: &[u8], is_whole: bool) -> std::io::Result<()> {
        let content_type = match self.wire {
            Wire::OpenAi | Wire::Anthropic => "text/event-stream",
            Wire::Ollama => "application/x-ndjson",
        };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        for part in bytes.chunks(self.chunk) {
            stream.write_all(format!("{:x}\r\n", part.len()).as_bytes())?;
            stream.write_all(part)?;
            stream.write_all(b"\r\n")?;
        }
        if is_whole { stream.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }

    /// A whole answer on the wire.
    fn answer(&self, asked: &Asked, text: &str, calls: &[(String, Value)]) -> Vec<u8> {
        let model = asked.body["model"].as_str().unwrap_or_default();
        match self.wire {
            Wire::OpenAi => openai(model, text, calls),
            Wire::Anthropic => {
                let by_tool = asked.body["tool_choice"]["name"] == "answer";
                anthropic(model, text, calls, by_tool)
            }
            Wire::Ollama => ollama(model, text, calls),
        }
        .into_bytes()
    }
}

fn openai(model: &str, text: &str, calls: &[(String, Value)]) -> String {
    let mut events = Vec::new();
    let mut event = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        events.push(json!({"model": model, "choices": [choice]}));
    };
    for piece in pieces(text) {
        event(json!({"content": piece}), None);
    }
    for (index, (name, arguments)) in calls.iter().enumerate() {
        let function = json!({"name": name, "arguments": arguments.to_string()});
        let call =
            json!({"index": index, "id": format!("call_{index}"), "type": "function", "function": function});
        event(json!({"tool_calls": [call]}), None);
    }
    event(json!({}), Some(if calls.is_empty() { "stop" } else { "tool_calls" }));
    let usage = json!({"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS});
    events.push(json!({"model": model, "choices": [], "usage": usage}));
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    events + "data: [DONE]\n\n"
}

/// `by_tool`: the request forces the tool that stands for an answer of a schema.
fn anthropic(model: &str, text: &str, calls: &[(String, Value)], by_tool: bool) -> String {
    let mut events = Vec::new();
    let usage = json!({"input_tokens": INPUT_TOKENS, "output_tokens": 1});
    events.push(json!({"type": "message_start", "message": {"model": model, "usage": usage}}));
    let mut block = |start: Value, deltas: Vec<Value>| {
        let index = events.len();
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    };
    let input = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
    let tool = |id: String, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    if by_tool {
        block(tool("toolu_answer".to_owned(), "answer"), pieces(text).into_iter().map(input).collect());
    } else if !text.is_empty() {
        let delta = |text| json!({"type": "text_delta", "text": text});
        block(json!({"type": "text", "text": ""}), pieces(text).into_iter().map(delta).collect());
    }
    for (index, (name, arguments)) in calls.iter().enumerate() {
        block(tool(format!("toolu_{index}"), name), vec![input(&arguments.to_string())]);
    }
    let stop = if by_tool || !calls.is_empty() { "tool_use" } else { "end_turn" };
    let usage = json!({"output_tokens": OUTPUT_TOKENS});
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect()
}

fn ollama(model: &str, text: &str, calls: &[(String, Value)]) -> String {
    let mut lines: Vec<Value> = pieces(text)
        .into_iter()
        .map(|piece| json!({"model": model, "message": {"role": "assistant", "content": piece}, "done": false}))
        .collect();
    if !calls.is_empty() {
        let function =
            |(name, arguments): &(String, Value)| json!({"function": {"name": name, "arguments": arguments}});
        let calls: Vec<Value> = calls.iter().map(function).collect();
        let message = json!({"role": "assistant", "content": "", "tool_calls": calls});
        lines.push(json!({"model": model, "message": message, "done": false}));
    }
    lines.push(json!({
        "model": model, "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "stop",
        "prompt_eval_count": INPUT_TOKENS, "eval_count": OUTPUT_TOKENS,
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A text in the pieces in which models write.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().map(|(at, _)| at).nth(23).unwrap_or(rest.len());
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

fn plain(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// The head and the body of a request.
fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..count]);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ").and_then(|rest| rest.trim().parse().ok())
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) || count == 0 {
                return Ok((head, String::from_utf8_lossy(&bytes[end + 4..]).into_owned()));
            }
        } else if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
