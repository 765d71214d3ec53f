//! Answers that were given for something else, and what a person sees when asked.

use plan::approval::Request;
use plan::run::event::{Ending, Event};
use proto::v1::run_input::Input;
use proto::v1::{ApprovalAnswer, UnknownAnswer};
use serde_json::json;

use super::bench::{Bench, parse};
use crate::run::{Follower, input};

/// Every answer is for exactly this call, on this node, of this plan, until then.
#[tokio::test]
async fn a_yes_to_something_else_is_no_yes() {
    let mut bench = Bench::new().await;
    let step = json!({"id": "a", "tool": "file.delete", "args": {"paths": [bench.path("victim")]}});
    // A yes that counted once, to be played again.
    let mut follower = bench.begin(std::slice::from_ref(&step)).await;
    let old = asked(&mut follower).await;
    follower.cancel().await;
    follower.ending().await;
    let other = parse(&[json!({"id": "a", "tool": "collect.disk"})]).expect("a plan").hash();
    let rows = [
        forged("another plan", move |request| request.plan = other),
        forged("another node", |request| request.node = "other".to_owned()),
        forged("another call", move |request| request.call = other),
        forged("other words", |request| request.shown = "df -h".to_owned()),
        forged("a later expiry", |request| request.expires_ms += 1),
        forged("a request of an earlier run", move |request| *request = old.clone()),
    ];
    for (given_for, change) in rows {
        let before = bench.world();
        let mut follower = bench.begin(std::slice::from_ref(&step)).await;
        let mut request = asked(&mut follower).await;
        let good = request.clone();
        change(&mut request);
        say(&follower, "a", &request, true).await;
        // Taken in order: had the first one counted, this one would come too late.
        say(&follower, "a", &good, false).await;
        let ending = format!("{:?}", follower.ending().await);
        assert!(ending.contains("denied by ada"), "{given_for}: {ending}");
        assert_eq!(bench.world(), before, "{given_for}");
    }
}

#[tokio::test]
async fn a_yes_comes_from_somebody_for_a_step_that_asked_and_in_time() {
    let mut bench = Bench::new().await;
    let delete =
        |id: &str| json!({"id": id, "tool": "file.delete", "args": {"paths": [bench.path("victim")]}});
    let steps = [delete("a"), delete("b")];
    let before = bench.world();
    let mut follower = bench.begin(&steps[..1]).await;
    let request = asked(&mut follower).await;
    for by in ["", "ada\u{1b}[2J", &"x".repeat(300)] {
        let mut other = Follower::attach(&mut bench.client, "r1").await;
        let digest = request.digest().to_string();
        let answer = ApprovalAnswer { step: "a".into(), request: digest, approved: true, by: by.into() };
        other.answer(Input::Approval(answer)).await;
        while other.next().await {}
        assert!(other.records.iter().all(|record| !matches!(record.event, Event::Approved { .. })), "{by:?}");
    }
    say(&follower, "b", &request, true).await;
    let unknown = UnknownAnswer {
        step: "a".into(),
        attempt: 1,
        work: "do".into(),
        answer: "done".into(),
        by: "ada".into(),
    };
    follower.answer(Input::Unknown(unknown)).await;
    say(&follower, "a", &request, false).await;
    let ending = format!("{:?}", follower.ending().await);
    assert!(ending.contains("denied by ada"), "{ending}");
    // After a no, a yes changes nothing.
    let mut follower = bench.begin(&steps[..1]).await;
    let request = asked(&mut follower).await;
    say(&follower, "a", &request, false).await;
    say(&follower, "a", &request, true).await;
    assert!(matches!(follower.ending().await, Ending::Failed { .. }));
    // After its time, neither.
    let plan = parse(&steps[..1]).expect("a plan");
    let mut follower = bench.begin_plan(&plan, 50).await.expect("begun");
    let request = asked(&mut follower).await;
    follower.event("it expires", |event| matches!(event, Event::Expired { .. })).await;
    say(&follower, "a", &request, true).await;
    let ending = format!("{:?}", follower.ending().await);
    assert!(ending.contains("nobody approved it in time"), "{ending}");
    assert_eq!(bench.world(), before);
}

/// Names of files are written by anybody; a person must see what they are.
#[tokio::test]
async fn what_a_person_is_asked_shows_every_character() {
    let mut bench = Bench::new().await;
    let hidden = [
        "a\u{202e}gpj.sh",
        "b\u{1b}[2J",
        "c\u{9b}2J",
        "d\u{200b}",
        "e\nrm -rf x",
        "f\u{7f}",
        "g\u{2066}x",
        "h\u{feff}",
    ];
    std::fs::create_dir(bench.path("logs")).expect("made");
    for name in hidden {
        std::fs::write(bench.path(&format!("logs/{name}")), "x").expect("written");
    }
    let before = bench.world();
    for name in hidden {
        let pattern = format!("{}*", &name[..1]);
        let list = json!({"id": "find", "tool": "file.list", "args": {"path": bench.path("logs"), "pattern": pattern}});
        let delete = json!({"id": "a", "needs": ["find"], "tool": "file.delete", "args": {"paths": "${find.out.files}"}});
        let mut follower = bench.begin(&[list, delete]).await;
        follower
            .until("a request or the end", |follower| {
                follower
                    .records
                    .iter()
                    .any(|record| matches!(record.event, Event::Asked { .. } | Event::Ended { .. }))
            })
            .await;
        let shown = follower.records.iter().find_map(|record| match &record.event {
            Event::Asked { request, .. } => Some(request.clone()),
            _ => None,
        });
        if let Some(request) = shown {
            let is_seen = |c: char| matches!(c, '"' | '\\') || c.escape_debug().count() == 1;
            assert!(request.shown.chars().all(is_seen), "{name:?} is shown as {:?}", request.shown);
            say(&follower, "a", &request, false).await;
        }
        follower.ending().await;
    }
    assert_eq!(bench.world(), before);
}

async fn asked(follower: &mut Follower) -> Request {
    let event = follower.event("a request", |event| matches!(event, Event::Asked { .. })).await;
    let Event::Asked { request, .. } = event else { panic!("no request") };
    request
}

async fn say(follower: &Follower, step: &str, request: &Request, approved: bool) {
    let request = request.digest().to_string();
    let answer = ApprovalAnswer { step: step.to_owned(), request, approved, by: "ada".to_owned() };
    // Nobody listens any more where the run is over, which is as good.
    let _ = follower.say.send(input(Input::Approval(answer))).await;
}

/// What the yes was given for instead.
type Forged = (&'static str, Box<dyn Fn(&mut Request)>);

fn forged(given_for: &'static str, change: impl Fn(&mut Request) + 'static) -> Forged {
    (given_for, Box::new(change))
}
