use plan::approval::Request;
use plan::plan::Plan;
use plan::run::event::{Ending, Event};
use plan::step::{Call, Tier};
use plan::tool::Tool;
use plan::validate::Surroundings;

use super::*;

const PLAN: &str = "
goal: g
nodes: {every: true}
steps:
  - {id: look, tool: collect.facts}
  - {id: gone, tool: file.delete, args: {paths: [/var/tmp/x]}, effect: destructive}
";

#[test]
fn records_are_taken_once_and_in_order() {
    let mut followed = followed();
    let begun = begun("a");
    assert!(matches!(followed.take_record(1, &begun), Err(FollowError::Gap { expected: 0, found: 1 })));
    followed.take_record(0, &begun).expect("the first");
    followed.take_record(0, &begun).expect("told again after a new connection");
    assert_eq!((followed.records.len(), followed.attach().from_record), (1, 1));
    let started = started("look");
    followed.take_record(1, &started).expect("the next");
    let again = followed.take_record(2, &started);
    assert!(matches!(again, Err(FollowError::NoRun(_))), "a second start cannot be: {again:?}");
    assert!(matches!(followed.take_record(2, "{}"), Err(FollowError::Unreadable { number: 2, .. })));
}

#[test]
fn what_another_node_or_run_did_is_not_taken_for_this_one() {
    assert!(matches!(followed().take_record(0, &begun("b")), Err(FollowError::OtherRun)));
    let mut other = followed();
    other.subject.plan = Digest::of(b"another plan");
    assert!(matches!(other.take_record(0, &begun("a")), Err(FollowError::OtherRun)));
    assert!(matches!(followed().take_record(0, &started("look")), Err(FollowError::NoRun(_))));
}

#[test]
fn people_are_asked_only_what_is_open_and_waiting_for_them_is_not_being_busy() {
    let mut followed = followed();
    followed.take_record(0, &begun("a")).expect("begins");
    assert!(followed.is_busy(), "it has only begun");
    let step = StepId::parse("gone").expect("a step");
    let call = Call { tool: Tool::FileDelete, args: plan().step(&step).expect("is there").call.args.clone() };
    let request = Request::new(plan().hash(), step.clone(), "a", &call, 99);
    take(&mut followed, Event::Asked { step: step.clone(), request: request.clone() });
    let asked = followed.questions();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(!followed.is_busy());
    take(&mut followed, serde_json::from_str::<Record>(&started("look")).expect("a record").event);
    assert!(followed.is_busy(), "the other step goes on meanwhile");
    let lost = Event::Unknown {
        step: StepId::parse("look").expect("a step"),
        attempt: 1,
        work: Work::Do,
        why: "the agent ended".to_owned(),
    };
    take(&mut followed, lost);
    take(&mut followed, Event::Approved { step, request: request.digest(), by: "ann".to_owned() });
    assert!(followed.questions().iter().all(|open| open.step.as_str() != "gone"), "it is answered");
    take(&mut followed, Event::Cancelled { by: "ann".to_owned() });
    take(&mut followed, Event::Ended { ending: Ending::Cancelled { by: "ann".to_owned() } });
    assert!(followed.questions().is_empty() && !followed.is_busy(), "nobody is asked by what has ended");
    assert!(!followed.is_over(), "the receipt of the end is still to come");
}

fn followed() -> Followed {
    let run = RunId::of(&[1; 10]);
    let node = NodeName::parse("a").expect("a name");
    Followed::new(Subject { run, node, plan: plan().hash() })
}

fn plan() -> Plan {
    Plan::parse("plan.yaml", PLAN.as_bytes(), &Surroundings::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn begun(node: &str) -> String {
    json(Run::begin(RunId::of(&[1; 10]).as_str(), node, &plan()))
}

fn started(step: &str) -> String {
    let step = StepId::parse(step).expect("a step");
    json(Event::Started { step, attempt: 1, work: Work::Do, tier: Tier::None, key: "k".to_owned() })
}

fn json(event: Event) -> String {
    serde_json::to_string(&Record { at_ms: 1, event }).expect("JSON")
}

fn take(followed: &mut Followed, event: Event) {
    let number = followed.records.len() as u64;
    followed.take_record(number, &json(event)).expect("fits");
}
