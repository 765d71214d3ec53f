//! The coordinator dies while it asks models: asking again loses nothing and pays at most once more.

use std::time::Duration;

use e2e::kill_matrix::take_points;
use e2e::orchestrator::{Outcome, eventually};
use e2e::scene::Scene;
use llm::testing::{Asked, Say, Wire};
use serde_json::{Value, json};

use crate::ask::{Kind, Models, achieved, kind, no_step, plan};

const GOAL: &str = "leave a note on every machine";

#[test]
fn whoever_dies_while_asking_pays_at_most_once_more_and_counts_what_was_paid() {
    let (scene, models) = scene();
    let cli = &scene.orchestrator;
    cli.clone().with("ORCHESTRATOR_FAULT", "trace:/root/reached").ok(&ask("trace", "--plan-only"));
    let points = take_points(scene.fleet.desk(), "/root/reached").unwrap();
    let points: Vec<_> =
        points.into_iter().filter(|point| point.starts_with("ask.") || point.starts_with("llm.")).collect();
    assert!(
        ["ask.drafted", "llm.stored"].iter().all(|point| points.iter().any(|of| of == point)),
        "{points:?}"
    );
    for point in &points {
        println!("the coordinator dies at {point}");
        let before = models.high(Kind::Draft);
        let line = ask(point, "--plan-only -o json");
        let died = cli.clone().with("ORCHESTRATOR_FAULT", point).run(&line);
        assert_eq!(died.code, None, "nobody died at {point}\n{died}");
        let again = cli.ok(&line);
        let hash = again.json()["plan"]["plan"].as_str().unwrap().to_owned();
        cli.ok(&format!("plan show {hash}"));
        let paid = models.high(Kind::Draft) - before;
        assert!((1..=2).contains(&paid), "{paid} drafts were paid for at {point}\n{died}\n{again}");
        all_that_was_paid_is_counted(&scene, &models, &died);
    }
}

#[test]
fn whoever_dies_while_a_run_is_judged_carries_it_on_and_pays_at_most_once_more() {
    let (scene, models) = scene();
    let cli = &scene.orchestrator;
    for point in ["run.look_recorded", "run.judged"] {
        println!("the coordinator dies at {point}");
        let before = models.high(Kind::Verify);
        let died = cli.clone().with("ORCHESTRATOR_FAULT", point).run(&ask(point, "--fresh --yes"));
        assert_eq!(died.code, None, "nobody died at {point}\n{died}");
        eventually("it is carried on", Duration::from_secs(60), || {
            cli.run("run list -o json").json()[0]["ended"].is_string()
        });
        let run = cli.ok("run list -o json").json()[0].clone();
        assert_eq!(run["state"], "done", "{run}\n{died}");
        let shown = cli.ok(&format!("run show {} -o json", run["run"].as_str().unwrap())).json();
        assert_eq!((&shown["verdict"]["achieved"], &shown["verdict"]["by"]), (&"yes".into(), &"m".into()));
        let paid = models.high(Kind::Verify) - before;
        assert!((1..=2).contains(&paid), "{paid} verdicts were paid for at {point}\n{died}");
        all_that_was_paid_is_counted(&scene, &models, &died);
    }
}

/// What a coordinator did not live to book counts as its worst case.
fn all_that_was_paid_is_counted(scene: &Scene, models: &Models, told: &Outcome) {
    let budget = scene.orchestrator.ok("budget -o json").json();
    let of_month = |account: &&Value| account["account"].as_str().unwrap().starts_with("month:");
    let month = budget["accounts"].as_array().unwrap().iter().find(of_month).unwrap();
    let tokens = |of: &str| month[of]["tokens"].as_u64().unwrap();
    // 100 tokens in and 20 out for each answer.
    let taken = (models.high.count() + models.low.count()) as u64 * 120;
    assert!(tokens("spent") + tokens("reserved") >= taken, "{taken} tokens were taken: {budget}\n{told}");
}

fn ask(mark: &str, flags: &str) -> String {
    format!("ask '{GOAL} named {mark}' {flags}")
}

fn scene() -> (Scene, Models) {
    let scene = Scene::enrolled(1).unwrap();
    let models = Models::start(&scene, Wire::Anthropic, 32, note, no_step);
    (scene, models)
}

fn note(asked: &Asked) -> Say {
    match kind(asked) {
        Kind::Draft => Say::json(&plan(json!([
            {"id": "write", "tool": "file.write", "args": {"path": "/var/tmp/note", "text": "hello"}, "effect": "reversible"},
            {"id": "check", "needs": ["write"], "tool": "verify.file",
             "args": {"path": "/var/tmp/note", "contains": "hello"}},
        ]))),
        Kind::Verify => achieved(true),
        Kind::Sort | Kind::Replan | Kind::Step => no_step(asked),
    }
}
