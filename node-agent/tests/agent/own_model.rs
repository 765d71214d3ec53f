//! A model of the node's own: its LOW steps ask it, and nobody else.

use llm::testing::{INPUT_TOKENS, OUTPUT_TOKENS, Say, Scripted, Wire};
use plan::run::event::{Ending, Event};
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
        let mut begin = request(run, &plan(ASK));
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

fn own(dialect: Dialect, url: &str) -> LocalModel {
    LocalModel { dialect: dialect.into(), url: url.to_owned(), model: "tiny".to_owned() }
}
