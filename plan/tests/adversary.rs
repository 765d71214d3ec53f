//! What a node said is a value and nothing more: each row is a text that a log, a file name or a model put into an output,
//! the step that uses it, and what becomes of that step at the moment of its use.

use std::collections::BTreeMap;

use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::{Look, Program};
use plan::run::event::{Event, Record};
use plan::run::{Action, Gate, Present, Run};
use plan::step::StepId;
use plan::validate::Surroundings;
use serde_json::{Value, json};

/// Steps that use `${log.out.text}`.
fn uses(name: &str) -> Value {
    let text = "${log.out.text}";
    let exec = |argv: Value| json!({"tool": "exec.argv", "effect": "destructive", "args": {"argv": argv}});
    match name {
        "ls" => exec(json!(["ls", "-l", text])),
        "glued" => exec(json!(["du", format!("--max-depth={text}"), "/var"])),
        "unknown" => exec(json!(["frobnicate", text])),
        "tar" => exec(json!(["tar", "cf", "/tmp/x.tar", text])),
        "apt" => exec(json!(["apt-get", "install", text])),
        "env" => {
            json!({"tool": "exec.argv", "effect": "destructive", "args": {"argv": ["df"], "env": {"LANG": text}}})
        }
        "path" => json!({"tool": "file.read", "args": {"path": text}}),
        "below" => json!({"tool": "file.read", "args": {"path": format!("/var/log/{text}")}}),
        "delete" => json!({"tool": "file.delete", "args": {"paths": [text]}}),
        "url" => json!({"tool": "http.get", "args": {"url": format!("https://example.org/{text}")}}),
        "unit" => json!({"tool": "service.stop", "args": {"name": text}}),
        other => panic!("no use is called {other}"),
    }
}

/// What is tried, where, with which text, and what becomes of it.
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("a good name", "ls", "/var/log/syslog", "open"),
    ("a command behind a semicolon is one word", "ls", "; reboot", "open"),
    ("a command in brackets is one word", "ls", "$(reboot)", "open"),
    ("a command in backticks is one word", "ls", "`reboot`", "open"),
    ("an option", "ls", "--color=always", "shut"),
    ("a reference of its own", "ls", "${log.out.text}", "open"),
    ("passwords", "ls", "/etc/shadow", "shut"),
    ("passwords by ../", "ls", "../../../etc/shadow", "shut"),
    ("passwords as an address", "ls", "file:///etc/shadow", "shut"),
    ("passwords behind an at", "ls", "@/etc/shadow", "shut"),
    ("passwords behind a comma", "ls", "x,/etc/shadow", "shut"),
    ("passwords behind a command", "ls", "x; cat /etc/shadow", "shut"),
    ("the agent's key", "ls", "/var/lib/node-agent/identity/key.pem", "shut"),
    ("an environment", "ls", "/proc/self/environ", "shut"),
    ("a NUL", "ls", "a\u{0}b", "shut"),
    ("an ANSI escape", "ls", "\u{1b}]0;x\u{7}", "shut"),
    ("a right-to-left mark", "ls", "x\u{202e}gpj.exe", "shut"),
    ("a full-width slash", "ls", "\u{ff0f}etc", "shut"),
    ("metadata", "ls", "http://169.254.169.254/", "shut"),
    ("metadata in decimal", "ls", "http://2852039166/", "shut"),
    ("a number", "glued", "1", "open"),
    ("no number", "glued", "x", "ask"),
    ("another option behind it", "glued", "1 --files0-from=/etc/shadow", "shut"),
    ("passwords behind an option", "glued", "/etc/shadow", "shut"),
    ("a socket", "unknown", "/run/docker.sock", "shut"),
    ("metadata with a user", "unknown", "user@0xA9.0xFE.0xA9.0xFE:80", "shut"),
    ("metadata by name", "unknown", "--url=http://metadata.google.internal/x", "shut"),
    ("an option of what nobody knows", "unknown", "--force", "shut"),
    ("a word for what nobody knows", "unknown", "force", "ask"),
    ("an action of tar", "tar", "--checkpoint-action=exec=sh", "shut"),
    ("a shortened action of tar", "tar", "--checkpoint-act=exec=sh", "shut"),
    ("a program for tar", "tar", "--to-command=sh", "shut"),
    ("a compressor for tar", "tar", "-Ish", "shut"),
    ("an option of apt", "apt", "-oAPT::Update::Pre-Invoke::=sh", "shut"),
    ("a package from a file", "apt", "/tmp/x.deb", "shut"),
    ("a package from anywhere", "apt", "./x.deb", "shut"),
    ("a package", "apt", "nginx", "ask"),
    ("a variable is written out", "env", "C.UTF-8", "refused"),
    ("a variable with passwords", "env", "/etc/shadow", "refused"),
    ("a path", "path", "/var/log/syslog", "open"),
    ("no path", "path", "rm -rf /", "shut"),
    ("a path from here", "path", "etc/shadow", "shut"),
    ("a path that goes up", "path", "/var/log/../../etc/shadow", "shut"),
    ("protected by doubled slashes", "path", "//etc//shadow", "shut"),
    ("the root of a process", "path", "/proc/1/root/etc/hostname", "shut"),
    ("the working folder of a process", "path", "/proc/self/cwd/x", "shut"),
    ("an open file of a process", "path", "/proc/self/fd/3", "shut"),
    ("a key of a person", "path", "/home/pi/.ssh/id_ed25519", "shut"),
    ("a person's history", "path", "/root/.bash_history", "ask"),
    ("a NUL in a path", "path", "/var/log/x\u{0}.gz", "shut"),
    ("a reference instead of a path", "path", "${node}", "shut"),
    ("up from below", "below", "../../etc/shadow", "shut"),
    ("up from the middle", "below", "x/../../../etc/shadow", "shut"),
    ("a name below", "below", "syslog", "open"),
    ("a deletion is asked for", "delete", "/var/log/x.gz", "ask"),
    ("a deletion of a unit", "delete", "/etc/systemd/system/x.service", "shut"),
    ("a deletion of a cron job", "delete", "/etc/cron.d/x", "shut"),
    ("a deletion of the agent", "delete", "/var/lib/node-agent/ledger", "shut"),
    ("a deletion of a disk", "delete", "/dev/sda", "shut"),
    ("a deletion by ../", "delete", "/tmp/../etc/passwd", "shut"),
    ("a page", "url", "releases?x=1", "open"),
    ("another host does not come by an at", "url", "@169.254.169.254/", "open"),
    ("a line break in a URL", "url", "x\r\nHost: 169.254.169.254", "shut"),
    ("a backslash in a URL", "url", "\\@169.254.169.254/", "shut"),
    ("a space in a URL", "url", "x HTTP/1.1", "shut"),
    ("the agent's unit", "unit", "node-agent.service", "shut"),
    ("the agent's unit, without its ending", "unit", "node-agent", "shut"),
    ("the unit that people come in by", "unit", "ssh.service", "ask"),
    ("an option instead of a unit", "unit", "--host=eve", "shut"),
    ("a path instead of a unit", "unit", "/tmp/x.service", "shut"),
    ("two units", "unit", "nginx node-agent", "shut"),
];

#[test]
fn what_a_node_said_is_a_value_and_nothing_more() {
    let mut open = Vec::new();
    for (tries, used, text, expected) in ROWS {
        let (got, why) = becomes(used, text);
        if got != *expected {
            open.push(format!("{tries} ({used} {text:?}): expected {expected}, got {got} {why}"));
        }
    }
    assert!(open.is_empty(), "{} of {}:\n{}", open.len(), ROWS.len(), open.join("\n"));
    assert!(ROWS.len() >= 60);
}

/// A person who is asked sees the text as it is, whatever it holds.
#[test]
fn a_person_who_is_asked_sees_every_character() {
    for text in [
        "/var/x\u{202e}gpj",
        "/var/x\u{9b}2J",
        "/var/x\u{200b}",
        "/var/x\u{7f}",
        "/var/x\u{2066}",
        "/var/a\nb",
        "/var/\"b",
    ] {
        let (got, shown) = becomes("delete", text);
        assert!(got == "ask" || got == "shut", "{text:?}: {got}");
        let is_plain = |c: char| c.is_ascii() && !c.is_ascii_control();
        assert!(got == "shut" || shown.chars().all(is_plain), "{text:?} is shown as {shown:?}");
    }
    let (_, shown) = becomes("delete", "/var/größe");
    assert!(shown.contains("/var/größe"), "letters are letters: {shown}");
}

/// What becomes of a step that uses a text which an earlier one gave; why, or what a person is asked.
fn becomes(used: &str, text: &str) -> (&'static str, String) {
    let mut step = uses(used);
    step["id"] = json!("use");
    step["needs"] = json!(["log"]);
    let log = json!({"id": "log", "tool": "file.read", "args": {"path": "/var/log/x"}});
    let plan = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 1000, time: 1h, steps: 50}}\nsteps: [{log}, {step}]\n"
    );
    let plan = Plan::parse("plan.yaml", plan.as_bytes(), &Surroundings::default());
    let plan = match plan {
        Ok(plan) => plan,
        Err(errors) => return ("refused", errors.to_string()),
    };
    let run = after_log(&plan, text);
    let step = plan.step(&StepId::parse("use").expect("an id")).expect("is there");
    if let Ok(call) = run.call(step, plan::run::event::Work::Do) {
        let words = |args: &BTreeMap<String, Value>| args.get("argv").and_then(Value::as_array).map(Vec::len);
        assert_eq!(words(&call.args), words(&step.call.args), "{used} {text:?}: a word stays one word");
    }
    match run.gate(step, &Policy::standard(), &look(), 1000) {
        Gate::Open => ("open", String::new()),
        Gate::Ask(request) => ("ask", request.shown),
        Gate::Shut(why) => ("shut", why),
    }
}

/// A run whose first step gave this text.
fn after_log(plan: &Plan, text: &str) -> Run {
    let mut run = Run::replay(&[Record { at_ms: 0, event: Run::begin("r1", "pi", plan) }]).expect("begins");
    let add = |run: &mut Run, event| run.apply(&Record { at_ms: 0, event }).expect("fits");
    for _ in 0..4 {
        let gate = |_: &plan::step::Step| Gate::Open;
        for action in run.next(&Present { now_ms: 0, gate: &gate, most: 1 }) {
            match action {
                Action::Weigh { step } => {
                    let step = plan.step(&step).expect("is there");
                    let event = run.weigh(step, &BTreeMap::new());
                    add(&mut run, event);
                }
                Action::Start { step, attempt, work, tier, key } if step.as_str() == "log" => {
                    let out = json!({"text": text, "size_bytes": text.len(), "truncated": false});
                    add(&mut run, Event::Started { step: step.clone(), attempt, work, tier, key });
                    add(&mut run, Event::Returned { step: step.clone(), attempt, work, out });
                    let event = run.check(plan.step(&step).expect("is there"), &BTreeMap::new());
                    add(&mut run, event);
                }
                _ => {}
            }
        }
    }
    run
}

/// A node on which every program is where it should be, and no path is a link.
fn look() -> Look<'static> {
    let program = |name: &str| {
        let found = if name.starts_with('/') { name.to_owned() } else { format!("/usr/bin/{name}") };
        Some(Program { found: found.clone(), real: found })
    };
    let program: &'static dyn Fn(&str) -> Option<Program> = Box::leak(Box::new(program));
    let real: &'static dyn Fn(&str) -> String = Box::leak(Box::new(str::to_owned));
    let own: &'static [String] = Box::leak(Box::new(["/var/lib/node-agent".to_owned()]));
    Look { program, real_path: real, own }
}
