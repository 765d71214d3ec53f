use super::*;

#[test]
fn only_a_newer_generation_is_taken_over_and_it_survives_a_restart() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("ledger");
    let mut ledger = Ledger::open(&path).expect("empty");
    let mut check = |generation, id: &str, expected| {
        assert_eq!(ledger.accept(spec(generation, id)).expect("written"), expected, "{generation} {id}");
    };
    check(3, "a/0", Verdict::Accepted);
    check(3, "a/0", Verdict::Unchanged);
    check(3, "b/0", Verdict::Conflict);
    check(2, "a/0", Verdict::Stale);
    check(4, "b/0", Verdict::Accepted);
    let again = Ledger::open(&path).expect("read");
    assert_eq!((again.spec(), again.spec_digest()), (ledger.spec(), ledger.spec_digest()));
}

#[test]
fn memories_survive_a_restart_and_end_with_their_instance() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("ledger");
    let mut ledger = Ledger::open(&path).expect("empty");
    ledger.accept(spec(1, "a/0")).expect("written");
    let failure = Failure {
        content: Content::of(&InstanceSpec::default()),
        attempt: 7,
        release: Release::default(),
        reason: "exited".to_owned(),
    };
    ledger.remember("a/0", |memory| {
        memory.failed = Some(failure.clone());
        for (lane, port) in [(Lane::First, 20_001), (Lane::Second, 20_002)] {
            memory.ports.insert(lane, BTreeMap::from([("web".to_owned(), port)]));
        }
    });
    ledger.remember("stranger/0", |memory| memory.failed = Some(failure.clone()));
    ledger.flush().expect("written");
    let mut again = Ledger::open(&path).expect("read");
    assert_eq!(again.memory("a/0"), ledger.memory("a/0"));
    assert_eq!(again.memory("a/0").failed, Some(failure));
    assert_eq!(again.memory("stranger/0"), Memory::default());
    again.accept(spec(2, "b/0")).expect("written");
    assert_eq!(again.memory("a/0"), Memory::default());
}

#[test]
fn a_corrupt_ledger_is_set_aside_and_the_node_begins_anew() {
    for damage in [b"".as_slice(), b"orchled1", b"orchled1 and something that is not right, at all, no"] {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("ledger");
        fs::write(&path, damage).expect("written");
        let ledger = Ledger::open(&path).expect("opened");
        assert_eq!(ledger.spec(), &NodeSpec::default());
        let names: Vec<_> = fs::read_dir(dir.path()).expect("list").flatten().collect();
        assert_eq!(names.len(), 1);
        assert!(names[0].file_name().to_string_lossy().starts_with("ledger.corrupt-"));
    }
}

fn spec(generation: u64, id: &str) -> NodeSpec {
    let instance = InstanceSpec { id: id.to_owned(), ..Default::default() };
    NodeSpec { node: "pi".to_owned(), generation, instances: vec![instance], ..Default::default() }
}
