//! `node exec`: one command on many nodes, each line with the node that said it.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use proto::code::Code;
use proto::v1::exec_output::Event;
use proto::v1::{ExecOutput, FleetExecRequest};
use serde::Serialize;

use crate::cli::console::{Format, Style};
use crate::cli::interrupt::Interrupt;
use crate::cli::problem::{Failure, Problem};
use crate::cli::{Context, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator node exec attic -- uptime
  orchestrator node exec attic cellar -- df -h /
  orchestrator node exec --on room=attic -o json -- cat /etc/hostname

The command runs without a shell; for pipes write -- sh -c '…'.
Exit status: 0 where it succeeded on every node, else 1.")]
pub struct ExecArgs {
    #[arg(value_name = "NODE", required_unless_present = "on")]
    nodes: Vec<String>,
    /// Also on the nodes where all of these labels and capabilities hold
    #[arg(long, value_name = "SELECTOR")]
    on: Option<String>,
    /// How long the command may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::parse_duration)]
    timeout: Duration,
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub async fn run(context: &Context, args: ExecArgs) -> Result<u8, Failure> {
    let request = FleetExecRequest {
        nodes: args.nodes,
        selector: args.on.unwrap_or_default(),
        argv: args.command,
        timeout_ms: units::to_millis(args.timeout),
    };
    let is_single = request.nodes.len() == 1 && request.selector.is_empty();
    let outputs = context.connect().await?.exec(request).await?.into_inner();
    print(context, outputs, is_single).await
}

/// Prints what comes, until it has ended everywhere. What a single one says is passed on byte for byte.
pub async fn print(
    context: &Context,
    mut outputs: tonic::Streaming<ExecOutput>,
    is_single: bool,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen();
    let mut printer = Printer { context, is_single, lines: OpenLines::default(), failed: Vec::new() };
    loop {
        let output = tokio::select! {
            output = outputs.message() => output?,
            () = interrupt.pressed() => {
                context.console.say("interrupted: the command was asked to stop where it still runs");
                return Err(Failure::Interrupted);
            }
        };
        match output {
            Some(output) => printer.show(output)?,
            None => return printer.finish(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    node: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    #[serde(flatten)]
    event: ShownEvent,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownEvent {
    Text { stream: &'static str, text: String },
    Exit { exit_code: i32 },
}

/// `who` is a node, or an instance on one.
fn shown(who: &str, event: ShownEvent) -> Shown<'_> {
    match who.split_once('@') {
        Some((instance, node)) => Shown { node, instance: Some(instance), event },
        None => Shown { node: who, instance: None, event },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Stdout,
    Stderr,
}

/// Cuts what the nodes say into lines, so that two nodes never share one.
#[derive(Debug, Default)]
struct OpenLines {
    open: BTreeMap<(String, Stream), Vec<u8>>,
}

impl OpenLines {
    /// The lines that these bytes complete, without their ends.
    fn push(&mut self, node: &str, stream: Stream, bytes: &[u8]) -> Vec<Vec<u8>> {
        let rest = self.open.entry((node.to_owned(), stream)).or_default();
        rest.extend_from_slice(bytes);
        let Some(end) = rest.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let after = rest.split_off(end + 1);
        let complete = std::mem::replace(rest, after);
        complete[..end].split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// What a node said last without ending the line.
    fn rest(&mut self, node: &str) -> Vec<(Stream, Vec<u8>)> {
        let mut take = |stream| self.open.remove(&(node.to_owned(), stream)).map(|rest| (stream, rest));
        let rests = [take(Stream::Stdout), take(Stream::Stderr)];
        rests.into_iter().flatten().filter(|(_, rest)| !rest.is_empty()).collect()
    }
}

struct Printer<'a> {
    context: &'a Context,
    /// One node's output is passed on byte for byte.
    is_single: bool,
    lines: OpenLines,
    failed: Vec<(String, i32)>,
}

impl Printer<'_> {
    fn show(&mut self, output: ExecOutput) -> Result<(), Failure> {
        let ExecOutput { event, node, instance } = output;
        // Two instances on one node are two who speak.
        let who = if instance.is_empty() { node } else { format!("{instance}@{node}") };
        match event {
            Some(Event::Stdout(bytes)) => self.bytes(&who, Stream::Stdout, &bytes),
            Some(Event::Stderr(bytes)) => self.bytes(&who, Stream::Stderr, &bytes),
            Some(Event::ExitCode(code)) => self.exit(who, code),
            None => Ok(()),
        }
    }

    fn bytes(&mut self, node: &str, stream: Stream, bytes: &[u8]) -> Result<(), Failure> {
        if self.is_single && self.context.console.format == Format::Table {
            return self.write(stream, bytes);
        }
        for line in self.lines.push(node, stream, bytes) {
            self.line(node, stream, &line)?;
        }
        Ok(())
    }

    fn line(&self, node: &str, stream: Stream, line: &[u8]) -> Result<(), Failure> {
        let console = &self.context.console;
        if console.format == Format::Json {
            let name = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            let text = String::from_utf8_lossy(line).into_owned();
            return console.print_json_line(&shown(node, ShownEvent::Text { stream: name, text }));
        }
        let look = match stream {
            Stream::Stdout => &console.out,
            Stream::Stderr => &console.err,
        };
        let mut bytes = look.paint(Style::Dim, &format!("{node}:")).into_bytes();
        bytes.push(b' ');
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        self.write(stream, &bytes)
    }

    fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), Failure> {
        match stream {
            Stream::Stdout => self.context.console.print_bytes(bytes),
            Stream::Stderr => {
                let _ = std::io::stderr().lock().write_all(bytes);
                Ok(())
            }
        }
    }

    fn exit(&mut self, node: String, exit_code: i32) -> Result<(), Failure> {
        for (stream, rest) in self.lines.rest(&node) {
            self.line(&node, stream, &rest)?;
        }
        if self.context.console.format == Format::Json {
            let event = ShownEvent::Exit { exit_code };
            self.context.console.print_json_line(&shown(&node, event))?;
        }
        if exit_code != 0 {
            self.failed.push((node, exit_code));
        }
        Ok(())
    }

    fn finish(self) -> Result<u8, Failure> {
        if self.failed.is_empty() {
            return Ok(0);
        }
        let causes = self.failed.iter().map(|(node, code)| format!("on {node} it ended with status {code}"));
        let mut problem = Problem::new(Code::Failed, "the command failed");
        problem.causes.extend(causes);
        Err(problem.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_never_share_a_line() {
        let mut lines = OpenLines::default();
        assert!(lines.push("a", Stream::Stdout, b"hel").is_empty());
        assert_eq!(lines.push("b", Stream::Stdout, b"one\n\ntwo\nthr"), [&b"one"[..], b"", b"two"]);
        assert_eq!(lines.push("a", Stream::Stdout, b"lo\n"), [b"hello"]);
        assert!(lines.push("a", Stream::Stderr, b"oops").is_empty());
        assert_eq!(lines.rest("a"), [(Stream::Stderr, b"oops".to_vec())]);
        assert_eq!(lines.rest("b"), [(Stream::Stdout, b"thr".to_vec())]);
        assert!(lines.rest("b").is_empty());
    }
}
