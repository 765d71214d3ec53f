use std::collections::BTreeMap;

use super::*;
use crate::step::{OnFailure, StepId, Tier};

const FULL: &str = include_str!("../../tests/full.yaml");
const SMALL: &str = "goal: look\nnodes: {every: true}\nsteps: [{id: disk, tool: collect.disk}]\n";

#[test]
fn every_field_is_read() {
    let plan = parse(FULL);
    let step = |id: &str| plan.step(&StepId::parse(id).expect("an id")).expect(id).clone();
    assert_eq!((plan.budget.money.micros, plan.budget.wall_ms), (500_000, 1_800_000));
    assert_eq!((step("judge").tier, step("clean").on_failure), (Tier::Low, OnFailure::Retry(2)));
    assert_eq!((step("delete").output_cap, step("delete").timeout_ms), (8 << 10, 120_000));
    insta::assert_snapshot!(plan.canonical().replace(",\"id\":", ",\n\"id\":"));
}

#[test]
fn the_hash_is_that_of_the_meaning_and_not_of_the_way_it_is_written() {
    let plan = parse(SMALL);
    let same = [
        "steps:\n- tool: collect.disk\n  id: disk\nnodes:\n  every: true\ngoal: \"look\"\n",
        "{\"goal\": \"look\", \"nodes\": {\"every\": true}, \"steps\": [{\"id\": \"disk\", \"tool\": \"collect.disk\"}]}",
        "goal: look\nnodes: {every: true}\nrollout: {canary: 1, batch: 5, max_failures: 0, offline: wait}\n\
         budget: {steps: 1, time: 1h, money: 0, tokens: 0}\n\
         steps: [{id: disk, tool: collect.disk, tier: none, effect: read, needs: [], timeout: 10s, output_cap: 4KiB, args: {}}]\n",
    ];
    for text in same {
        assert_eq!(parse(text).hash(), plan.hash(), "{text}");
    }
    let other = ["look", "collect.disk", "every: true"].map(|word| {
        SMALL.replace(
            word,
            match word {
                "look" => "looks",
                "collect.disk" => "collect.memory",
                _ => "names: [pi]",
            },
        )
    });
    for text in other {
        assert_ne!(parse(&text).hash(), plan.hash(), "{text}");
    }
    let turned = "goal: g\nnodes: {every: true}\nsteps: [{id: a, tool: collect.disk}, {id: b, tool: collect.disk, needs: [a]}]";
    let straight = "goal: g\nnodes: {every: true}\nsteps: [{id: b, tool: collect.disk, needs: [a]}, {id: a, tool: collect.disk}]";
    assert_eq!(parse(turned).hash(), parse(straight).hash());
    // The rule that makes the hash must never change by accident: approvals are kept.
    assert_eq!(
        plan.hash().to_string(),
        "sha256:ba04bb397f8a7f76b5bc0500fd7838076f45f30433a88f113314721622c76ebc"
    );
}

#[test]
fn canonical_bytes_read_back_and_nothing_else_does() {
    let plan = parse(FULL);
    let (bytes, hash) = (plan.canonical(), plan.hash());
    let again = Plan::from_canonical(bytes.as_bytes(), &hash).expect("reads back");
    assert_eq!((again.canonical(), again.hash()), (bytes.clone(), hash));
    for bad in [
        format!(" {bytes}"),
        bytes.replace("\"goal\":", "\"extra\":1,\"goal\":"),
        bytes.replace("85", "86"),
        String::new(),
    ] {
        assert!(Plan::from_canonical(bad.as_bytes(), &hash).is_err());
    }
}

#[test]
fn every_error_has_its_place_and_all_come_at_once() {
    let text = "\
goal: ''
nodes: {evry: true, names: [Bad_Name], on: ['a b']}
rollout: {canary: -1, batch: many, offline: maybe}
budget: {money: 5 EUR, tokens: 1.5, time: 10, steps: 0}
stepz: []
steps:
  - {id: Disk, tool: collect.disc}
  - {id: x, tool: collect.disk, kind: exec, tier: medium, effect: reed, needs: disk, timeout: 0s, output_cap: 5}
  - {id: y, tool: exec.argv, args: [ls], on_failure: retry, sandbox: t9}
  - {id: z, tool: exec.argv, args: {argv: [ls, null], env: ~}, on_failure: {retry: 99}}
  - {id: p, tool: collect.disk, success: [{exit: 300}, {contains: {of: stdout, text: x}}, {nmber: {of: out.x}}, {exit: 0, lacks: x}]}
  - {id: q, tool: collect.disk, when: [{number: {of: x.out.used_percent}}, {number: {of: x.out.a, above: 1, below: big}}, {equals: {of: out}}, 5]}
  - {id: r, tool: file.read, args: {path: /x}, undo: {tool: file.wirte}}
  - {id: s, tool: module.deploy, args: {module: web, config: {ratio: 0.5, port: 80}}, extra: 1}
  - just text
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn what_does_not_hold_together_is_an_error() {
    let text = "\
goal: g
nodes: {every: true, names: [pi]}
budget: {steps: 2}
steps:
  - {id: disk, tool: collect.disk}
  - {id: use, tool: file.read, args: {path: '${disk.out.used}'}}
  - {id: late, tool: exec.argv, args: {argv: ['${disk.out.used_percent}', '${disk.out.used_percent}', '${list.out.files}']}, needs: [disk, list]}
  - {id: list, tool: file.list, args: {path: /tmp}, needs: [disk]}
  - {id: own, tool: file.read, args: {path: '/tmp/${own.out.text}'}}
  - {id: shell, tool: exec.shell, args: {script: 'echo ${disk.out.used_percent}'}, needs: [disk], effect: read}
  - {id: http, tool: http.get, args: {url: 'https://${list.out.files}/x', domains: ['${disk.out.used_percent}']}, needs: [disk, list]}
  - {id: wrong, tool: file.list, args: {path: '/a ${list.out.files}', most: '${list.out.files}', patern: '*'}, needs: [list]}
  - {id: low, tool: llm.ask, tier: none, args: {prompt: p, tools: [file.write, exec.shell, llm.ask]}}
  - {id: fact, tool: collect.facts, tier: low}
  - {id: drop, tool: file.delete, args: {paths: [/x]}, effect: idempotent, on_failure: {retry: 1}}
  - {id: back, tool: service.stop, args: {name: web}, on_failure: rollback}
  - {id: when, tool: collect.disk, when: [{exit: 0}, {present: out.size_bytes}, {number: {of: disk.out.size_byte, above: 1}}], needs: [disk]}
  - {id: claim, tool: collect.disk, success: [{contains: x}, {contains: {of: out.used_percent, text: x}}]}
  - {id: check, tool: verify.output, needs: [disk]}
  - {id: odd, tool: file.read, args: {path: '/x/${HOME:-y}'}, key: 'ä'}
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn a_graph_that_is_none_is_named() {
    let steps =
        |list: &str| format!("goal: g\nnodes: {{every: true}}\nbudget: {{steps: 200}}\nsteps: [{list}]\n");
    let chain = |count: usize| {
        let step = |index: usize| match index {
            0 => "{id: s0, tool: collect.disk}".to_owned(),
            _ => format!("{{id: s{index}, tool: collect.disk, needs: [s{}]}}", index - 1),
        };
        (0..count).map(step).collect::<Vec<_>>().join(", ")
    };
    let cases = [
        ("{id: a, tool: collect.disk, needs: [a]}", "steps[0].needs: found the cycle a → a"),
        (
            "{id: x, tool: collect.disk, needs: [c]}, {id: a, tool: collect.disk, needs: [b]}, {id: b, tool: collect.disk, needs: [c]}, \
             {id: c, tool: collect.disk, needs: [a]}",
            "steps[3].needs: found the cycle c → a → b → c, expected steps that do not wait for each other",
        ),
        (
            "{id: disk, tool: collect.disk}, {id: b, tool: collect.disk, needs: [dsik]}",
            "steps[1].needs: found \"dsik\", expected the id of a step; did you mean \"disk\"?",
        ),
        (
            "{id: a, tool: collect.disk}, {id: a, tool: collect.disk}",
            "steps[1].id: found \"a\" a second time, expected another id than that of steps[0]",
        ),
        ("", "found 0 steps, expected 1 to 100"),
        (&chain(33), "found 33 steps one after another, expected at most 32"),
        (
            &(0..101)
                .map(|index| format!("{{id: s{index}, tool: collect.disk}}"))
                .collect::<Vec<_>>()
                .join(", "),
            "found 101 steps, expected 1 to 100",
        ),
    ];
    for (list, says) in cases {
        let errors = errors(&steps(list));
        assert!(errors.contains(says), "{errors}");
    }
    parse(&steps(&chain(32)));
}

#[test]
fn what_changes_nothing_has_nothing_to_take_back() {
    let step = |step: &str| format!("goal: g\nnodes: {{every: true}}\nsteps: [{{id: a, {step}}}]\n");
    let write = "undo: {tool: file.write, args: {path: /srv/x, text: x}}";
    let errors = errors(&step(&format!("tool: collect.disk, {write}")));
    assert!(errors.contains("steps[0].undo: found an undo of a step whose effect is read"), "{errors}");
    let delete = "undo: {tool: file.delete, args: {paths: [/srv/x]}}";
    let errors = self::errors(&step(&format!("tool: file.write, args: {{path: /srv/x, text: x}}, {delete}")));
    assert!(errors.contains("steps[0].effect: found reversible, expected at least destructive"), "{errors}");
    parse(&step(&format!(
        "tool: file.write, effect: destructive, args: {{path: /srv/x, text: x}}, {delete}"
    )));
    parse(&step("tool: service.start, args: {name: x}, undo: {tool: service.stop, args: {name: x}}"));
}

#[test]
fn an_action_has_the_effect_that_its_module_declares() {
    let actions = BTreeMap::from([
        ("drop".to_owned(), modules::effect::Effect::Destructive),
        ("list".to_owned(), modules::effect::Effect::Read),
    ]);
    let surroundings = Surroundings {
        actions: Some(BTreeMap::from([("db".to_owned(), actions)])),
        ..Surroundings::default()
    };
    let text = |args: &str| {
        format!("goal: g\nnodes: {{every: true}}\nsteps: [{{id: a, tool: module.action, {args}}}]\n")
    };
    let cases = [
        ("args: {deployment: db, action: list}", ""),
        ("args: {deployment: db, action: drop}", ""),
        (
            "args: {deployment: db, action: drop}, effect: read",
            "expected at least destructive, the effect that db declares for drop",
        ),
        ("args: {deployment: db, action: lsit}", "did you mean \"list\"?"),
        ("args: {deployment: bd, action: list}", "did you mean \"db\"?"),
    ];
    for (args, says) in cases {
        let got = Plan::parse("plan.yaml", text(args).as_bytes(), &surroundings)
            .map_err(|errors| errors.to_string());
        let got = got.err().unwrap_or_default();
        assert!(got.contains(says) && got.is_empty() == says.is_empty(), "{args}: {got}");
    }
}

fn parse(text: &str) -> Plan {
    Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn errors(text: &str) -> String {
    Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default()).expect_err("is refused").to_string()
}
