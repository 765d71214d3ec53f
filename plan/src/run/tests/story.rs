//! Runs told step by step.

use super::*;

const BAD: fn() -> Value = || json!({"exit": 1});

#[test]
fn what_does_not_wait_for_each_other_runs_at_once_and_what_needs_nobody_to_think_comes_first() {
    let mut scene = Scene::new(
        "{id: z, tool: collect.disk}, {id: a, tool: llm.ask, args: {prompt: p}}, {id: b, tool: collect.disk, needs: [z]}",
    );
    assert_eq!(scene.start(), "z a");
    assert_eq!(scene.start(), "");
    scene.comes_back("z", json!({}));
    assert_eq!(scene.start(), "b");
    scene.comes_back("b", json!({}));
    scene.comes_back("a", json!({"text": "x"}));
    assert_eq!(scene.ending(), "Done");
    assert_eq!(scene.next(), []);
}

#[test]
fn a_step_that_is_not_needed_is_left_out_with_what_refers_to_it() {
    let steps = "{id: disk, tool: collect.disk}, \
        {id: list, tool: file.list, args: {path: /x}, needs: [disk], when: [{number: {of: disk.out.used_percent, above: 85}}]}, \
        {id: drop, tool: file.delete, args: {paths: '${list.out.files}'}, needs: [list]}, \
        {id: last, tool: collect.disk, needs: [list]}";
    let mut scene = Scene::new(steps);
    assert_eq!(scene.start(), "disk");
    scene.comes_back("disk", json!({"used_percent": 40}));
    assert_eq!((scene.start(), scene.start()), (String::new(), "last".to_owned()));
    assert_eq!(
        scene.run.steps[&id("list")].phase,
        Phase::NotNeeded { why: "disk.out.used_percent above 85: found 40".to_owned() }
    );
    assert_eq!(
        scene.run.steps[&id("drop")].phase,
        Phase::Skipped { why: "it refers to list, which has no output".to_owned() }
    );
    scene.comes_back("last", json!({}));
    assert_eq!(scene.ending(), "Done");
}

#[test]
fn what_follows_a_failure_is_what_the_plan_says() {
    let run = |on_failure: &str| {
        let mut scene = Scene::new(&format!(
            "{{id: a, tool: exec.argv, args: {{argv: [x]}}, effect: idempotent, on_failure: {on_failure}}}, \
             {{id: b, tool: collect.disk, needs: [a]}}, {{id: c, tool: collect.disk}}, {{id: d, tool: collect.disk, needs: [c]}}"
        ));
        assert_eq!(scene.start(), "a c");
        scene.comes_back("a", BAD());
        scene
    };
    let mut stop = run("stop");
    assert_eq!(stop.next(), [], "c is under way, nothing new begins");
    stop.comes_back("c", json!({}));
    assert_eq!(stop.ending(), "Failed { step: StepId(ItemName(\"a\")), why: \"exit 0: found exit 1\" }");

    let mut go_on = run("continue");
    go_on.comes_back("c", json!({}));
    assert_eq!(go_on.start(), "d");
    assert_eq!(go_on.run.steps[&id("b")].phase, Phase::Skipped { why: "a has failed".to_owned() });
    go_on.comes_back("d", json!({}));
    assert_eq!(go_on.ending(), "DoneExcept { steps: [StepId(ItemName(\"a\"))] }");

    let mut retry = run("{retry: 2}");
    assert_eq!((retry.start(), retry.run.wake_ms(0)), (String::new(), Some(1000)));
    retry.now_ms = 1000;
    assert_eq!(retry.start(), "a");
    retry.comes_back("a", BAD());
    retry.now_ms = 3000;
    assert_eq!(retry.start(), "a");
    retry.comes_back("a", BAD());
    retry.comes_back("c", json!({}));
    assert!(retry.ending().starts_with("Failed"));

    let mut escalate = run("escalate");
    escalate.comes_back("c", json!({}));
    assert_eq!(escalate.next(), [Action::Replan { step: id("a"), why: "exit 0: found exit 1".to_owned() }]);
}

#[test]
fn low_gives_way_to_high_after_two_failed_checks_and_high_to_a_new_plan() {
    let steps = |first: &str| {
        format!(
            "{{id: {first}, tool: llm.ask, args: {{prompt: p}}, on_failure: escalate, success: [{{contains: {{of: out.text, text: yes}}}}]}}, \
         {{id: b, tool: collect.disk, needs: [{first}]}}"
        )
    };
    let mut scene = Scene::new(&steps("a"));
    for expected in [Tier::Low, Tier::Low] {
        assert_eq!(scene.run.tier(&id("a")), expected);
        assert_eq!(scene.start(), "a");
        scene.comes_back("a", json!({"text": "no"}));
    }
    assert_eq!((scene.start(), scene.run.tier(&id("a"))), (String::new(), Tier::High));
    assert_eq!(scene.start(), "a");
    scene.comes_back("a", json!({"text": "no"}));
    for round in ["c", "d"] {
        assert!(matches!(scene.next().as_slice(), [Action::Replan { .. }]), "{round}");
        let new = plan(&steps(round).replace("escalate", "escalate, tier: high"));
        scene.add(Event::Replanned { plan: new.canonical(), hash: new.hash() });
        assert_eq!(scene.start(), round);
        scene.comes_back(round, json!({"text": "no"}));
    }
    assert!(scene.ending().contains("after 2 new plans a person must decide"));
}

#[test]
fn a_new_plan_keeps_what_has_run() {
    let steps = "{id: a, tool: file.delete, args: {paths: [/x]}}, {id: b, tool: collect.disk, needs: [a], on_failure: escalate, \
                 success: [{number: {of: out.used_percent, below: 5}}]}";
    let mut scene = Scene::new(steps);
    scene.start();
    scene.comes_back("a", json!({"deleted": 1}));
    scene.start();
    scene.comes_back("b", json!({"used_percent": 50}));
    let cases = [
        ("{id: c, tool: collect.disk}", "step a has run and is another one"),
        ("{id: a, tool: file.delete, args: {paths: [/y]}}", "step a has run and is another one"),
        (steps, "step b has run and failed; a new one needs another id"),
    ];
    for (steps, says) in cases {
        let new = plan(steps);
        let error =
            scene.try_add(Event::Replanned { plan: new.canonical(), hash: new.hash() }).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
    }
    let new =
        plan("{id: a, tool: file.delete, args: {paths: [/x]}}, {id: c, tool: collect.memory, needs: [a]}");
    scene.add(Event::Replanned { plan: new.canonical(), hash: new.hash() });
    assert_eq!(scene.start(), "c");
    scene.comes_back("c", json!({}));
    assert_eq!(scene.ending(), "Done");
}

#[test]
fn an_approval_is_for_exactly_what_was_asked_and_silence_is_a_no() {
    let steps = "{id: a, tool: file.delete, args: {paths: [/x]}}";
    let asked = |scene: &mut Scene| match scene.next().as_slice() {
        [Action::Ask { step, request }] => {
            let (step, request) = (step.clone(), request.clone());
            scene.add(Event::Asked { step, request: request.clone() });
            request
        }
        other => panic!("{other:?}"),
    };
    let mut scene = Scene::new(steps);
    scene.asks = vec!["a"];
    let request = asked(&mut scene);
    assert_eq!((request.shown.as_str(), scene.start()), ("file.delete paths=[\"/x\"]", String::new()));
    let other = Request { node: "other".to_owned(), ..request.clone() };
    assert!(
        scene
            .try_add(Event::Approved { step: id("a"), request: other.digest(), by: "eve".to_owned() })
            .is_err()
    );
    scene.now_ms = 59_999;
    scene.add(Event::Approved { step: id("a"), request: request.digest(), by: "ann".to_owned() });
    assert_eq!(scene.start(), "a");

    let mut silent = Scene::new(steps);
    silent.asks = vec!["a"];
    let request = asked(&mut silent);
    assert_eq!(silent.run.wake_ms(0), Some(60_000));
    silent.now_ms = 60_000;
    assert_eq!(silent.next(), [Action::Expire { step: id("a"), request: request.clone() }]);
    silent.add(Event::Expired { step: id("a"), request: request.digest() });
    assert!(silent.ending().contains("nobody approved it in time"));

    let mut late = Scene::new(steps);
    late.asks = vec!["a"];
    let request = asked(&mut late);
    late.add(Event::Approved { step: id("a"), request: request.digest(), by: "ann".to_owned() });
    late.now_ms = 60_000;
    assert!(
        matches!(late.next().as_slice(), [Action::Expire { .. }]),
        "an approval expires before it is used"
    );

    let mut denied = Scene::new(steps);
    denied.asks = vec!["a"];
    let request = asked(&mut denied);
    denied.add(Event::Denied { step: id("a"), request: request.digest(), by: "ann".to_owned() });
    assert!(denied.ending().contains("denied by ann"));

    let mut shut = Scene::new(steps);
    shut.shut = vec!["a"];
    shut.start();
    assert!(shut.ending().contains("forbidden: the policy"));
}

#[test]
fn what_is_asked_again_waits_for_a_yes_of_its_own() {
    let mut scene = Scene::new("{id: a, tool: file.delete, args: {paths: [/x]}}");
    scene.asks = vec!["a"];
    let Some(Action::Ask { step, request }) = scene.next().into_iter().next() else { panic!("is asked") };
    scene.add(Event::Asked { step: step.clone(), request: request.clone() });
    scene.add(Event::Approved { step: step.clone(), request: request.digest(), by: "ann".to_owned() });
    let other = Request { node: "other".to_owned(), ..request };
    scene.add(Event::Asked { step: step.clone(), request: other.clone() });
    let progress = &scene.run.steps[&step];
    assert_eq!((&progress.asked, progress.approved), (&Some(other), None));
}

#[test]
fn what_an_earlier_step_said_is_judged_before_it_is_used() {
    let cases = [
        ("exec.argv", "effect: read, args: {argv: [df, -h, '${look.out.text}']}", "/var", "Open"),
        (
            "exec.argv",
            "effect: read, args: {argv: [cat, '${look.out.text}']}",
            "/etc/shadow",
            "Shut(\"/etc/shadow is protected",
        ),
        (
            "exec.argv",
            "effect: read, args: {argv: [cat, '/var/${look.out.text}']}",
            "../etc/shadow",
            "Shut(\"/etc/shadow is protected",
        ),
        (
            "exec.argv",
            "effect: read, args: {argv: [df, '${look.out.text}']}",
            "--output=/x",
            "would become an option",
        ),
        ("exec.argv", "effect: read, args: {argv: [ls, 'a${look.out.text}']}", "x; rm -rf /", "Open"),
        (
            "exec.argv",
            "effect: read, args: {argv: [ip, addr, '${look.out.text}']}",
            "flush",
            "Shut(\"it is destructive, the plan says read",
        ),
        (
            "exec.argv",
            "effect: destructive, args: {argv: [rm, '${look.out.text}']}",
            "/",
            "more than a step may touch",
        ),
        (
            "exec.argv",
            "effect: destructive, args: {argv: [rm, '${look.out.text}']}",
            "/var/tmp/x",
            "shown: \"exec.argv rm /var/tmp/x\"",
        ),
        ("file.read", "args: {path: '${look.out.text}'}", "relative", "expected an absolute path"),
        ("file.read", "args: {path: '${look.out.text}'}", "/proc/self/environ", "is protected"),
        ("http.get", "args: {url: 'https://example.org/${look.out.text}'}", "@169.254.169.254/", "Open"),
        (
            "http.get",
            "args: {url: 'https://example.org/${look.out.text}'}",
            "a b",
            "Shut(\"the URL has white space",
        ),
        (
            "service.stop",
            "args: {name: '${look.out.text}'}",
            "node-agent.service",
            "ends the machine or the agent",
        ),
        ("service.stop", "args: {name: '${look.out.text}'}", "-H", "expected a name"),
    ];
    let policy = crate::policy::Policy::standard();
    for (tool, rest, said, says) in cases {
        let mut scene = Scene::new(&format!(
            "{{id: look, tool: file.read, args: {{path: /x}}}}, {{id: act, tool: {tool}, needs: [look], {rest}}}"
        ));
        scene.start();
        scene.comes_back("look", json!({"text": said}));
        let step = scene.run.plan.step(&id("act")).expect("is there");
        let gate = format!("{:?}", scene.run.gate(step, &policy, &crate::policy::look::Look::written(), 1));
        assert!(gate.contains(says), "{tool} {rest} with {said}: {gate}");
    }
}

#[test]
fn an_unknown_outcome_is_asked_about_and_never_tried_again_by_itself() {
    let mut scene = Scene::new(
        "{id: a, tool: file.delete, args: {paths: [/x]}}, {id: b, tool: collect.disk}, {id: c, tool: collect.disk, needs: [a]}",
    );
    assert_eq!(scene.start(), "a b");
    for event in scene.run.recover() {
        scene.add(event);
    }
    scene.now_ms = 5000;
    assert_eq!(scene.start(), "b", "what changes nothing is done again");
    scene.comes_back("b", json!({}));
    assert!(matches!(scene.next().as_slice(), [Action::AskUnknown { work: Work::Do, .. }]));
    let started =
        Event::Started { step: id("a"), attempt: 2, work: Work::Do, tier: Tier::None, key: String::new() };
    assert!(scene.try_add(started.clone()).is_err(), "not even when the journal says so");
    scene.add(Event::Answered {
        step: id("a"),
        attempt: 1,
        work: Work::Do,
        answer: Answer::Done,
        by: "ann".to_owned(),
    });
    assert!(scene.try_add(started).is_err());
    assert_eq!(scene.start(), "c");
}

#[test]
fn budgets_time_and_cancel_end_a_run() {
    let mut spent = Scene::new(
        "{id: a, tool: llm.ask, args: {prompt: p}}, {id: b, tool: llm.ask, args: {prompt: p}, needs: [a]}",
    );
    spent.start();
    spent.add(Event::Spent { step: id("a"), tokens: 1000, money: Money::ZERO });
    spent.comes_back("a", json!({"text": ""}));
    assert_eq!(spent.ending(), "OverBudget { why: \"1000 tokens used, the budget has 1000\" }");

    let mut dear = Scene::new(
        "{id: a, tool: llm.ask, args: {prompt: p}}, {id: b, tool: llm.ask, args: {prompt: p}, needs: [a]}",
    );
    dear.start();
    dear.add(Event::Spent { step: id("a"), tokens: 10, money: Money::micros(1_000_001) });
    dear.comes_back("a", json!({"text": ""}));
    assert_eq!(dear.ending(), "OverBudget { why: \"1.000001 USD spent, the budget has 1.00 USD\" }");

    let mut slow = Scene::new("{id: a, tool: file.delete, args: {paths: [/x]}}");
    slow.start();
    slow.now_ms = 3_600_000;
    assert_eq!(slow.next(), [Action::Kill { step: id("a") }]);
    slow.add(Event::Unknown { step: id("a"), attempt: 1, work: Work::Do, why: "killed".to_owned() });
    assert!(slow.ending().starts_with("Unknown"), "it is not said that it was not done");

    let mut cancelled = Scene::new("{id: a, tool: collect.disk}, {id: b, tool: collect.disk, needs: [a]}");
    cancelled.start();
    cancelled.add(Event::Cancelled { by: "ann".to_owned() });
    assert_eq!(cancelled.next(), [Action::Kill { step: id("a") }]);
    cancelled.add(Event::Failed { step: id("a"), attempt: 1, work: Work::Do, why: "killed".to_owned() });
    assert_eq!(cancelled.ending(), "Cancelled { by: \"ann\" }");
}

#[test]
fn a_key_is_the_same_for_every_attempt_and_another_for_every_other_step() {
    let scene = Scene::new(
        "{id: a, tool: collect.disk}, {id: b, tool: collect.disk, key: k}, {id: c, tool: collect.disk, key: k}",
    );
    let keys: std::collections::BTreeSet<String> =
        scene.run.plan.steps.iter().map(|step| scene.run.key(step)).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(
        scene.run.key(&scene.run.plan.steps[0]),
        Scene::of(&scene.run.plan).run.key(&scene.run.plan.steps[0])
    );
}
