//! `ask` against a scripted provider that speaks the real wire protocols: what is drafted, corrected, refused, reused,
//! and what is never shown.

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coordinator::clock::SystemClock;
use coordinator::store::url::StoreUrl;
use coordinator::store::{self, Op, Txn};
use llm::testing::{Asked, INPUT_TOKENS, OUTPUT_TOKENS, Say, Scripted, Wire};
use serde_json::{Value, json};

use crate::program::Program;

const GOAL: &str = "free disk space where it is above 85 %";
const KEY: &str = "sk-topsecret-4711";

#[test]
fn a_plan_is_drafted_over_every_wire_kept_and_never_carried_out_by_itself() {
    for wire in Wire::ALL {
        let scripted = Scripted::start(wire, "m", 7, |_| Say::json(&looking(json!({"every": true}))));
        let program = configured(&scripted, wire, "");
        let drafted = program.json(&["ask", GOAL, "--plan-only"]);
        assert_eq!(drafted["plan"]["goal"], GOAL, "{wire:?}");
        assert_eq!(drafted["plan"]["content"]["steps"][0]["call"]["tool"], "collect.disk");
        assert_eq!(drafted["spent"]["tokens"], INPUT_TOKENS + OUTPUT_TOKENS);
        let plans = program.json(&["plan", "list"]);
        assert_eq!(plans.as_array().map(Vec::len), Some(1));
        let told = scripted.asked()[0].text();
        assert!(told.contains(GOAL) && told.contains("collect.disk(") && told.contains("\"pi\""), "{told}");
        assert!(scripted.asked()[0].key.contains(KEY));
        // Without a person at a terminal nothing is approved.
        let ran = program.run(&["ask", GOAL]);
        ran.fails(2, "nobody is there to approve the plan");
        assert_eq!(program.json(&["plan", "list"])[0]["approved_by"], Value::Null);
        let yaml = program.run(&["plan", "draft", GOAL, "--yaml"]);
        assert!(yaml.status == 0 && yaml.stdout.contains("tool: collect.disk"), "{yaml:?}");
    }
}

#[test]
fn what_code_finds_wrong_is_corrected_once_with_the_exact_errors() {
    let cases: [(Say, &str); 6] = [
        (Say::Text("Sure! Here is your plan: step one".into()), "not JSON of the schema"),
        (Say::json(&steps(json!([{"id": "a", "tool": "collect.disc"}]))), "did you mean \"collect.disk\"?"),
        (Say::json(&looking(json!({"names": ["other"]}))), "no node is named other"),
        (Say::json(&looking(json!({"names": ["pi", "attic"]}))), "attic, which the person did not ask for"),
        (
            Say::json(&steps(
                json!([{"id": "a", "tool": "file.write", "args": {"path": "/etc/systemd/x", "text": "x"}}]),
            )),
            "what the policy allows",
        ),
        (
            Say::json(&steps(
                json!([{"id": "a", "tool": "exec.argv", "args": {"argv": ["rm", "-rf", "/"]}, "effect": "read"}]),
            )),
            "steps[0]",
        ),
    ];
    for (first, says) in cases {
        let said = format!("{first:?}");
        let count = AtomicUsize::new(0);
        let scripted =
            Scripted::start(Wire::OpenAi, "m", 100, move |_| match count.fetch_add(1, Ordering::SeqCst) {
                0 => first.clone(),
                _ => Say::json(&looking(json!({"names": ["pi"]}))),
            });
        let program = configured(&scripted, Wire::OpenAi, "");
        add_node(&program, "attic");
        let ran = program.run(&["ask", GOAL, "--plan-only", "--node", "pi"]);
        assert_eq!(ran.status, 0, "{said}: {ran:?}");
        assert!(
            ran.stderr.contains("is corrected once") && ran.stderr.contains(says),
            "{said}: {}",
            ran.stderr
        );
        let asked = scripted.asked();
        assert_eq!(asked.len(), 2);
        assert!(
            asked[1].text().contains(says),
            "the model is told exactly what is wrong: {}",
            asked[1].text()
        );
    }
}

#[test]
fn what_is_wrong_twice_is_refused_and_nothing_is_kept() {
    let shell = || {
        steps(
            json!([{"id": "a", "tool": "file.delete", "args": {"paths": ["/bin/sh"]}, "effect": "destructive"}]),
        )
    };
    for (say, says) in [
        (Say::Text("{\"plan\": [}".into()), "not JSON of the schema"),
        (Say::json(&shell()), "what the policy allows"),
        (Say::json(&looking(json!({"names": ["attic"]}))), "which the person did not ask for"),
        (Say::Calls(vec![("run_shell".into(), json!({"cmd": "id"}))]), "calls tools"),
    ] {
        let scripted = Scripted::start(Wire::Anthropic, "m", 33, move |_| say.clone());
        let program = configured(&scripted, Wire::Anthropic, "");
        add_node(&program, "attic");
        let ran = program.run(&["ask", GOAL, "--plan-only", "--node", "pi"]);
        assert_eq!((ran.status, scripted.count()), (1, 2), "{ran:?}");
        assert!(
            ran.stderr.contains("not even after it was corrected once") && ran.stderr.contains(says),
            "{}",
            ran.stderr
        );
        assert_eq!(program.json(&["plan", "list"]), json!([]));
    }
}

#[test]
fn a_model_that_refuses_is_heard() {
    let refusal = json!({"plan": null, "refuse": "no tool here can\u{1b}[2J fly"});
    let scripted = Scripted::start(Wire::Ollama, "m", 10, move |_| Say::json(&refusal));
    let program = configured(&scripted, Wire::Ollama, "");
    let ran = program.run(&["ask", "make the Pi fly", "--plan-only"]);
    assert_eq!((ran.status, scripted.count()), (1, 1));
    assert!(ran.stderr.contains("no tool here can") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}

#[test]
fn trouble_with_the_provider_is_told_and_never_shows_the_key() {
    let echo = format!("{{\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"bad key {KEY}\"}}}}");
    for wire in Wire::ALL {
        for (say, says) in [
            (Say::Refuse { status: "401 Unauthorized", headers: "", body: echo.clone() }, "bad key ***"),
            (Say::Refuse { status: "400 Bad Request", headers: "", body: echo.clone() }, "bad key ***"),
            (Say::Text(KEY.to_owned()), "not JSON of the schema"),
        ] {
            let scripted = Scripted::start(wire, "m", 5, move |_| say.clone());
            let program = configured(&scripted, wire, "");
            let ran = program.run(&["ask", GOAL, "--plan-only", "-vvv"]);
            assert_eq!(ran.status, 1, "{wire:?} {says}: {ran:?}");
            assert!(ran.stderr.contains(says), "{wire:?} {says}: {}", ran.stderr);
            for words in [&ran.stdout, &ran.stderr] {
                assert!(!words.contains(KEY), "{wire:?} {says}: {words}");
            }
            let budget = program.run(&["budget", "-o", "json"]);
            let doctor = program.run(&["doctor"]);
            assert!(!format!("{budget:?}{doctor:?}").contains(KEY));
        }
    }
}

#[test]
fn a_busy_provider_is_asked_again_and_a_truncated_answer_is_no_answer() {
    let count = AtomicUsize::new(0);
    let scripted = Scripted::start(Wire::Anthropic, "m", 11, move |_| {
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Say::Refuse {
                status: "529 Overloaded",
                headers: "",
                body: r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#.into(),
            },
            1 => Say::Truncated(looking(json!({"every": true})).to_string(), 300),
            2 => Say::Refuse {
                status: "429 Too Many Requests",
                headers: "retry-after-ms: 20\r\nanthropic-ratelimit-requests-limit: 100\r\nanthropic-ratelimit-requests-remaining: 99\r\n",
                body: r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#.into(),
            },
            _ => Say::json(&looking(json!({"every": true}))),
        }
    });
    let program = configured(&scripted, Wire::Anthropic, "");
    let ran = program.run(&["ask", GOAL, "--plan-only"]);
    assert_eq!((ran.status, scripted.count()), (0, 4), "{ran:?}");
    let quota = &program.json(&["budget"])["quotas"][0];
    assert_eq!((quota["requests_per_minute"].as_u64(), quota["key"].as_str()), (Some(100), Some("api")));
}

#[test]
fn a_budget_is_never_passed_and_says_which() {
    let scripted = Scripted::start(Wire::OpenAi, "m", 500, |_| Say::Text("no plan, only words".into()));
    let program = configured(&scripted, Wire::OpenAi, "[llm.caps]\nday = { money = 0.20 }\n");
    // Planning alone does not fit.
    let ran = program.run(&["ask", GOAL, "--plan-only", "--budget", "0.01"]);
    assert_eq!((ran.status, scripted.count()), (1, 0), "{ran:?}");
    assert!(
        ran.stderr.contains("the budget of plan:ask-") && ran.stderr.contains("of 0.01"),
        "{}",
        ran.stderr
    );
    let is_over = || program.run(&["ask", GOAL, "--plan-only"]).stderr.contains("the budget of day:");
    assert!((0..60).any(|_| is_over()), "{} calls", scripted.count());
    let charged = scripted.count() as u64 * (3 * INPUT_TOKENS + 15 * OUTPUT_TOKENS);
    assert!(charged <= 200_000, "{charged} of 200000 millionths");
}

#[test]
fn a_question_is_answered_by_low_and_a_module_is_offered_without_any_model() {
    let scripted = Scripted::start(Wire::Ollama, "small", 13, |asked: &Asked| {
        if asked.text().contains("You sort requests") {
            return Say::json(&json!({"kind": "question", "module": null, "confidence": 95}));
        }
        Say::Text("pi is the only one.\u{7}".into())
    });
    let program = program();
    configure(
        &program,
        &format!("[[llm.low]]\nprovider = 'ollama'\nurl = '{}'\nmodel = 'small'\n", scripted.url()),
    );
    let answer = program.json(&["ask", "which node has the most memory?"]);
    assert_eq!(
        (answer["route"].as_str(), answer["answer"].as_str()),
        (Some("answer"), Some("pi is the only one.\u{7}"))
    );
    assert!(!program.run(&["ask", "which node has the most memory?"]).stdout.contains('\u{7}'));
    let asked = scripted.count();
    let offered = program.json(&["ask", "install mosquitto"]);
    assert_eq!((offered["route"].as_str(), offered["module"].as_str()), (Some("module"), Some("mosquitto")));
    assert_eq!(scripted.count(), asked, "no model was asked for it");
    // A plan needs HIGH, and that none is there is said with what to do.
    let ran = program.run(&["ask", GOAL, "--plan-only"]);
    ran.fails(2, "no language model is configured that may plan");
    assert!(ran.stderr.contains("[[llm.high]]"), "{}", ran.stderr);
}

#[test]
fn modules_that_a_model_proposes_are_kept_as_drafts_and_dangerous_ones_are_not() {
    let good = "name: weather\nversion: 0.1.0\ndescription: shows the weather\nruntime: {process: {command: [sleep, '9']}}\n";
    let taken = "name: mosquitto\nversion: 9.9.9\nruntime: {process: {command: [sleep, '9']}}\n";
    let mut answer = looking(json!({"every": true}));
    answer["modules"] = json!([good, taken, "name: [broken"]);
    let scripted = Scripted::start(Wire::OpenAi, "m", 100, move |_| Say::json(&answer));
    let program = configured(&scripted, Wire::OpenAi, "");
    let ran = program.run(&["ask", GOAL, "--plan-only"]);
    assert!(ran.status == 0 && ran.stderr.contains("module weather 0.1.0 was drafted"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("was not kept").count(), 2, "{}", ran.stderr);
    let shown = program.json(&["module", "show", "weather"]);
    assert!(shown.to_string().contains("drafted by a model"), "{shown}");
    assert_eq!(program.json(&["status"]), json!([]));
}

/// A plan that only looks at disks.
fn looking(nodes: Value) -> Value {
    let step = json!({"id": "disk", "tool": "collect.disk", "success": [{"number": {"of": "out.used_percent", "below": 101}}]});
    json!({"plan": {"nodes": nodes, "steps": [step]}, "refuse": null})
}

fn steps(steps: Value) -> Value {
    json!({"plan": {"nodes": {"names": ["pi"]}, "steps": steps}, "refuse": null})
}

/// A program whose fleet has one node, which nobody can reach.
fn program() -> Program {
    let program = Program::new();
    add_node(&program, "pi");
    program
}

pub fn configured(scripted: &Scripted, wire: Wire, more: &str) -> Program {
    let program = program();
    let (wire, url) = (wire.name(), scripted.url());
    configure(
        &program,
        &format!(
            "[[llm.high]]\nprovider = '{wire}'\nurl = '{url}'\nmodel = 'm'\nkey = 'api'\nprice = {{ input = 3, output = 15 }}\n{more}"
        ),
    );
    set_secret(&program, "api", KEY);
    program
}

fn configure(program: &Program, text: &str) {
    let folder = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("a file");
}

fn set_secret(program: &Program, name: &str, value: &str) {
    let mut command = program.command(&["secret", "set", name]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), value.as_bytes()).expect("written");
    assert!(child.wait().expect("it ends").success());
}

fn add_node(program: &Program, name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(put_node(program, name, &["systemd"]));
}

/// A node as the store has it; what it is asked, it does not answer.
pub async fn put_node(program: &Program, name: &str, capabilities: &[&str]) {
    let folder = program.home().join("data");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a folder");
    let facts = json!({
        "arch": "aarch64", "os": "Debian 12", "cpu_cores": 4.0, "memory_bytes": 4_u64 << 30, "disk_bytes": 32_u64 << 30,
        "capabilities": capabilities, "hostname": name, "agent_version": "0.1.0",
    });
    let node = json!({
        "name": name, "contact": {"kind": "ssh", "destination": "nobody@127.0.0.1", "port": 1},
        "address": "127.0.0.1:1", "data_dir": "/nowhere", "sudo": false, "public_key": "00", "labels": {},
        "cordoned": false, "facts": facts, "enrolled_at": 1,
    });
    let url = StoreUrl::Sqlite(folder.join("orchestrator.db"));
    let store = store::connect(&url, Arc::new(SystemClock)).await.expect("a store");
    let put = Op::put(format!("/nodes/{name}"), node.to_string());
    store.commit(Txn::new().then(put)).await.expect("stored");
}
