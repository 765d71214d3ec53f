//! The loop of a model that uses tools: at most five rounds, only what its step allows, and no turning in circles.

use std::collections::BTreeMap;

use modules::digest::Digest;
use modules::effect::Effect;
use serde_json::Value;

use crate::canonical::canonical_json;
use crate::fault::Faults;
use crate::policy::web::{Url, is_under};
use crate::step::Call;
use crate::tool::{Kind, Tool};

/// Rounds of tool calls, whatever a plan says.
pub const MAX_ROUNDS: u32 = 5;
/// Calls in one round.
pub const MAX_CALLS: usize = 8;
/// Bytes of one tool's result that the model sees.
pub const RESULT_CAP: u32 = 8 << 10;
/// How often the very same call may be asked for before the loop ends: the second time it is only told.
const SAME_CALLS: u32 = 3;

/// What a model may do in one step.
#[derive(Debug, Clone)]
pub struct Loop {
    tools: Vec<Tool>,
    /// Hosts that the plan names: the model chooses no others.
    domains: Vec<String>,
    effect: Effect,
    rounds: u32,
    used: u32,
    seen: BTreeMap<Digest, u32>,
}

/// What becomes of a call that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// The policy judges it next.
    Do,
    /// The model is told why not, and may go on.
    Refuse(String),
    /// The loop ends; the step has failed.
    Stop(String),
}

impl Loop {
    pub fn new(tools: &[Tool], domains: &[String], effect: Effect, rounds: u32) -> Self {
        Self {
            tools: tools.to_vec(),
            domains: domains.to_vec(),
            effect,
            rounds: rounds.clamp(1, MAX_ROUNDS),
            used: 0,
            seen: BTreeMap::new(),
        }
    }

    /// Begins a round with so many calls.
    ///
    /// # Errors
    /// Why there is no further round.
    pub fn begin_round(&mut self, calls: usize) -> Result<(), String> {
        if calls > MAX_CALLS {
            return Err(format!("{calls} calls in one round; at most {MAX_CALLS}"));
        }
        if self.used == self.rounds {
            return Err(format!("no answer after {} rounds of tools", self.rounds));
        }
        self.used += 1;
        Ok(())
    }

    /// Rules on one call; its arguments are those of the model and hold no references.
    pub fn rule(&mut self, call: &Call) -> Ruling {
        let args = canonical_json(&Value::Object(call.args.clone().into_iter().collect()));
        let times = self.seen.entry(Digest::of(format!("{} {args}", call.tool).as_bytes())).or_default();
        *times += 1;
        if *times >= SAME_CALLS {
            return Ruling::Stop(format!("{} was called {times} times with the same arguments", call.tool));
        }
        if *times > 1 {
            return Ruling::Refuse(
                "this very call was made before; use its result or do something else".to_owned(),
            );
        }
        if !self.tools.contains(&call.tool) {
            let names: Vec<&str> = self.tools.iter().map(|tool| tool.name()).collect();
            return Ruling::Refuse(format!(
                "{} is not among the tools of this step: {}",
                call.tool,
                names.join(", ")
            ));
        }
        if matches!(call.tool.kind(), Kind::Llm | Kind::Human | Kind::Module) || call.tool == Tool::ExecShell
        {
            return Ruling::Refuse(format!("{} is not for a model to use", call.tool));
        }
        if call.tool.effect() > self.effect {
            return Ruling::Refuse(format!(
                "{} is {}, this step may only {}",
                call.tool,
                call.tool.effect(),
                self.effect
            ));
        }
        if let Some(host) = self.beyond(call) {
            return Ruling::Refuse(format!("{host} is not among the hosts that this step names"));
        }
        let mut faults = Faults::default();
        call.tool.signature().check_values("args", &call.args, &mut faults);
        if args.contains("${") {
            faults.add("args", "a reference", "values", None);
        }
        match faults.is_empty() {
            true => Ruling::Do,
            false => Ruling::Refuse(faults.to_string()),
        }
    }

    /// A host that the call would speak to and the step does not name.
    fn beyond(&self, call: &Call) -> Option<String> {
        let asked = call.args.get("domains").and_then(Value::as_array).into_iter().flatten();
        let asked = asked.filter_map(Value::as_str).map(str::to_owned);
        let url = call.args.get("url").and_then(Value::as_str);
        // What is no URL is refused for that.
        let host = url.and_then(|url| Url::parse(url).ok()).map(|url| url.host);
        asked.chain(host).find(|host| {
            let host = host.to_ascii_lowercase();
            !self.domains.iter().any(|domain| is_under(&host, domain))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_that_loops_or_reaches_further_is_stopped() {
        let mut low = Loop::new(&[Tool::FileRead, Tool::FileList, Tool::FileWrite], &[], Effect::Read, 99);
        let cases = [
            ("file.read", json!({"path": "/a"}), "Do"),
            ("file.read", json!({"path": "/b"}), "Do"),
            ("file.read", json!({"path": "/a"}), "Refuse(\"this very call was made before"),
            ("file.read", json!({"path": "/a"}), "Stop(\"file.read was called 3 times"),
            (
                "exec.argv",
                json!({"argv": ["rm"]}),
                "Refuse(\"exec.argv is not among the tools of this step: file.read, file.list, file.write",
            ),
            ("exec.shell", json!({"script": "x"}), "is not among the tools"),
            (
                "file.write",
                json!({"path": "/a", "text": "x"}),
                "Refuse(\"file.write is reversible, this step may only read",
            ),
            ("file.read", json!({"path": "../etc/shadow"}), "expected an absolute path"),
            ("file.read", json!({"path": "${disk.out.path}"}), "found a reference"),
            ("file.read", json!({"path": "/c", "sudo": true}), "the unknown argument \\\"sudo\\\""),
        ];
        for (tool, args, says) in cases {
            let call = Call {
                tool: Tool::parse(tool).expect(tool),
                args: serde_json::from_value(args).expect("a map"),
            };
            let ruling = format!("{:?}", low.rule(&call));
            assert!(ruling.contains(says), "{tool}: {ruling}");
        }
        for round in 0..MAX_ROUNDS {
            assert_eq!(low.begin_round(1), Ok(()), "{round}");
        }
        assert_eq!(low.begin_round(1), Err("no answer after 5 rounds of tools".to_owned()));
        assert!(Loop::new(&[], &[], Effect::Read, 1).begin_round(9).is_err());
    }

    #[test]
    fn a_model_speaks_to_no_host_that_the_plan_does_not_name() {
        let domains = ["example.org", "*.example.net"].map(str::to_owned);
        let cases = [
            (json!({"url": "https://example.org/x"}), true),
            (json!({"url": "https://EXAMPLE.org:8443/x", "domains": ["example.org"]}), true),
            (json!({"url": "https://a.example.net/", "domains": ["a.example.net"]}), true),
            (json!({"url": "https://a.example.org/"}), false),
            (json!({"url": "https://example.net/"}), false),
            (json!({"url": "https://example.org.evil.test/"}), false),
            (json!({"url": "https://example.org/", "domains": ["evil.test"]}), false),
            (json!({"url": "https://example.org/", "domains": ["*.example.org"]}), false),
        ];
        for (args, is_named) in cases {
            let call =
                Call { tool: Tool::HttpGet, args: serde_json::from_value(args.clone()).expect("a map") };
            let rule = |domains: &[String]| Loop::new(&[Tool::HttpGet], domains, Effect::Read, 5).rule(&call);
            assert_eq!(rule(&domains) == Ruling::Do, is_named, "{args}: {:?}", rule(&domains));
            assert!(
                matches!(rule(&[]), Ruling::Refuse(why) if why.contains("not among the hosts")),
                "{args}"
            );
        }
    }
}
