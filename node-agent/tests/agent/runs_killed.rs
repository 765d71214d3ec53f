//! The agent dies at every named point of a run, and at random moments. Whatever the moment, the run goes on or asks, and
//! what cannot be repeated is never done twice. Built with feature `fault`.

use std::time::Duration;

use plan::plan::Plan;
use plan::policy::Policy;
use plan::run::event::{Ending, Event, Work};
use proto::v1::run_input::Input;
use proto::v1::{BeginRunRequest, UnknownAnswer};

use crate::counter::Counter;
use crate::node::{Node, until};
use crate::run::{Follower, plan, with_policy};

const POINTS: [&str; 6] =
    ["run.begun", "step.started", "step.effect", "step.returned", "receipt.signed", "run.ended"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_point_of_a_run() {
    for point in POINTS {
        let counter = Counter::serve(Duration::ZERO);
        let (mut node, _agent) = Node::running().await;
        let plan = plan(&format!("  - {}", post("a", &counter, "")));
        let request = request("r1", &plan);
        std::fs::write(node.path("fault"), point).expect("written");
        let mut client = node.runs().await;
        let begun = client.begin(request.clone()).await;
        assert_eq!(begun.is_err(), point == "run.begun", "{point}");
        until(&format!("it dies at {point}"), || !node.path("fault").exists());
        node.kill();
        node.run();
        let mut client = node.runs().await;
        let key = client.begin(request).await.expect("the same again").into_inner().receipt_key;
        let mut follower = Follower::attach(&mut client, "r1").await;
        let is_lost = matches!(point, "step.started" | "step.effect");
        if is_lost {
            assert_eq!(counter.count("/a"), u32::from(point == "step.effect"), "{point}");
            follower.event("it is unknown", |event| matches!(event, Event::Unknown { .. })).await;
            say_what_is_so(&follower, &counter).await;
        }
        assert_eq!(follower.ending().await, Ending::Done, "{point}: {:#?}", follower.events());
        assert_eq!(counter.count("/a"), 1, "{point}");
        let unknown = follower.records.iter().any(|record| matches!(record.event, Event::Unknown { .. }));
        assert_eq!(unknown, is_lost, "{point}");
        follower.verify(&plan, "r1", &key);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_moment_of_many_runs() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 7919);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let counter = Counter::serve(Duration::from_millis(3));
    let mut node = Node::enrolled();
    node.run();
    for round in 0..4 {
        let run = format!("run-{round}");
        let steps: Vec<String> = (0..6)
            .map(|number| {
                let needs = if random.below(2) == 0 && number > 0 {
                    format!("s{round}x{}", number - 1)
                } else {
                    String::new()
                };
                format!("  - {}", post(&format!("s{round}x{number}"), &counter, &needs))
            })
            .collect();
        let plan = plan(&steps.join("\n"));
        node.runs().await.begin(request(&run, &plan)).await.expect("begun");
        let mut kills = random.below(4);
        let ending = loop {
            let mut client = node.runs().await;
            let mut follower = Follower::attach(&mut client, &run).await;
            let pause = Duration::from_millis(random.below(40));
            let ended = tokio::time::timeout(pause, follow(&mut follower, &counter));
            match (ended.await, kills) {
                (Ok(Some(ending)), _) => break ending,
                (_, 0) => {
                    if let Some(ending) = follow(&mut follower, &counter).await {
                        break ending;
                    }
                }
                _ => {
                    kills -= 1;
                    node.kill();
                    node.run();
                }
            }
        };
        assert_eq!(ending, Ending::Done, "seed {seed}, {run}");
        for number in 0..6 {
            assert_eq!(counter.count(&format!("/s{round}x{number}")), 1, "seed {seed}, {run}, step {number}");
        }
    }
}

/// Follows to the end, and answers what is unknown; nothing when the agent has gone.
async fn follow(follower: &mut Follower, counter: &Counter) -> Option<Ending> {
    let mut told = 0;
    while follower.next().await {
        let unknown = follower.records.iter().filter(|record| matches!(record.event, Event::Unknown { .. }));
        if unknown.count() > told {
            told += 1;
            say_what_is_so(follower, counter).await;
        }
    }
    match follower.records.last().map(|record| &record.event) {
        Some(Event::Ended { ending }) => Some(ending.clone()),
        _ => None,
    }
}

/// A person who has looked at the other side. What is answered already is not answered anew.
async fn say_what_is_so(follower: &Follower, counter: &Counter) {
    let Some(Event::Unknown { step, attempt, .. }) = follower
        .records
        .iter()
        .rev()
        .map(|record| &record.event)
        .find(|event| matches!(event, Event::Unknown { .. }))
    else {
        panic!("nothing is unknown")
    };
    let is_answered = follower.records.iter().any(|record| {
        matches!(&record.event, Event::Answered { step: id, attempt: at, work: Work::Do, .. } if id == step && at == attempt)
    });
    let answer = if counter.count(&format!("/{step}")) > 0 { "done" } else { "not_done" };
    if !is_answered {
        let answer = UnknownAnswer {
            step: step.to_string(),
            attempt: *attempt,
            work: "do".to_owned(),
            answer: answer.to_owned(),
            by: "ada".to_owned(),
        };
        follower.answer(Input::Unknown(answer)).await;
    }
}

/// A step that counts on the other side, and cannot be repeated.
fn post(id: &str, counter: &Counter, needs: &str) -> String {
    let port = counter.port;
    format!(
        "{{id: {id}, needs: [{needs}], tool: http.post, args: {{url: 'http://127.0.0.1:{port}/{id}', body: x}}}}"
    )
}

/// This machine may be spoken to, without asking anybody.
fn request(run: &str, plan: &Plan) -> BeginRunRequest {
    let mut policy = Policy::standard();
    policy.tools.clear();
    policy.private.insert("127.0.0.0/8".to_owned());
    with_policy(run, plan, &policy)
}

/// A small generator: the same seed, the same story.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}
