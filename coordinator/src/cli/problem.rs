//! What went wrong, as the person sees it: `error:`, its causes, `hint:`, and the exit status.

use std::error::Error;

use proto::code::Code;
use proto::v1;

use super::console::{Look, Style, printable};
use super::explain;

/// Why a command ends before its time.
#[derive(Debug)]
pub enum Failure {
    Problem(Box<Problem>),
    /// Whoever read our stdout has gone; that is not an error.
    StdoutClosed,
    /// Ctrl-C; what is left behind was said already.
    Interrupted,
}

/// An error with all that helps to solve it.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub code: Code,
    /// Outermost first, each the cause of the one before.
    pub causes: Vec<String>,
    pub hint: Option<String>,
    pub explanation: Option<v1::Explanation>,
}

/// The exit status after Ctrl-C, as shells count it.
pub const INTERRUPTED: u8 = 130;

impl Failure {
    /// An error of our own, with its causes, one per line.
    pub fn new(code: Code, error: &(dyn Error + 'static)) -> Self {
        let mut causes: Vec<String> = Vec::new();
        for error in std::iter::successors(Some(error), |&error| error.source()) {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if causes.last().is_none_or(|last| !last.contains(&text)) {
                causes.extend(text.lines().map(str::to_owned));
            }
        }
        Problem { code, causes, hint: None, explanation: None }.into()
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Problem::new(Code::InvalidInput, message).into()
    }

    /// An operation on a file or terminal that failed.
    pub fn io(what: impl Into<String>, cause: &std::io::Error) -> Self {
        let code = match cause.kind() {
            std::io::ErrorKind::NotFound => Code::NotFound,
            std::io::ErrorKind::PermissionDenied => Code::Denied,
            _ => Code::Failed,
        };
        let mut problem = Problem::new(code, what);
        problem.causes.push(cause.to_string());
        problem.into()
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Failure::Problem(problem) = &mut self {
            problem.hint = Some(hint.into());
        }
        self
    }

    /// What was being done when this went wrong.
    #[must_use]
    pub fn beneath(mut self, message: impl Into<String>) -> Self {
        if let Failure::Problem(problem) = &mut self {
            problem.causes.insert(0, message.into());
        }
        self
    }

    pub fn from_stdout(cause: std::io::Error) -> Self {
        if cause.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::StdoutClosed
        } else {
            Failure::io("could not write to stdout", &cause)
        }
    }

    pub fn exit(&self) -> u8 {
        match self {
            Failure::Problem(problem) => problem.code.exit(),
            Failure::StdoutClosed => 0,
            Failure::Interrupted => INTERRUPTED,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problem(Box::new(problem))
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Problem::from_status(&status).into()
    }
}

impl Problem {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, causes: vec![message.into()], hint: None, explanation: None }
    }

    /// What the coordinator said; where it could say nothing, what the connection said.
    pub fn from_status(status: &tonic::Status) -> Self {
        let detail = <v1::Problem as prost::Message>::decode(status.details()).ok();
        match detail.filter(|detail| !detail.message.is_empty()) {
            Some(detail) => Self {
                code: Code::ALL
                    .into_iter()
                    .find(|code| code.as_str() == detail.code)
                    .unwrap_or_else(|| Code::from_grpc(status.code())),
                causes: detail.message.lines().map(str::to_owned).collect(),
                hint: Some(detail.hint).filter(|hint| !hint.is_empty()),
                explanation: detail.explanation,
            },
            None => Self::from_connection(status),
        }
    }

    fn from_connection(status: &tonic::Status) -> Self {
        // How the client of gRPC says that its own limit is over.
        if status.code() == tonic::Code::Cancelled && status.message() == "Timeout expired" {
            let problem = Problem::new(Code::TimedOut, "the coordinator did not answer in time");
            let hint = "a node may be slow; `orchestrator node list` shows who answers";
            return Problem { hint: Some(hint.to_owned()), ..problem };
        }
        let mut problem =
            Problem::new(Code::from_grpc(status.code()), "the coordinator did not answer as expected");
        problem.causes.push(format!("{}: {}", status.code().description(), status.message()));
        let sources = std::iter::successors(status.source(), |&error| error.source());
        problem.causes.extend(sources.map(ToString::to_string));
        problem.causes.dedup();
        problem
    }

    pub fn render(&self, look: &Look) -> String {
        let mut causes = self.causes.iter();
        let first = causes.next().map_or_else(|| "something went wrong".into(), |text| printable(text));
        let mut text = format!("{} {first}\n", look.paint(Style::Bad, "error:"));
        for cause in causes {
            text.push_str(&format!("  because {}\n", printable(cause)));
        }
        if let Some(explanation) = &self.explanation {
            text.push_str(&explain::explanation(explanation, look, 2));
        }
        if let Some(hint) = &self.hint {
            // Further lines, such as an example to copy, stay lines; they are set in, so that none looks like ours.
            for (number, line) in hint.trim_end().lines().enumerate() {
                match number {
                    0 => {
                        text.push_str(&format!("{} {}\n", look.paint(Style::Warn, "hint:"), printable(line)))
                    }
                    _ => text.push_str(&format!("  {}\n", printable(line))),
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use prost::Message;

    use super::*;

    fn status(problem: &v1::Problem) -> tonic::Status {
        tonic::Status::with_details(tonic::Code::ResourceExhausted, "no", problem.encode_to_vec().into())
    }

    #[test]
    fn a_problem_shows_its_causes_reasons_and_hint() {
        let verdict = |node: &str, failures: &[&str]| v1::explanation::NodeVerdict {
            node: node.into(),
            failures: failures.iter().map(|&failure| failure.into()).collect(),
            ..Default::default()
        };
        let problem = Problem::from_status(&status(&v1::Problem {
            code: "no_capacity".into(),
            message: "no node can run redis\nevery node fails a condition".into(),
            hint: "add a node with more memory".into(),
            explanation: Some(v1::Explanation {
                nodes: vec![
                    verdict("attic", &["memory: needs 4.0 GiB, has 1.2 GiB", "cordoned"]),
                    verdict("pi", &["arch: needs x86_64, is aarch64"]),
                ],
            }),
        }));
        assert_eq!(problem.code.exit(), 3);
        assert_snapshot!(problem.render(&Look::default()), @r"
        error: no node can run redis
          because every node fails a condition
          NODE   SCORE  WHY
          attic  -      memory: needs 4.0 GiB, has 1.2 GiB
                        cordoned
          pi     -      arch: needs x86_64, is aarch64
        hint: add a node with more memory
        ");
    }

    #[test]
    fn an_example_in_a_hint_keeps_its_lines_and_none_of_them_steers() {
        let problem = Problem::from_status(&status(&v1::Problem {
            code: "invalid_input".into(),
            message: "no model".into(),
            hint: "name one:\n[[llm.low]]\n  url = \"x\"\u{1b}[2J\nerror: all is lost\n".into(),
            explanation: None,
        }));
        assert_snapshot!(problem.render(&Look::default()), @r#"
        error: no model
        hint: name one:
          [[llm.low]]
            url = "x" [2J
          error: all is lost
        "#);
    }

    #[test]
    fn a_lost_connection_is_told_from_an_answer() {
        let problem = Problem::from_status(&tonic::Status::unavailable("connection reset"));
        assert_eq!(problem.code, Code::Unreachable);
        assert_snapshot!(problem.render(&Look::default()), @r"
        error: the coordinator did not answer as expected
          because The service is currently unavailable: connection reset
        ");
    }

    #[test]
    fn an_answer_that_does_not_come_is_said_to_be_late() {
        let problem = Problem::from_status(&tonic::Status::cancelled("Timeout expired"));
        assert_eq!(problem.code, Code::TimedOut);
        assert_snapshot!(problem.render(&Look::default()), @r"
        error: the coordinator did not answer in time
        hint: a node may be slow; `orchestrator node list` shows who answers
        ");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let closed = Failure::from_stdout(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit(), 0);
        let full = Failure::from_stdout(std::io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), 1);
    }
}
