//! `ask` over real hosts, with providers that a script speaks for over real HTTP: from a goal in plain words to a run that
//! is shown to have reached it, or is not called done.

use std::time::Duration;

use e2e::host::Host;
use e2e::orchestrator::eventually;
use e2e::scene::Scene;
use llm::testing::{Asked, Say, Scripted, Wire};
use serde_json::{Value, json};

const GOAL: &str = "free disk space on every node that is above 85 %";

#[test]
fn a_goal_becomes_a_plan_that_people_approve_that_is_mended_on_the_way_and_shown_to_have_worked() {
    let scene = Scene::enrolled(3).unwrap();
    for (wire, chunk) in Wire::ALL.into_iter().zip([7, 1, 4096]) {
        a_goal_is_reached_over(wire, chunk, &scene);
    }
}

fn a_goal_is_reached_over(wire: Wire, chunk: usize, scene: &Scene) {
    let cli = &scene.orchestrator;
    fill(scene.fleet.host("a"), true);
    // The folder that the plan counts on is not there.
    fill(scene.fleet.host("b"), false);
    let models = Models::start(scene, wire, chunk, clean_up, no_step);

    let waiting = cli.run(&format!("ask '{GOAL}' --fresh --yes -o json")).exits(3);
    let run = waiting.json()["run"].as_str().unwrap().to_owned();
    assert_eq!(models.high(Kind::Draft), 1, "{wire:?}: {waiting}");
    for (host, path) in [("a", CACHE), ("a", LOG), ("b", LOG)] {
        let is_there = scene.fleet.host(host).exists(path);
        assert!(is_there, "{wire:?}: {path} on {host} before anybody said yes\n{waiting}");
    }

    let shown = approve_to_the_end(scene, &run);
    assert_eq!(shown["state"], "done", "{wire:?}: {shown}");
    assert_eq!((&shown["verdict"]["achieved"], &shown["verdict"]["by"]), (&"yes".into(), &"m".into()));
    assert_eq!(states(&shown), ["done", "done", "done"], "{shown}");
    for (host, path, is_left) in
        [("a", CACHE, false), ("a", LOG, false), ("b", LOG, false), ("c", "/var/log", true)]
    {
        assert_eq!(scene.fleet.host(host).exists(path), is_left, "{wire:?}: {path} on {host}\n{shown}");
    }
    let replanned = |node: &Value| node["records"].to_string().contains("\"replanned\"");
    let nodes = shown["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().map(replanned).collect::<Vec<_>>(), [false, true, false], "{wire:?}: {shown}");
    for node in nodes {
        assert_eq!(node["receipts"]["verified"], true, "{node}");
    }
    assert_eq!((models.high(Kind::Draft), models.high(Kind::Replan), models.high(Kind::Verify)), (1, 1, 1));
    cli.ok(&format!("run show {run}")).says("reached, by m").says("all of them hold");
    let look = shown["verdict"]["run"].as_str().unwrap();
    cli.ok(&format!("run show {look}")).says("used_percent");
    let listed = cli.ok("run list -o json").json();
    let runs = listed.as_array().unwrap();
    assert!(runs.iter().all(|run| run["run"].as_str() != Some(look)), "looks are not listed: {listed}");
}

#[test]
fn the_second_time_no_model_writes_a_plan_until_the_fleet_or_a_module_is_another() {
    let scene = Scene::bare(2).unwrap();
    let cli = &scene.orchestrator;
    cli.ok("node add a --ssh a");
    let models = Models::start(&scene, Wire::Anthropic, 64, clean_up, no_step);
    cli.ok(&format!("ask '{GOAL}' --yes"));
    let (high, low) = (models.high.count(), models.low.count());

    let again = cli.ok(&format!("ask 'Please {GOAL}' --plan-only -o json")).json();
    assert_eq!((&again["route"], &again["is_earlier"]), (&"earlier".into(), &true.into()), "{again}");
    assert_eq!((models.high.count(), models.low.count()), (high, low), "nobody was asked");

    cli.ok("node add b --ssh b");
    let changed = cli.ok(&format!("ask '{GOAL}' --plan-only -o json")).json();
    assert!(changed["reasons"].to_string().contains("has changed since"), "{changed}");
    assert_eq!(models.high(Kind::Draft), 2);

    cli.ok(&format!("ask '{GOAL}' --yes"));
    assert_eq!(models.high(Kind::Draft), 3, "its plan has not run on this fleet yet");
    assert_eq!(cli.ok(&format!("ask '{GOAL}' --plan-only -o json")).json()["is_earlier"], true);
    assert_eq!(models.high(Kind::Draft), 3);
    scene.fleet.desk().write("/root/weather/MODULE.yaml", WEATHER).unwrap();
    cli.ok("module add ./weather");
    cli.ok(&format!("ask '{GOAL}' --plan-only"));
    assert_eq!(models.high(Kind::Draft), 4, "a module is new");
}

const WEATHER: &str = "name: weather\nversion: 1.0.0\nruntime: {process: {command: [sleep, '1000']}}\n";

#[test]
fn over_every_wire_a_bad_provider_is_borne_and_low_gives_way_to_high() {
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    for (wire, chunk) in Wire::ALL.into_iter().zip([1, 13, 4096]) {
        // An answer that breaks off, an overloaded provider, a busy one, an answer that is none: then what is right.
        let mut troubles = vec![
            Say::Truncated(pick().to_string(), 60),
            Say::Refuse { status: "529 Site is overloaded", headers: "", body: OVERLOADED.into() },
            Say::Refuse { status: "429 Too Many Requests", headers: "retry-after: 1\r\n", body: BUSY.into() },
            Say::Text("Sure! Here is your plan.".into()),
        ];
        troubles.reverse();
        let high = move |asked: &Asked| match kind(asked) {
            Kind::Draft => troubles.pop().unwrap_or_else(|| Say::json(&pick())),
            Kind::Step => Say::json(&json!({"choice": "cache", "why": "it is larger"})),
            Kind::Verify => achieved(true),
            Kind::Sort | Kind::Replan => Say::Silence,
        };
        let low = |_: &Asked| Say::Text("I would rather not say".into());
        let models = Models::start(&scene, wire, chunk, high, low);
        scene.fleet.host("a").run("rm -f /var/tmp/picked").unwrap();
        let ran = cli.run("ask 'write down which folder is larger' --fresh --yes -o json");
        let shown = match ran.code {
            Some(0) => ran.json(),
            _ => approve_to_the_end(&scene, ran.clone().exits(3).json()["run"].as_str().unwrap()),
        };
        assert_eq!(shown["state"], "done", "{wire:?}\n{shown}\n{ran}");
        assert_eq!(scene.fleet.host("a").read("/var/tmp/picked").unwrap(), "cache", "{wire:?}");
        assert_eq!(models.high(Kind::Draft), 5, "{wire:?}: four troubles, then a plan\n{ran}");
        assert_eq!(models.high(Kind::Step), 1, "{wire:?}: two failures of LOW, then HIGH");
        assert!(models.low.count() >= 2, "{wire:?}: LOW was asked first");
        ran.says("corrected once").says_nothing_of(KEY);
    }
}

const BUSY: &str = r#"{"error": {"type": "rate_limit_error", "message": "slow down"}}"#;
const OVERLOADED: &str = r#"{"error": {"type": "overloaded_error", "message": "Overloaded"}}"#;

/// A plan in which a model decides.
fn pick() -> Value {
    plan(json!([
        {"id": "facts", "tool": "collect.facts"},
        {"id": "pick", "needs": ["facts"], "tool": "llm.decide", "tier": "low", "on_failure": "escalate",
         "args": {"prompt": "which folder is larger?", "options": ["log", "cache"]}},
        {"id": "write", "needs": ["pick"], "tool": "file.write", "effect": "reversible",
         "args": {"path": "/var/tmp/picked", "text": "${pick.out.choice}"}},
        {"id": "check", "needs": ["write"], "tool": "verify.file",
         "args": {"path": "/var/tmp/picked", "contains": "cache"}},
    ]))
}

/// The model says that it freed the disk. Nothing of the sort has happened.
const LIE: &str = "
goal: Have the junk removed
nodes: {every: true}
budget: {money: 1, tokens: 200000}
steps:
  - {id: free, tool: llm.ask, tier: low, args: {prompt: remove the junk}, success: [{contains: {of: out.text, text: done}}]}
";
const CHECKED: &str = "  - {id: after, needs: [free], tool: verify.file, args: {path: /var/tmp/junk, exists: false}, on_failure: continue}\n";

#[test]
fn a_model_that_only_says_that_it_is_done_is_not_believed() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    scene.fleet.host("a").write("/var/tmp/junk", "x").unwrap();
    let lie = |_: &Asked| Say::Text("All done: the junk is gone, the goal is reached.".into());
    let denied = |asked: &Asked| match kind(asked) {
        Kind::Draft => Say::json(&plan(json!([
            {"id": "drop", "tool": "file.write", "args": {"path": "/var/tmp/note", "text": "gone"}, "effect": "reversible"},
            {"id": "after", "needs": ["drop"], "tool": "verify.file", "args": {"path": "/var/tmp/note"}},
        ]))),
        _ => achieved(false),
    };
    let _models = Models::start(&scene, Wire::Ollama, 100, denied, lie);

    desk.write("/root/plan.yaml", LIE).unwrap();
    cli.ok("plan approve plan.yaml");
    let unshown = cli.run("plan run plan.yaml -o json").exits(1).says("unverified");
    assert_eq!(unshown.json()["state"], "unverified", "{unshown}");

    desk.write("/root/plan.yaml", &format!("{LIE}{CHECKED}")).unwrap();
    cli.ok("plan approve plan.yaml");
    let refuted = cli.run("plan run plan.yaml -o json").exits(1).says("the goal is not reached");
    let run = refuted.json()["run"].as_str().unwrap().to_owned();
    let shown = cli.ok(&format!("run show {run} -o json")).json();
    assert_eq!((&shown["state"], &shown["verdict"]["achieved"]), (&"failed".into(), &"no".into()), "{shown}");
    assert_eq!(shown["verdict"]["by"], "code", "no model is asked where a predicate says no");

    // And where the predicates hold, HIGH may still say no to a plan that a model wrote.
    let doubted = cli.run("ask 'remove the junk' --fresh --yes -o json").exits(1);
    assert_eq!(doubted.json()["state"], "failed", "{doubted}");
    doubted.says("the goal is not reached: the disk is as full as before");
    assert!(scene.fleet.host("a").exists("/var/tmp/junk"));
    cli.ok("plan check plan.yaml");
}

#[test]
fn a_model_that_never_comes_to_an_end_spends_no_more_than_its_plan_allows() {
    let scene = Scene::enrolled(2).unwrap();
    let cli = &scene.orchestrator;
    let mut round = 0;
    let endless = move |_: &Asked| {
        round += 1;
        Say::Calls(vec![("collect__disk".to_owned(), json!({"path": format!("/{round}")}))])
    };
    let models = Models::start(&scene, Wire::OpenAi, 100, |_: &Asked| Say::Silence, endless);
    scene.fleet.desk().write("/root/plan.yaml", ENDLESS).unwrap();
    cli.ok("plan approve plan.yaml");
    let failed = cli.run("plan run plan.yaml -o json").exits(1);
    let run = failed.json()["run"].as_str().unwrap().to_owned();
    let shown = cli.ok(&format!("run show {run} -o json")).json();
    assert!(shown.to_string().contains("the budget of plan:"), "{shown}");
    // 100 tokens in and 20 out for each answer.
    let charged = models.low.count() * (100 * 3 + 20 * 15);
    assert!(models.low.count() >= 2 && charged <= 25_000, "{} answers: {charged}", models.low.count());
    let budget = cli.ok("budget -o json").json();
    let account = format!("plan:{run}");
    let booked = budget["accounts"].as_array().unwrap().iter().find(|of| of["account"] == account.as_str());
    let booked =
        booked.unwrap_or_else(|| panic!("no {account}: {budget}"))["spent"]["money"].as_str().unwrap();
    let booked: f64 = booked.trim_start_matches('$').parse().unwrap();
    assert!(
        booked <= 0.025 && booked >= charged as f64 / 1e6,
        "{booked} booked, {charged} millionths charged"
    );
}

const ENDLESS: &str = "
goal: Find out what is in the way
nodes: {every: true}
rollout: {canary: 0, batch: 0, max_failures: 5}
budget: {money: 0.025, tokens: 200000, steps: 50}
steps:
  - id: think
    tool: llm.ask
    tier: low
    args: {prompt: what is in the way?, tools: [collect.disk], rounds: 5}
    on_failure: {retry: 3}
";

/// What a model is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Sort,
    Draft,
    Replan,
    Verify,
    Step,
}

pub fn kind(asked: &Asked) -> Kind {
    let text = asked.text();
    let says = |words: &str| text.contains(words);
    match () {
        () if says("ran into trouble on a node") => Kind::Replan,
        () if says("You write plans") => Kind::Draft,
        () if says("You judge whether a plan reached") => Kind::Verify,
        () if says("You sort requests") => Kind::Sort,
        () => Kind::Step,
    }
}

/// The models that a desk is configured for, in this process.
pub struct Models {
    pub high: Scripted,
    pub low: Scripted,
}

pub const KEY: &str = "sk-topsecret-topsecret";

impl Models {
    pub fn start(
        scene: &Scene,
        wire: Wire,
        chunk: usize,
        high: impl FnMut(&Asked) -> Say + Send + 'static,
        low: impl FnMut(&Asked) -> Say + Send + 'static,
    ) -> Models {
        let address = format!("{}:0", scene.fleet.gateway());
        let high = Scripted::listen(&address, wire, "m", chunk, high);
        let low = Scripted::listen(&address, wire, "small", chunk, low);
        let model = |tier: &str, model: &str, url: &str| {
            format!(
                "[[llm.{tier}]]\nprovider = '{}'\nurl = '{url}'\nmodel = '{model}'\nname = '{tier}'\nkey = 'api'\nprice = {{ input = 3, output = 15 }}\n",
                wire.name()
            )
        };
        let config = model("high", "m", high.url()) + &model("low", "small", low.url());
        let desk = scene.fleet.desk();
        desk.write("/root/.config/orchestrator/config.toml", &config).unwrap();
        desk.write("/root/key", KEY).unwrap();
        scene.orchestrator.ok("secret set api </root/key");
        Models { high, low }
    }

    /// How often HIGH was asked for this.
    pub fn high(&self, wanted: Kind) -> usize {
        self.high.asked().iter().filter(|asked| kind(asked) == wanted).count()
    }
}

pub fn no_step(asked: &Asked) -> Say {
    match kind(asked) {
        Kind::Sort => Say::json(&json!({"kind": "plan", "module": null, "confidence": 95})),
        _ => Say::Silence,
    }
}

pub fn achieved(achieved: bool) -> Say {
    let reason = if achieved { "used_percent is below 85" } else { "the disk is as full as before" };
    Say::json(&json!({"achieved": achieved, "reasons": [reason]}))
}

pub fn plan(steps: Value) -> Value {
    let rollout = json!({"canary": 0, "batch": 0, "max_failures": 0, "offline": "wait"});
    json!({"plan": {"nodes": {"every": true}, "rollout": rollout, "steps": steps}, "refuse": null})
}

const CACHE: &str = "/var/cache/app/1.old";
const LOG: &str = "/var/log/app/1.gz";

/// Writes the plan, mends it, and finds that it worked.
pub fn clean_up(asked: &Asked) -> Say {
    match kind(asked) {
        Kind::Draft => Say::json(&cleaning(true)),
        Kind::Replan => Say::json(&cleaning(false)),
        Kind::Verify => achieved(true),
        Kind::Sort | Kind::Step => no_step(asked),
    }
}

/// A plan that deletes caches and old logs where the disk is full.
fn cleaning(with_caches: bool) -> Value {
    let full = json!([{"number": {"of": "disk.out.used_percent", "above": 85}}]);
    let some = |of: &str| json!([{"count": {"of": format!("{of}.out.files"), "above": 0}}]);
    let caches = json!([
        {"id": "caches", "needs": ["disk"], "when": full, "tool": "file.list", "on_failure": "escalate",
         "args": {"path": "/var/cache/app", "pattern": "*.old"}},
        {"id": "drop_caches", "needs": ["caches"], "when": some("caches"), "tool": "file.delete",
         "args": {"paths": "${caches.out.files}"}, "effect": "destructive"},
    ]);
    let logs = json!([
        {"id": "logs", "needs": ["disk"], "when": full, "tool": "file.list",
         "args": {"path": "/var/log/app", "pattern": "*.gz"}},
        {"id": "drop_logs", "needs": ["logs"], "when": some("logs"), "tool": "file.delete",
         "args": {"paths": "${logs.out.files}"}, "effect": "destructive"},
    ]);
    let before = if with_caches { vec!["drop_caches", "drop_logs"] } else { vec!["drop_logs"] };
    let mut steps = vec![json!({"id": "disk", "tool": "collect.disk", "args": {"path": "/"}})];
    steps.extend(caches.as_array().unwrap().iter().filter(|_| with_caches).cloned());
    steps.extend(logs.as_array().unwrap().iter().cloned());
    steps.push(json!({"id": "after", "needs": before, "tool": "collect.disk", "args": {"path": "/"},
        "success": [{"number": {"of": "out.used_percent", "at_most": 85}}]}));
    plan(Value::Array(steps))
}

/// Fills the disk of a host above 85 %, with old logs and, unless its folder is not to be there, caches.
fn fill(host: &Host, with_caches: bool) {
    host.free_disk().unwrap();
    let junk = |path: &str| format!("mkdir -p $(dirname {path}) && head -c 31457280 /dev/zero >{path}\n");
    host.run(&junk(LOG)).unwrap();
    if with_caches {
        host.run(&junk(CACHE)).unwrap();
    }
    let used: u64 = host.run("df -B1 --output=used / | tail -n 1").unwrap().trim().parse().unwrap();
    host.fill_disk_but(used / 12).unwrap();
}

/// Says yes to all that is asked, until the run has ended; what is shown of it then.
pub fn approve_to_the_end(scene: &Scene, run: &str) -> Value {
    let cli = &scene.orchestrator;
    eventually("the run has ended", Duration::from_secs(110), || {
        let asked = cli.run("approval list -o json").json();
        for question in asked.as_array().into_iter().flatten() {
            cli.run(&format!("approval approve {}", question["id"].as_str().unwrap()));
        }
        cli.run("run list -o json").json()[0]["ended"].is_string()
    });
    cli.ok(&format!("run show {run} -o json")).json()
}

fn states(shown: &Value) -> Vec<&str> {
    let nodes = shown["nodes"].as_array().unwrap().iter();
    nodes.map(|node| node["state"].as_str().unwrap()).collect()
}
