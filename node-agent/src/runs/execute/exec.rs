//! `exec.argv` and `exec.shell`: a program in a sandbox.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plan::policy::look::Look;
use plan::sandbox::{self as ladder, Need, Network, Tier};
use plan::tool::Tool;
use serde_json::Value;

use super::program::Finished;
use super::{Errand, Outcome};
use crate::log;
use crate::runs::look::Node;
use crate::sandbox::egress::Egress;
use crate::sandbox::{Caps, Confined, Over};

const SHELL: &str = "/bin/sh";

pub async fn run(errand: &Errand) -> Outcome {
    match start(errand).await {
        Ok(finished) => judge(errand, finished),
        Err(outcome) => outcome,
    }
}

async fn start(errand: &Errand) -> Result<Finished, Outcome> {
    let confined = confined(errand).await.map_err(Outcome::Failed)?;
    let child = errand.bounded(errand.runs.agent.sandboxes.spawn(&confined)).await?;
    let child = child.map_err(|error| Outcome::Failed(log::chain(&error)))?;
    errand.watch_confined(child).await
}

/// What was ended for using too much did not do what it was to do, or nobody knows how much of it.
fn judge(errand: &Errand, finished: Finished) -> Outcome {
    match finished.over {
        None => Outcome::Returned(finished.out()),
        Some(Over::Memory) => errand.lost("it was ended for using more memory than a step may"),
        Some(Over::Scratch) => errand.lost("it was ended for filling its folder beyond what a step may"),
    }
}

async fn confined(errand: &Errand) -> Result<Confined, String> {
    let offer = errand.runs.agent.sandboxes.offer().await;
    let sandbox = offer.decide(need(errand)).map_err(|refused| {
        format!("{refused}; hint: `orchestrator doctor` says how this node can offer it")
    })?;
    let env = errand.call.args.get("env").and_then(Value::as_object);
    let env = env.into_iter().flatten();
    let env: BTreeMap<String, String> =
        env.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let writes = errand.effect != modules::effect::Effect::Read;
    let dir = errand.text("dir").map(PathBuf::from);
    Ok(Confined {
        argv: argv(errand)?,
        env,
        stdin: errand.text("stdin").unwrap_or_default().as_bytes().to_vec(),
        writable: dir.iter().filter(|_| writes).cloned().collect(),
        dir,
        sandbox,
        egress: (sandbox.network == Network::Named)
            .then(|| Egress { policy: errand.terms.policy.clone(), domains: errand.texts("domains") }),
        caps: Caps::default(),
    })
}

/// What the step asks for, and no less than a call of its kind needs, whoever thought of it.
fn need(errand: &Errand) -> Need {
    let least = match ladder::need(&errand.step) {
        Some(need) => need.tier,
        None => Tier::T1,
    };
    Need { tier: least, is_offline: errand.texts("domains").is_empty() }
}

/// The program where it was found, so that nothing is looked up a second time.
fn argv(errand: &Errand) -> Result<Vec<String>, String> {
    if errand.call.tool == Tool::ExecShell {
        let script = errand.text("script").unwrap_or_default().to_owned();
        return Ok(vec![SHELL.to_owned(), "-c".to_owned(), script]);
    }
    let mut argv = errand.texts("argv");
    let name = argv.first_mut().ok_or("there is no program")?;
    let node = Node { policy: &errand.terms.policy, own: &errand.own };
    let found = node.with(|look: &Look<'_>| (look.program)(name));
    *name = found.ok_or_else(|| format!("there is no program {name}"))?.found;
    Ok(argv)
}
