//! A model of the node's own: its LOW steps ask it, and nobody else.

use llm::testing::{INPUT_TOKENS, OUTPUT_TOKENS, Say, Scripted, Wire};
use plan::plan::Plan;
use plan::run::event::{Ending, Event};
use plan::validate::Surroundings;
use proto::v1::LocalModel;
use proto::v1::local_model::Dialect;
use serde_json::json;

use crate::node::Node;
use crate::run::{Follower, plan, request};

const ASK: &str = "  - {id: a, tool: llm.ask, tier: low, args: {prompt: how full?, tools: [collect.disk]}}";

#[tokio::test]
async fn a_low_step_asks_the_nodes_own_model_over_either_wire_and_nobody_outside() {
    let (node, _) = Node::running().await;
    let mut client = node.runs().await;
    for (run, wire, dialect) in [("r1", Wire::OpenAi, Dialect::Openai), ("r2", Wire::Ollama, Dialect::Ollama)]
    {
        let mut asked = 0;
        let model = Scripted::start(wire, "tiny", 5, move |_| {
            asked += 1;
            match asked {
                1 => Say::Calls(vec![("collect__disk".to_owned(), json!({"path": "/"}))]),
                _ => Say::Text("quite full".to_owned()),
            }
        });
        // It costs nothing, so a budget without money is enough.
        let text = format!("goal: g\nnodes: {{every: true}}\nbudget: {{tokens: 1000}}\nsteps:\n{ASK}\n");
        let plan = Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default()).expect("a plan");
        let mut begin = request(run, &plan);
        begin.low = Some(own(dialect, model.url()));
        client.begin(begin).await.expect("begun");
        let mut follower = Follower::attach(&mut client, run).await;
        assert_eq!(follower.ending().await, Ending::Done, "{wire:?}: {:#?}", follower.events());
        assert_eq!(follower.out("a")["text"], "quite full");
        assert!(follower.needs.is_empty(), "nobody outside is asked");
        assert_eq!(model.asked()[1].body["model"], "tiny");
        assert!(model.asked()[1].body.to_string().contains("used_percent"), "it is told what the tool gave");
        let spent = follower.records.iter().filter_map(|record| match &record.event {
            Event::Spent { tokens, money, .. } => Some((*tokens, money.to_string())),
            _ => None,
        });
        let each = (INPUT_TOKENS + OUTPUT_TOKENS, plan::money::Money::ZERO.to_string());
        assert_eq!(spent.collect::<Vec<_>>(), [each.clone(), each], "{wire:?}");
    }
}

#[tokio::test]
async fn what_the_nodes_own_model_does_wrong_fails_the_step_in_its_own_words() {
    let (node, _) = Node::running().await;
    let mut client = node.runs().await;
    let refuse = |_: &_| Say::Refuse {
        status: "404 Not Found",
        headers: "",
        body: r#"{"error":"model 'tiny' not found"}"#.into(),
    };
    let cut = |_: &_| Say::Truncated("half of an answer that was to be longer".to_owned(), 90);
    let refusing = Scripted::start(Wire::Ollama, "tiny", 64, refuse);
    let cutting = Scripted::start(Wire::Ollama, "tiny", 64, cut);
    let garbage = Scripted::start(Wire::Ollama, "tiny", 64, |_: &_| Say::Garbage(b"<html>".to_vec()));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
    let gone = format!("http://{}", closed.expect("a port that is closed again"));
    for (run, url, says) in [
        ("r1", refusing.url(), "model 'tiny' not found"),
        ("r2", cutting.url(), "broke: "),
        ("r3", garbage.url(), "the node's own model tiny failed"),
        ("r4", gone.as_str(), "could not connect to 127.0.0.1"),
    ] {
        let mut begin = request(run, &plan(ASK));
        begin.low = Some(own(Dialect::Ollama, url));
        client.begin(begin).await.expect("begun");
        let mut follower = Follower::attach(&mut client, run).await;
        follower.ending().await;
        assert!(follower.why("a").contains(says), "{url}: {}", follower.why("a"));
        assert!(follower.needs.is_empty(), "a model that a person chose is not replaced by another");
    }
    let mut begin = request("r5", &plan(ASK));
    begin.low = Some(own(Dialect::Ollama, "http://169.254.169.254"));
    let refused = client.begin(begin).await.expect_err("refused");
    assert!(refused.message().contains("gives out credentials"), "{refused}");
}

#[tokio::test]
async fn the_nodes_own_model_takes_no_more_than_the_plan_allows_and_one_call() {
    let (node, _) = Node::running().await;
    let mut client = node.runs().await;
    let mut round = 0;
    let model = Scripted::start(Wire::Ollama, "tiny", 64, move |_| {
        round += 1;
        Say::Calls(vec![("collect__disk".to_owned(), json!({"path": format!("/{round}")}))])
    });
    // Two steps side by side, and tokens for less than two answers.
    let text = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 200}}\nsteps:\n{ASK}\n{}\n",
        ASK.replace("id: a", "id: b")
    );
    let plan = Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default()).expect("a plan");
    let mut begin = request("r1", &plan);
    begin.low = Some(own(Dialect::Ollama, model.url()));
    client.begin(begin).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "r1").await;
    let ending = format!("{:?}", follower.ending().await);
    assert!(ending.contains("budget"), "{ending}: {:#?}", follower.events());
    assert_eq!(model.count(), 2, "{:#?}", follower.events());
}

#[tokio::test]
async fn an_answer_that_breaks_off_counts_as_the_worst_it_can_have_taken() {
    let (node, _) = Node::running().await;
    let mut client = node.runs().await;
    let cut = |_: &_| Say::Truncated("half of an answer that was to be longer".to_owned(), 90);
    let model = Scripted::start(Wire::Ollama, "tiny", 64, cut);
    let mut begin = request("r1", &plan(ASK));
    begin.low = Some(own(Dialect::Ollama, model.url()));
    client.begin(begin).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "r1").await;
    follower.ending().await;
    let spent = follower.records.iter().find_map(|record| match &record.event {
        Event::Spent { tokens, .. } => Some(*tokens),
        _ => None,
    });
    assert!(spent.is_some_and(|tokens| tokens > 512), "{:#?}", follower.events());
}

fn own(dialect: Dialect, url: &str) -> LocalModel {
    LocalModel { dialect: dialect.into(), url: url.to_owned(), model: "tiny".to_owned() }
}
