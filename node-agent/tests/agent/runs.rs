//! Runs of plans on a real agent: what a policy allows is done once, written down, signed and told.

use std::time::Duration;

use plan::policy::Policy;
use plan::run::event::{Ending, Event};
use proto::v1::run_input::Input;
use proto::v1::{HumanAnswer, ListNodeRunsRequest};
use tonic::Code;

use crate::counter::Counter;
use crate::node::{Node, observe};
use crate::run::{Follower, plan, request, with_policy};

#[tokio::test]
async fn a_run_is_carried_out_written_down_and_signed() {
    let (node, mut agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().canonicalize().expect("there").join("note");
    let path = path.to_str().expect("text");
    let plan = plan(&format!(
        "  - {{id: disk, tool: collect.disk}}\n\
         \x20 - {{id: write, needs: [disk], tool: file.write, args: {{path: {path}, text: 'used ${{disk.out.used_percent}} %'}}}}\n\
         \x20 - {{id: look, needs: [write], tool: verify.file, args: {{path: {path}, contains: ' %'}}}}"
    ));
    let begun = client.begin(request("r1", &plan)).await.expect("begun").into_inner();
    let again = client.begin(request("r1", &plan)).await.expect("the same again is fine").into_inner();
    assert_eq!((begun.receipt_key.len(), &begun.receipt_key), (32, &again.receipt_key));
    let mut follower = Follower::attach(&mut client, "r1").await;
    assert_eq!(follower.ending().await, Ending::Done, "{:#?}", follower.events());
    follower.verify(&plan, "r1", &begun.receipt_key);
    assert!(std::fs::read_to_string(path).expect("written").starts_with("used "));
    let facts = observe(&mut agent).await.facts.expect("facts");
    assert_eq!(facts.receipt_key, begun.receipt_key);

    let listed = client.list(ListNodeRunsRequest {}).await.expect("listed").into_inner().runs;
    assert_eq!((listed.len(), listed[0].ending_json.as_str()), (1, "\"done\""));
    assert_eq!(listed[0].records, follower.records.len() as u64);

    // Whoever comes later is told the same.
    let mut late = Follower::attach(&mut client, "r1").await;
    late.ending().await;
    assert_eq!((late.records, late.receipts), (follower.records, follower.receipts));
}

#[tokio::test]
async fn what_is_not_what_was_approved_is_not_begun() {
    let (node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let (one, other) = (plan("  - {id: a, tool: collect.disk}"), plan("  - {id: a, tool: collect.memory}"));
    let mut wrong_hash = request("r1", &one);
    wrong_hash.plan_hash = other.hash().to_string();
    let mut not_canonical = request("r1", &one);
    not_canonical.plan_json.push(' ');
    let mut no_policy = request("r1", &one);
    no_policy.policy_json = "{}".to_owned();
    for (request, says) in [
        (wrong_hash, "not the approved"),
        (not_canonical, "not in its canonical form"),
        (no_policy, "the policy cannot be read"),
        (request("../r1", &one), "is not the name of a run"),
    ] {
        let refused = client.begin(request).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(says), "{refused}");
    }
    client.begin(request("r1", &one)).await.expect("begun");
    let refused = client.begin(request("r1", &other)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    let unknown = Follower::try_attach(&mut client, "r2").await.err().expect("there is none");
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn a_person_is_asked_and_a_no_or_no_answer_ends_it() {
    let (node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().canonicalize().expect("there").join("old.log");
    let text = path.to_str().expect("text");
    let plan = plan(&format!("  - {{id: drop, tool: file.delete, args: {{paths: [{text}]}}}}"));
    for (run, answer) in [("denied", Some(false)), ("expired", None), ("approved", Some(true))] {
        std::fs::write(&path, "x").expect("written");
        let mut request = request(run, &plan);
        if answer.is_none() {
            request.approval_timeout_ms = 300;
        }
        let key = client.begin(request).await.expect("begun").into_inner().receipt_key;
        let mut follower = Follower::attach(&mut client, run).await;
        if let Some(answer) = answer {
            let shown = follower.approve("drop", answer).await;
            assert!(shown.starts_with("file.delete") && shown.contains(text), "{shown}");
        }
        let ending = format!("{:?}", follower.ending().await);
        let expected = match answer {
            Some(true) => "Done",
            Some(false) => "denied by ada",
            None => "nobody approved it in time",
        };
        assert!(ending.contains(expected), "{run}: {ending}");
        assert_eq!(path.exists(), answer != Some(true), "{run}");
        follower.verify(&plan, run, &key);
    }
}

#[tokio::test]
async fn a_dry_run_looks_and_tells_but_changes_nothing() {
    let (node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let folder = dir.path().canonicalize().expect("there");
    let folder = folder.to_str().expect("text");
    std::fs::write(format!("{folder}/old"), "x").expect("written");
    let plan = plan(&format!(
        "  - {{id: find, tool: file.list, args: {{path: {folder}}}}}\n\
         \x20 - {{id: write, tool: file.write, args: {{path: {folder}/new, text: x}}}}\n\
         \x20 - {{id: drop, needs: [find], tool: file.delete, args: {{paths: '${{find.out.files}}'}}}}\n\
         \x20 - {{id: look, needs: [write], tool: verify.file, args: {{path: {folder}/new}}}}"
    ));
    let mut request = request("dry", &plan);
    request.dry_run = true;
    client.begin(request).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "dry").await;
    assert_eq!(follower.ending().await, Ending::Done, "{:#?}", follower.events());
    assert_eq!(follower.out("find")["count"], 1);
    assert!(follower.why("write").starts_with("dry run: would do file.write"), "{}", follower.why("write"));
    let asked = follower.why("drop");
    assert!(
        asked.starts_with("dry run: would ask a person for file.delete") && asked.contains("/old"),
        "{asked}"
    );
    assert!(follower.why("look").starts_with("dry run:"));
    assert!(std::path::Path::new(&format!("{folder}/old")).exists());
    assert!(!std::path::Path::new(&format!("{folder}/new")).exists());
}

/// A GET is made in a dry run whatever its step says that it changes; a plan may want it taken back.
#[tokio::test]
async fn a_dry_run_takes_nothing_back() {
    let (node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let proof = dir.path().canonicalize().expect("there").join("proof");
    let page = format!("http://127.0.0.1:{}/page", Counter::serve(Duration::ZERO).port);
    let plan = plan(&format!(
        "  - {{id: wake, tool: http.get, effect: reversible, args: {{url: '{page}'}}, \
            undo: {{tool: file.write, args: {{path: {proof}, text: x}}}}}}\n\
         \x20 - {{id: look, needs: [wake], tool: verify.file, args: {{path: /no/such/file}}, on_failure: rollback}}",
        proof = proof.display()
    ));
    let mut policy = Policy::standard();
    policy.private.insert("127.0.0.0/8".to_owned());
    let mut request = with_policy("dry", &plan, &policy);
    request.dry_run = true;
    client.begin(request).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "dry").await;
    let ending = follower.ending().await;
    let told = format!("{ending:?}");
    assert!(
        told.starts_with("Failed") && told.contains("dry run: would take back wake by file.write"),
        "{told}"
    );
    assert!(!proof.exists());
}

#[tokio::test]
async fn a_run_goes_on_after_the_agent_was_killed_while_a_person_was_asked() {
    let (mut node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().canonicalize().expect("there").join("old.log");
    std::fs::write(&path, "x").expect("written");
    let plan = plan(&format!("  - {{id: drop, tool: file.delete, args: {{paths: [{}]}}}}", path.display()));
    let key = client.begin(request("r1", &plan)).await.expect("begun").into_inner().receipt_key;
    let mut follower = Follower::attach(&mut client, "r1").await;
    follower.event("a request", |event| matches!(event, Event::Asked { .. })).await;
    node.kill();
    node.run();
    let mut client = node.runs().await;
    let mut follower = Follower::attach(&mut client, "r1").await;
    follower.approve("drop", true).await;
    assert_eq!(follower.ending().await, Ending::Done);
    assert!(!path.exists());
    follower.verify(&plan, "r1", &key);
}

#[tokio::test]
async fn a_damaged_journal_is_told_and_not_carried_on() {
    let (mut node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let plan = plan("  - {id: a, tool: collect.disk}");
    client.begin(request("r1", &plan)).await.expect("begun");
    Follower::attach(&mut client, "r1").await.ending().await;
    node.kill();
    let path = node.path("runs/r1/journal");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[60] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    node.run();
    let mut client = node.runs().await;
    let listed = client.list(ListNodeRunsRequest {}).await.expect("listed").into_inner().runs;
    assert!(listed[0].damaged.contains("damaged: record 0"), "{:?}", listed[0]);
    let refused = Follower::try_attach(&mut client, "r1").await.err().expect("refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = client.begin(request("r1", &plan)).await.expect_err("refused");
    assert!(refused.message().contains("cannot be read"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("read"), bytes);
}

#[tokio::test]
async fn a_run_goes_on_when_the_disk_is_well_again_that_failed_when_the_agent_started() {
    let (mut node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let plan = plan("  - {id: ask, tool: human.ask, args: {question: go on?}}");
    client.begin(request("r1", &plan)).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "r1").await;
    follower.until("a need", |follower| !follower.needs.is_empty()).await;
    node.kill();
    // Nobody can open a folder to write receipts to.
    let (receipts, aside) = (node.path("runs/r1/receipts"), node.path("receipts-aside"));
    std::fs::rename(&receipts, &aside).expect("moved");
    std::fs::create_dir(&receipts).expect("made");
    node.run();
    let mut client = node.runs().await;
    let listed = client.list(ListNodeRunsRequest {}).await.expect("listed").into_inner().runs;
    assert!(listed[0].damaged.contains("receipts"), "{:?}", listed[0]);
    let mut follower = Follower::attach(&mut client, "r1").await;
    let again = client.begin(request("r1", &plan)).await.expect_err("cannot tell yet");
    assert_eq!(again.code(), Code::Unavailable, "{again}");
    std::fs::remove_dir(&receipts).expect("removed");
    std::fs::rename(&aside, &receipts).expect("moved back");
    follower.until("the need again", |follower| !follower.needs.is_empty()).await;
    client.begin(request("r1", &plan)).await.expect("it is the same");
    let (need, by) = (follower.needs[0].id.clone(), "ada".to_owned());
    follower.answer(Input::Human(HumanAnswer { need, answer: "yes".to_owned(), by })).await;
    assert_eq!(follower.ending().await, Ending::Done);
    let listed = client.list(ListNodeRunsRequest {}).await.expect("listed").into_inner().runs;
    assert_eq!(listed[0].damaged, "");
}

/// What a server says is kept, but only as deep as it can be read again.
#[tokio::test]
async fn deeply_nested_json_does_no_harm_to_a_run() {
    let (mut node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let page = format!("http://127.0.0.1:{}/nested", Counter::serve(Duration::ZERO).port);
    let plan = plan(&format!("  - {{id: a, tool: http.get, args: {{url: '{page}'}}}}"));
    let mut policy = Policy::standard();
    policy.private.insert("127.0.0.0/8".to_owned());
    client.begin(with_policy("r1", &plan, &policy)).await.expect("begun");
    let mut follower = Follower::attach(&mut client, "r1").await;
    assert_eq!(follower.ending().await, Ending::Done, "{:#?}", follower.events());
    assert!(follower.out("a")["json"].to_string().contains("nested too deep"));
    node.kill();
    node.run();
    let mut client = node.runs().await;
    assert_eq!(Follower::attach(&mut client, "r1").await.ending().await, Ending::Done);
}

#[tokio::test]
async fn nothing_of_the_agent_is_read_or_changed_by_a_step() {
    let (node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let dir = tempfile::tempdir().expect("tempdir");
    let link = dir.path().canonicalize().expect("there").join("link");
    std::os::unix::fs::symlink(node.dir.path(), &link).expect("linked");
    let (own, link) = (node.dir.path().display(), link.display());
    for (number, step) in [
        format!("{{id: a, tool: file.read, args: {{path: {own}/receipt-key}}}}"),
        format!("{{id: a, tool: file.read, args: {{path: {link}/receipt-key}}}}"),
        format!("{{id: a, tool: file.write, args: {{path: {own}/runs/x, text: x}}}}"),
        format!("{{id: a, tool: file.list, args: {{path: {own}}}}}"),
        format!("{{id: a, tool: file.delete, args: {{paths: [{own}/ledger]}}}}"),
        "{id: a, tool: file.read, args: {path: /proc/self/environ}}".to_owned(),
        "{id: a, tool: file.read, args: {path: /etc/shadow}}".to_owned(),
        "{id: a, tool: http.get, args: {url: 'http://169.254.169.254/latest/'}}".to_owned(),
        "{id: a, tool: http.get, args: {url: 'http://127.0.0.1/'}}".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let run = format!("r{number}");
        client.begin(request(&run, &plan(&format!("  - {step}")))).await.expect("begun");
        let mut follower = Follower::attach(&mut client, &run).await;
        let ending = format!("{:?}", follower.ending().await);
        assert!(ending.contains("forbidden:"), "{step}: {ending}");
    }
}

#[tokio::test]
async fn a_person_answers_a_question_and_a_cancelled_run_asks_no_further() {
    let (mut node, _agent) = Node::running().await;
    let mut client = node.runs().await;
    let plan = plan("  - {id: ask, tool: human.ask, args: {question: go on?}}");
    for run in ["answered", "cancelled"] {
        client.begin(request(run, &plan)).await.expect("begun");
        let mut follower = Follower::attach(&mut client, run).await;
        follower.until("a need", |follower| !follower.needs.is_empty()).await;
        let need = follower.needs[0].id.clone();
        if run == "cancelled" {
            follower.cancel().await;
            assert_eq!(follower.ending().await, Ending::Cancelled { by: "ada".to_owned() });
            continue;
        }
        // The question outlives the agent.
        node.kill();
        node.run();
        client = node.runs().await;
        follower = Follower::attach(&mut client, run).await;
        follower.until("the same need", |follower| follower.needs.iter().any(|again| again.id == need)).await;
        let answer = HumanAnswer { need, answer: "yes".to_owned(), by: "ada".to_owned() };
        follower.answer(Input::Human(answer)).await;
        assert_eq!(follower.ending().await, Ending::Done);
        assert_eq!(follower.out("ask"), serde_json::json!({"answer": "yes", "by": "ada"}));
    }
}
