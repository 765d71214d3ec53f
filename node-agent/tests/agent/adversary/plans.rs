//! Plans that a coordinator should never have sent: the node checks them itself and trusts nobody's word.

use modules::effect::Effect;
use plan::plan::Plan;
use plan::step::{OnFailure, StepId};
use serde_json::json;

use super::bench::{Bench, parse};
use crate::run::request;

/// What is wrong with a plan, and how a sound one is made so behind the back of its reader.
type Broken = (&'static str, Box<dyn Fn(&mut Plan)>);

fn broken(is: &'static str, change: impl Fn(&mut Plan) + 'static) -> Broken {
    (is, Box::new(change))
}

#[tokio::test]
async fn a_plan_that_does_not_hold_together_is_not_begun() {
    let mut bench = Bench::new().await;
    let victim = bench.path("victim");
    let steps = [
        json!({"id": "a", "tool": "file.delete", "args": {"paths": [victim]}}),
        json!({"id": "b", "needs": ["a"], "tool": "collect.disk"}),
    ];
    let sound = parse(&steps).expect("a plan");
    let id = |text: &str| StepId::parse(text).expect("an id");
    let (a, b) = (id("a"), id("b"));
    let own = a.clone();
    let rows = [
        broken("a deletion that says it reads", |plan| plan.steps[0].effect = Effect::Read),
        broken("a deletion that says it can be repeated", |plan| plan.steps[0].effect = Effect::Idempotent),
        broken("a deletion that says it can be taken back", |plan| plan.steps[0].effect = Effect::Reversible),
        broken("a deletion that is tried again", |plan| plan.steps[0].on_failure = OnFailure::Retry(3)),
        broken("a rollback without an undo", |plan| plan.steps[0].on_failure = OnFailure::Rollback),
        broken("a circle", move |plan| {
            plan.steps[0].needs.insert(b.clone());
        }),
        broken("a step that needs itself", move |plan| {
            plan.steps[0].needs.insert(own.clone());
        }),
        broken("a step that is not there", move |plan| {
            plan.steps[0].needs.insert(id("c"));
        }),
        broken("two steps of one name", move |plan| plan.steps[1].id = a.clone()),
        broken("no steps", |plan| plan.steps.clear()),
        broken("too many steps", |plan| {
            let one = plan.steps[1].clone();
            plan.steps.extend((0..100).map(|number| {
                let id = StepId::parse(&format!("s{number}")).expect("an id");
                plan::step::Step { id, ..one.clone() }
            }));
        }),
        broken("no time", |plan| plan.steps[0].timeout_ms = 0),
        broken("endless time", |plan| plan.steps[0].timeout_ms = 1_000_000_000_000),
        broken("endless output", |plan| plan.steps[0].output_cap = u32::MAX),
        broken("fewer attempts than steps", |plan| plan.budget.steps = 1),
        broken("no goal", |plan| plan.goal.clear()),
        broken("a path that goes up", |plan| {
            plan.steps[0].call.args.insert("paths".into(), json!(["/tmp/../etc/x"]));
        }),
        broken("an argument that is none", |plan| {
            plan.steps[0].call.args.insert("force".into(), json!(true));
        }),
        broken("a reference to what comes later", |plan| {
            plan.steps[0].call.args.insert("paths".into(), json!(["${b.out.used_percent}"]));
        }),
    ];
    let mut open = Vec::new();
    for (is, change) in &rows {
        let before = bench.world();
        let mut plan = sound.clone();
        change(&mut plan);
        match bench.begin_plan(&plan, 100).await {
            Err(refused) if refused.code() == tonic::Code::InvalidArgument => {}
            Err(refused) => open.push(format!("{is}: {refused}")),
            Ok(_) => open.push(format!("{is}: it was begun")),
        }
        if bench.world() != before {
            open.push(format!("{is}: it has changed something"));
        }
    }
    assert!(open.is_empty(), "{} of {}:\n{}", open.len(), rows.len(), open.join("\n"));
    // The sound one is what all of them would be without their change.
    bench.begin_plan(&sound, 100).await.expect("begun");
}

#[tokio::test]
async fn bytes_that_are_no_plan_are_not_begun() {
    let mut bench = Bench::new().await;
    let plan = parse(&[json!({"id": "a", "tool": "collect.disk"})]).expect("a plan");
    let rows = [
        ("nothing", String::new()),
        ("no JSON", "goal: g".to_owned()),
        ("half of it", plan.canonical()[..40].to_owned()),
        ("white space", format!(" {}", plan.canonical())),
        ("a field twice", plan.canonical().replacen('{', "{\"goal\":\"x\",", 1)),
        ("an unknown field", plan.canonical().replacen('{', "{\"admin\":true,", 1)),
        ("another goal", plan.canonical().replace("\"g\"", "\"h\"")),
        ("a megabyte", plan.canonical().replace("\"g\"", &format!("\"{}\"", "g".repeat(1 << 20)))),
        ("endless depth", "[".repeat(100_000)),
    ];
    for (is, json) in rows {
        let mut request = request("r1", &plan);
        request.plan_json = json;
        let refused = bench.client.begin(request).await.expect_err(is);
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{is}: {refused}");
    }
    let mut closed = request("r1", &plan);
    closed.policy_json = "{}".to_owned();
    bench.client.begin(closed).await.expect_err("a policy that says nothing allows nothing");
}
