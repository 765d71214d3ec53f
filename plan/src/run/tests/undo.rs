//! Taking back what was done, after a step that failed.

use super::*;
use crate::policy::Policy;
use crate::policy::look::Look;

const OK: fn() -> Value = || json!({"exit": 0});
const BAD: fn() -> Value = || json!({"exit": 1});

#[test]
fn a_failed_step_takes_back_what_was_done_last_first() {
    let service = |id: &str, need: &str| {
        format!(
            "{{id: {id}, tool: service.stop, args: {{name: {id}}}, undo: {{tool: service.start, args: {{name: {id}}}}}, needs: [{need}]}}"
        )
    };
    let steps = format!(
        "{}, {}, {{id: c, tool: file.delete, args: {{paths: [/x]}}, needs: [b], on_failure: rollback, success: [{{number: {{of: out.deleted, at_least: 1}}}}]}}",
        service("a", ""),
        service("b", "a")
    );
    let mut scene = Scene::new(&steps);
    for step in ["a", "b", "c"] {
        assert_eq!(scene.start(), step);
        scene.comes_back(step, json!({"deleted": 0}));
    }
    assert_eq!(scene.start(), "b~");
    scene.comes_back("b", OK());
    assert_eq!(scene.start(), "a~");
    let mut lost = Scene {
        records: scene.records.clone(),
        run: scene.run.clone(),
        now_ms: 0,
        asks: vec![],
        shut: vec![],
    };
    scene.comes_back("a", OK());
    assert!(scene.ending().starts_with("RolledBack"));

    for event in lost.run.recover() {
        lost.add(event);
    }
    assert!(matches!(lost.next().as_slice(), [Action::AskUnknown { work: Work::Undo, .. }]));
    lost.add(Event::Answered {
        step: id("a"),
        attempt: 1,
        work: Work::Undo,
        answer: Answer::NotDone,
        by: "ann".to_owned(),
    });
    assert_eq!(lost.start(), "a~");
    lost.comes_back("a", BAD());
    assert!(lost.ending().starts_with("NotRolledBack"));
}

/// Two writes whose undo refers to what they kept, then one that fails.
fn writes() -> Scene {
    let write = |id: &str, needs: &str| {
        format!(
            "{{id: {id}, tool: file.write, args: {{path: /srv/{id}, text: x}}, needs: [{needs}], on_failure: rollback, \
             undo: {{tool: file.write, args: {{path: /srv/{id}, text: '${{{id}.out.saved}}'}}}}}}"
        )
    };
    let mut scene = Scene::new(&[write("a", ""), write("b", "a"), write("c", "b")].join(", "));
    for step in ["a", "b"] {
        assert_eq!(scene.start(), step);
        scene.comes_back(step, json!({"changed": true, "saved": "/saved"}));
    }
    assert_eq!(scene.start(), "c");
    scene
}

#[test]
fn what_is_known_to_have_done_nothing_is_not_taken_back() {
    let mut scene = writes();
    scene.fails("c", "the disk is full");
    for step in ["b", "a"] {
        assert_eq!(scene.start(), format!("{step}~"));
        scene.comes_back(step, OK());
    }
    assert_eq!(scene.ending(), "RolledBack { step: StepId(ItemName(\"c\")), why: \"the disk is full\" }");
}

#[test]
fn what_may_have_been_done_is_taken_back_also_where_it_failed() {
    let mut scene = Scene::new(
        "{id: a, tool: service.start, args: {name: x}, undo: {tool: service.stop, args: {name: x}}, on_failure: rollback}",
    );
    assert_eq!(scene.start(), "a");
    scene.fails("a", "it took longer than its timeout");
    assert_eq!(scene.start(), "a~", "what is the same twice may have been done half");
}

#[test]
fn what_cannot_be_taken_back_keeps_nothing_else_from_it() {
    let mut scene = writes();
    scene.fails("c", "the disk is full");
    assert_eq!(scene.start(), "b~");
    scene.fails("b", "no room");
    assert_eq!(scene.start(), "a~");
    let mut both = Scene { records: scene.records.clone(), run: scene.run.clone(), ..writes() };
    scene.comes_back("a", OK());
    let ending = scene.ending();
    assert!(
        ending.starts_with("NotRolledBack") && ending.contains("b could not be taken back: no room"),
        "{ending}"
    );
    assert!(!ending.contains("a could not"), "{ending}");

    both.fails("a", "no way");
    let ending = both.ending();
    assert!(
        ending.contains("b could not be taken back: no room; a could not be taken back: no way"),
        "{ending}"
    );
}

#[test]
fn an_undo_changes_no_more_than_its_step_owns_up_to() {
    let step = |effect: &str, undo: &str| {
        format!(
            "{{id: a, tool: exec.argv, args: {{argv: [apt-get, clean]}}, effect: {effect}, undo: {{tool: exec.argv, args: {{argv: [{undo}]}}}}}}"
        )
    };
    let gate = |steps: &str| {
        let scene = Scene::new(steps);
        let step = scene.run.plan.step(&id("a")).expect("is there");
        format!("{:?}", scene.run.gate(step, &Policy::standard(), &Look::written(), 1))
    };
    let refused = gate(&step("idempotent", "rm, /srv/x"));
    assert_eq!(refused, "Shut(\"its undo is destructive, the plan says idempotent\")");
    assert!(gate(&step("destructive", "rm, /srv/x")).starts_with("Ask"));
    assert!(gate(&step("idempotent", "systemctl, restart, x")).starts_with("Ask"));
    assert_eq!(gate(&step("idempotent", "apt-get, update")), "Open");
}
