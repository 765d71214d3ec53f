//! `doctor`: whether all that the coordinator needs is there.

mod checks;
mod sandboxes;

use serde::Serialize;

use super::Context;
use super::console::{Look, Style};
use super::problem::Failure;
use super::table::{Cell, Fit, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator doctor
  orchestrator doctor -o json | jq '.[] | select(.state != \"ok\")'

Exit status: 0 where nothing is broken, else 1.")]
pub struct DoctorArgs {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    check: String,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn new(check: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { check: check.into(), state, detail: detail.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

pub async fn run(context: &Context, _: DoctorArgs) -> Result<u8, Failure> {
    let checks = checks::all(context).await;
    context.print_or(&checks, |look| table(&checks, look))?;
    let is_broken = checks.iter().any(|check| check.state == State::Fail);
    Ok(u8::from(is_broken))
}

fn table(checks: &[Check], look: &Look) -> String {
    let mut table = Table::new(&[("CHECK", Fit::Keep), ("STATE", Fit::Keep), ("DETAIL", Fit::Wrap)]);
    for check in checks {
        let (word, style) = match check.state {
            State::Ok => ("ok", Style::Good),
            State::Warn => ("warn", Style::Warn),
            State::Fail => ("fail", Style::Bad),
        };
        table.row([Cell::from(&check.check), Cell::styled(word, style), (&check.detail).into()]);
        if let Some(hint) = &check.hint {
            table.row(["".into(), "".into(), Cell::styled(format!("hint: {hint}"), Style::Warn)]);
        }
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_comes_with_what_to_do() {
        let checks = [
            Check::new("ssh client", State::Ok, "OpenSSH_9.2p1"),
            Check::new("store", State::Fail, "could not reach etcd://a:2379")
                .with_hint("is etcd running there?"),
            Check::new("node attic", State::Warn, "unknown: not reached for 20s"),
        ];
        insta::assert_snapshot!(table(&checks, &Look::default()), @r"
        CHECK       STATE  DETAIL
        ssh client  ok     OpenSSH_9.2p1
        store       fail   could not reach etcd://a:2379
                           hint: is etcd running there?
        node attic  warn   unknown: not reached for 20s
        ");
    }
}
