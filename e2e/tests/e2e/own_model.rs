//! A node with a model of its own, where the coordinator has none.

use e2e::scene::Scene;
use llm::testing::{Say, Scripted, Wire};
use serde_json::json;

#[test]
fn a_node_thinks_with_its_own_model_where_nobody_else_has_one() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    let choice = |_: &_| Say::json(&json!({"choice": "keep", "why": "it is small"}));
    let model = Scripted::listen(&format!("{}:0", scene.fleet.gateway()), Wire::Ollama, "tiny", 9, choice);
    let config = format!("[llm.nodes.a]\nprovider = 'ollama'\nurl = '{}'\nmodel = 'tiny'\n", model.url());
    desk.write("/root/.config/orchestrator/config.toml", &config).unwrap();
    desk.write("/root/plan.yaml", PLAN).unwrap();
    cli.ok("plan approve plan.yaml");

    let ran = cli.run("plan run plan.yaml -o json").exits(1);
    let shown = cli.ok(&format!("run show {} -o json", ran.json()["run"].as_str().unwrap())).json();
    let nodes = shown["nodes"].as_array().unwrap();
    let states: Vec<_> = nodes.iter().map(|node| (node["node"].as_str(), node["state"].as_str())).collect();
    assert_eq!(states, [(Some("a"), Some("done")), (Some("b"), Some("failed"))], "{shown}");
    assert!(nodes[1].to_string().contains("[[llm.low]]"), "the other is told what to do: {shown}");
    assert_eq!(model.count(), 1);
}

const PLAN: &str = "
goal: Decide whether to keep it
nodes: {every: true}
rollout: {canary: 0, batch: 0, max_failures: 5}
budget: {money: 0.01, tokens: 20000}
steps:
  - {id: choose, tool: llm.decide, tier: low, args: {prompt: keep it?, options: [keep, drop]}}
";
