//! Runs what the fuzz targets run, on mutated seeds, within the ordinary tests.

use plan::journal::{MAGIC, encode};
use plan::plan::Plan;
use plan::run::Run;
use plan::run::event::{Event, Record};
use plan::validate::Surroundings;
use proptest::prelude::*;

mod bodies;

const PLAN: &[u8] = include_bytes!("../full.yaml");
const SMALL: &[u8] = b"goal: g\nnodes: {every: true}\nsteps: [{id: a, tool: collect.disk}]\n";
const POLICY: &[u8] = include_bytes!("../../src/policy/default.yaml");
const WORDS: [&str; 32] = [
    "\n",
    "\t",
    " ",
    "  - ",
    ": ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "|\n",
    "&a ",
    "*a",
    "!!str ",
    "---\n",
    "#",
    "${",
    "${disk.out.used_percent}",
    "$${",
    "null",
    "~",
    "id",
    "steps:",
    "needs: [a]",
    "\u{feff}",
    "-1",
    "1e9",
    "9999999999999999999",
    "exec.shell",
];

#[derive(Debug, Clone)]
enum Mutation {
    Put(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_is_read_or_refused_with_places(seed in prop::sample::select(vec![PLAN, SMALL]), mutations in prop::collection::vec(mutation(), 0..6)) {
        bodies::plan_yaml(&mutated(seed, &mutations));
    }

    #[test]
    fn any_journal_is_read_or_refused(mutations in prop::collection::vec(mutation(), 0..6), records in 0_u64..5) {
        bodies::journal(&mutated(&journal(records), &mutations));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_policy_is_read_or_refused_with_places(mutations in prop::collection::vec(mutation(), 0..6)) {
        bodies::policy_yaml(&mutated(POLICY, &mutations));
    }
}

fn journal(records: u64) -> Vec<u8> {
    let plan = Plan::parse("plan.yaml", SMALL, &Surroundings::default()).expect("is good");
    let mut bytes = MAGIC.to_vec();
    for number in 0..records {
        let event = if number == 0 {
            Run::begin("r", "pi", &plan)
        } else {
            Event::Cancelled { by: "ann".to_owned() }
        };
        bytes.extend(encode(number, &Record { at_ms: number, event }).expect("short"));
    }
    bytes
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let word = prop_oneof![
        prop::sample::select(WORDS.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), word.clone()).prop_map(|(at, word)| Mutation::Put(at, word)),
        (at(), word).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (at(), 1_usize..40).prop_map(|(at, count)| Mutation::Delete(at, count)),
        (at(), 1_usize..80).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ]
}

fn mutated(seed: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for mutation in mutations {
        let length = bytes.len();
        let place = |at: &prop::sample::Index| at.index(length + 1);
        match mutation {
            Mutation::Put(at, word) => {
                let at = place(at);
                bytes.splice(at..(at + word.len()).min(length), word.iter().copied());
            }
            Mutation::Insert(at, word) => drop(bytes.splice(place(at)..place(at), word.iter().copied())),
            Mutation::Delete(at, count) => drop(bytes.drain(place(at)..(place(at) + count).min(length))),
            Mutation::Repeat(at, count) => {
                let piece = bytes[place(at)..(place(at) + count).min(length)].to_vec();
                bytes.splice(place(at)..place(at), piece);
            }
        }
    }
    bytes
}
