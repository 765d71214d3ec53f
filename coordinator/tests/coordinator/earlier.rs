//! Plans of the past: the same kind of request the second time asks no model; another world does.

use std::sync::Arc;

use coordinator::app;
use coordinator::config::llm::Llm;
use coordinator::config::{File, Given, Settings};
use coordinator::fleet::Fleet;
use coordinator::fleet::ask::Told;
use llm::testing::{Say, Scripted, Wire};
use modules::digest::Digest;
use proto::v1;
use proto::v1::ask_event::Event;
use serde_json::json;
use tokio::sync::mpsc;

use crate::ask::put_node;
use crate::program::Program;

const GOAL: &str = "free disk space where it is above 85 %";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_kind_of_request_the_second_time_asks_no_model_while_the_world_stays() {
    let step = json!({"id": "disk", "tool": "collect.disk"});
    let plan = json!({"plan": {"nodes": {"every": true}, "steps": [step]}, "refuse": null});
    let scripted = Scripted::start(Wire::OpenAi, "m", 64, move |_| Say::json(&plan));
    let program = Program::new();
    put_node(&program, "pi", &["systemd"]).await;
    let fleet = start(&program, &scripted).await;

    let first = ask(&fleet, GOAL).await;
    assert_eq!((first.route.as_str(), scripted.count()), ("plan", 1));
    // Nobody knows yet whether it does what was asked.
    assert_eq!((ask(&fleet, GOAL).await.route.as_str(), scripted.count()), ("plan", 2));

    fleet.plan_ended(&first.plan, true).await.expect("stored");
    for goal in [GOAL, "Please free disk space where it is above 85 %"] {
        let again = ask(&fleet, goal).await;
        assert_eq!(
            (again.route.as_str(), again.plan),
            ("earlier", first.plan),
            "{goal}: {:?}",
            again.reasons
        );
    }
    assert_eq!(scripted.count(), 2, "no model was asked");

    for goal in ["free disk space where it is above 95 %", "free disk space where it is not above 85 %"] {
        assert_eq!(ask(&fleet, goal).await.route, "plan", "{goal}");
    }
    assert_eq!(scripted.count(), 4);

    put_node(&program, "pi", &["systemd", "docker"]).await;
    let changed = ask(&fleet, GOAL).await;
    let reasons = changed.reasons.join("\n");
    assert_eq!((changed.route.as_str(), scripted.count()), ("plan", 5));
    assert!(reasons.contains("the fleet or a module has changed since"), "{reasons}");

    fleet.plan_ended(&changed.plan, true).await.expect("stored");
    assert_eq!((ask(&fleet, GOAL).await.route.as_str(), scripted.count()), ("earlier", 5));
    program.add("weather", "1.0.0", "");
    assert_eq!((ask(&fleet, GOAL).await.route.as_str(), scripted.count()), ("plan", 6), "a module is new");

    fleet.plan_ended(&changed.plan, true).await.expect("stored");
    fleet.plan_ended(&changed.plan, false).await.expect("stored");
    assert_eq!(
        (ask(&fleet, GOAL).await.route.as_str(), scripted.count()),
        ("plan", 7),
        "it failed the last time"
    );
}

struct Asked {
    route: String,
    reasons: Vec<String>,
    plan: Digest,
}

async fn ask(fleet: &Arc<Fleet>, goal: &str) -> Asked {
    let (sender, mut receiver) = mpsc::channel(64);
    let request = v1::AskRequest { goal: goal.to_owned(), ..v1::AskRequest::default() };
    fleet.ask(&request, &Told::to(sender)).await.unwrap_or_else(|error| panic!("{goal}: {error}"));
    let (mut routed, mut hash) = (None, String::new());
    while let Some(event) = receiver.recv().await {
        match event.expect("no error").event.expect("an event") {
            Event::Routed(told) => routed = Some(told),
            Event::Drafted(drafted) => hash = drafted.plan.and_then(|plan| plan.plan).expect("a plan").hash,
            _ => {}
        }
    }
    let routed = routed.expect("it was routed");
    Asked { route: routed.route, reasons: routed.reasons, plan: hash.parse().expect("a digest") }
}

async fn start(program: &Program, scripted: &Scripted) -> Arc<Fleet> {
    let given = Given { data_dir: Some(program.home().join("data")), ..Given::default() };
    let settings = Settings::resolve(given, &File::default(), &|_: &str| None).expect("settings");
    let text = format!("[[high]]\nprovider = 'openai'\nurl = '{}'\nmodel = 'm'\n", scripted.url());
    let llm: Llm = toml::from_str(&text).expect("a section");
    app::start(&Settings { llm, ..settings }).await.expect("it starts")
}
