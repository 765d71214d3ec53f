//! `logs <deployment>`: what its instances say.

use proto::v1::log_line::Stream;
use proto::v1::{LogLine, LogsRequest};
use serde::Serialize;

use super::Context;
use super::console::{Format, Look, Style};
use super::interrupt::Interrupt;
use super::problem::Failure;
use super::units::{clock_time, rfc3339};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator logs hello-web
  orchestrator logs hello-web -f --tail 20
  orchestrator logs hello-web/1          # one instance
  orchestrator logs hello-web -o json | jq -r .text")]
pub struct LogsArgs {
    /// A deployment, or one instance of it like hello-web/0
    #[arg(value_name = "DEPLOYMENT[/INDEX]")]
    deployment: String,
    /// Go on with what is said from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Start with this many of the last lines; 0: only what is said from now on
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 200)]
    tail: u32,
}

pub async fn run(context: &Context, args: LogsArgs) -> Result<u8, Failure> {
    let mut lines = context.connect().await?.logs(request(args)).await?.into_inner();
    let interrupt = Interrupt::listen();
    loop {
        let line = tokio::select! {
            line = lines.message() => line?,
            () = interrupt.pressed() => return Ok(0),
        };
        let Some(line) = line else { return Ok(0) };
        match context.console.format {
            Format::Json => context.console.print_json_line(&Shown::from(&line))?,
            Format::Table => context.console.print_bytes(&text(&line, &context.console.out))?,
        }
    }
}

/// Who does not know of `only_new` takes a tail of 0 for all that is kept; one line is the least that can be asked for.
fn request(LogsArgs { deployment, follow, tail }: LogsArgs) -> LogsRequest {
    LogsRequest { deployment, follow, tail: tail.max(1), only_new: tail == 0 }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    time: Option<String>,
    node: &'a str,
    instance: &'a str,
    stream: &'static str,
    text: std::borrow::Cow<'a, str>,
}

impl<'a> From<&'a LogLine> for Shown<'a> {
    fn from(line: &'a LogLine) -> Self {
        Self {
            time: rfc3339(line.unix_ms),
            node: &line.node,
            instance: &line.instance,
            stream: stream(line.stream()),
            text: String::from_utf8_lossy(&line.text),
        }
    }
}

fn stream(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Agent => "agent",
    }
}

/// The bytes of the line as they are, after the instance that said them.
fn text(line: &LogLine, look: &Look) -> Vec<u8> {
    let style = match line.stream() {
        Stream::Stdout => Style::Dim,
        Stream::Stderr => Style::Warn,
        Stream::Agent => Style::Bold,
    };
    let mark = if line.stream() == Stream::Agent { " agent:" } else { "" };
    let who = format!("{}@{}{mark}", line.instance, line.node);
    let time = clock_time(line.unix_ms).map(|time| look.paint(Style::Dim, &time) + " ").unwrap_or_default();
    let mut bytes = (time + &look.paint(style, &who)).into_bytes();
    bytes.push(b' ');
    bytes.extend_from_slice(&line.text);
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_instance_and_keeps_its_bytes() {
        let mut line = LogLine {
            instance: "web/0".into(),
            node: "attic".into(),
            text: b"caf\xe9 \x1b[1mok".to_vec(),
            ..Default::default()
        };
        assert_eq!(text(&line, &Look::default()), b"web/0@attic caf\xe9 \x1b[1mok\n");
        line.stream = Stream::Agent.into();
        line.text = b"started".to_vec();
        line.unix_ms = 1_700_000_000_000;
        assert_eq!(text(&line, &Look::default()), b"11-14 22:13:20Z web/0@attic agent: started\n");
    }

    #[test]
    fn no_old_lines_are_asked_for_also_of_those_who_take_none_for_all() {
        let asked = |tail| {
            let args = LogsArgs { deployment: "web".into(), follow: true, tail };
            let LogsRequest { tail, only_new, .. } = request(args);
            (tail, only_new)
        };
        assert_eq!([0, 1, 200].map(asked), [(1, true), (1, false), (200, false)]);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line =
            LogLine { instance: "web/0".into(), unix_ms: 1, text: b"x\xff".to_vec(), ..Default::default() };
        let json = serde_json::to_string(&Shown::from(&line)).expect("JSON");
        insta::assert_snapshot!(json, @r#"{"time":"1970-01-01T00:00:00.001Z","node":"","instance":"web/0","stream":"stdout","text":"x�"}"#);
    }
}
