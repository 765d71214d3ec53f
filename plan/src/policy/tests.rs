use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::look::{Look, Program};
use super::verdict::{Decision, Verdict};
use super::*;
use crate::step::Call;

mod commands;
mod limits;
mod others;

/// Judges on a node where some programs and paths are links.
fn judge_on(policy: &Policy, tool: &str, args: Value) -> Verdict {
    let program = |name: &str| {
        let found = if name.starts_with('/') { name.to_owned() } else { format!("/usr/bin/{name}") };
        let real = match super::rule::base(&found) {
            "nothing" => return None,
            "editor" => "/usr/bin/vim.basic".to_owned(),
            "harmless" => "/usr/bin/dash".to_owned(),
            "outside" => "/home/eve/tool".to_owned(),
            _ => found.clone(),
        };
        Some(Program { found, real })
    };
    let real_path = |path: &str| match path.strip_prefix("/tmp/link") {
        Some(rest) => format!("/etc{rest}"),
        None => path.replace("/tmp/key", "/var/lib/node-agent/identity/key.pem"),
    };
    let own = ["/var/lib/node-agent".to_owned()];
    let look = Look { program: &program, real_path: &real_path, own: &own };
    let call = Call {
        tool: crate::tool::Tool::parse(tool).expect(tool),
        args: serde_json::from_value(args).expect("a map"),
    };
    policy.judge(&call, &look)
}

fn judge(tool: &str, args: Value) -> Verdict {
    static STANDARD: std::sync::LazyLock<Policy> = std::sync::LazyLock::new(Policy::standard);
    judge_on(&STANDARD, tool, args)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn command(text: &str) -> Verdict {
    judge("exec.argv", json!({"argv": words(text)}))
}

fn shown(verdict: &Verdict) -> String {
    let reasons: Vec<&str> = verdict.reasons.iter().map(|reason| reason.text.as_str()).collect();
    format!("{} {} ({})", verdict.decision, verdict.effect, reasons.join("; "))
}
