//! The rules of placement, one test per rule; what holds for every fleet and wish is in `tests/properties.rs`.

use super::*;

mod properties;
mod reference;

const GIB: u64 = 1 << 30;

#[test]
fn takes_the_best_node_and_the_first_by_name_on_ties() {
    check(wish(), [node("b"), node("a")], "web/0 -> a");
    check(wish(), [busy("a", 3.0), node("b")], "web/0 -> b");
    check(wish(), [NodeView { memory_available_bytes: GIB, ..node("a") }, node("b")], "web/0 -> b");
    check(wish(), [NodeView { disk_free_bytes: GIB, ..node("a") }, node("b")], "web/0 -> b");
    check(wish(), [NodeView { instances: 3, ..node("a") }, node("b")], "web/0 -> b");
    let has_package = NodeView { releases: BTreeSet::from(["sha256:1".to_owned()]), ..node("b") };
    check(wish(), [node("a"), has_package], "web/0 -> b");
}

#[test]
fn what_a_broken_node_says_never_wins() {
    for garbage in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        check(wish(), [busy("a", garbage), busy("b", 3.0)], "web/0 -> b");
        check(wish(), [NodeView { cpu_cores: garbage, ..node("a") }, busy("b", 3.0)], "web/0 -> b");
    }
    check(wish(), [NodeView { memory_available_bytes: u64::MAX, ..node("b") }, node("a")], "web/0 -> a");
    check(wish(), [NodeView { disk_free_bytes: u64::MAX, ..node("b") }, node("a")], "web/0 -> a");
}

#[test]
fn spreads_a_deployment_over_all_eligible_nodes_before_it_doubles() {
    let nodes = [busy("a", 3.9), node("b"), busy("c", 2.0)];
    check(count(4), nodes, "web/0 -> b, web/1 -> c, web/2 -> a, web/3 -> b");
}

#[test]
fn places_only_where_everything_required_is_there() {
    let two = || [node("a"), NodeView { arch: "aarch64".to_owned(), ..labelled("b", "attic") }];
    check(requires("label:room=attic"), two(), "web/0 -> b");
    check(requires("label:room"), two(), "web/0 -> b");
    check(requires("arch=arm64"), two(), "web/0 -> b");
    check(requires("gpu"), two(), "web/0 unplaced");
    check(requires("sandbox.t2"), [offers("a", "sandbox.t1"), offers("b", "sandbox.t3")], "web/0 -> b");
    for selector in ["arch=aarch64", "room", "room=attic", "node!=a", "node=b,!gpu", "arch!=x86_64"] {
        check(selects(selector), two(), "web/0 -> b");
    }
    check(selects("!room"), two(), "web/0 -> a");
    check(selects("room!=attic"), two(), "web/0 -> a");
    check(Wish { nodes: vec![name("b")], ..wish() }, two(), "web/0 -> b");
}

#[test]
fn memory_must_be_promised_to_nobody_and_really_free() {
    let promised = NodeView { reserved: Reserved { cpu_cores: 0.0, memory_bytes: 3 * GIB }, ..node("a") };
    let in_use = NodeView { memory_available_bytes: GIB, ..node("b") };
    check(needs(2 * GIB), [promised.clone(), in_use.clone()], "web/0 unplaced");
    check(needs(GIB), [promised, in_use], "web/0 -> a");
    let wish = Wish { replicas: Replicas::Count(3), ..needs(2 * GIB) };
    check(wish, [node("a")], "web/0 -> a, web/1 -> a, web/2 unplaced");
}

#[test]
fn a_fixed_port_is_nobody_elses() {
    let wish = || Wish { ports: vec![HostPort::tcp(80)], ..count(2) };
    check(wish(), [node("a")], "web/0 -> a, web/1 unplaced");
    check(wish(), [holds_80("a", "nginx/0"), node("b")], "web/0 -> b, web/1 unplaced");
    check(wish(), [holds_80("a", FOREIGN)], "web/0 unplaced, web/1 unplaced");
    let runs = Wish { replicas: Replicas::Count(1), ..at(wish(), [("web/0", "a")]) };
    check(runs, [holds_80("a", "web/0"), node("b")], "web/0 -> a");
    let both = || at(wish(), [("web/0", "a"), ("web/1", "a")]);
    check(both(), [node("a")], "web/0 -> a, web/1 unplaced");
    check(both(), [seen("a", Liveness::Lost)], "web/0 -> a waiting, web/1 unplaced");
}

#[test]
fn instances_stay_where_they_are_while_they_may() {
    let idle = || node("b");
    let here = || at(wish(), [("web/0", "a")]);
    let hungry = Wish { requires: needs(2 * GIB).requires, ..here() };
    check(hungry.clone(), [NodeView { memory_available_bytes: 0, ..busy("a", 4.0) }, idle()], "web/0 -> a");
    check(here(), [cordoned("a"), idle()], "web/0 -> a");
    check(here(), [seen("a", Liveness::Unknown), idle()], "web/0 -> a waiting");
    check(here(), [seen("a", Liveness::Lost), idle()], "web/0 -> b");
    check(here(), [seen("a", Liveness::Lost)], "web/0 -> a waiting");
    check(here(), [idle()], "web/0 -> b");
    check(
        Wish { selector: selects("gpu").selector, ..here() },
        [node("a"), offers("b", "gpu")],
        "web/0 -> b",
    );
    let full = NodeView { reserved: Reserved { cpu_cores: 0.0, memory_bytes: 3 * GIB }, ..node("a") };
    let grown =
        |from| Wish { holds: Some(Reserved { cpu_cores: 0.0, memory_bytes: from }), ..hungry.clone() };
    check(grown(GIB), [full.clone(), idle()], "web/0 -> a");
    check(grown(GIB / 2), [full, idle()], "web/0 -> b");
}

#[test]
fn an_exclusive_instance_never_leaves_a_node_that_cannot_say_it_stopped() {
    let wish = || Wish { exclusive: true, ..at(count(1), [("web/0", "a")]) };
    for liveness in [Liveness::Unknown, Liveness::Lost] {
        check(wish(), [seen("a", liveness), node("b")], "web/0 -> a waiting");
    }
    let two = Wish { replicas: Replicas::Count(2), ..wish() };
    check(two, [node("a"), node("b")], "web/0 -> a, web/1 unplaced");
}

#[test]
fn an_instance_with_data_waits_for_the_node_that_has_it() {
    let wish = || Wish { keeps_data: true, ..at(count(1), [("web/0", "a")]) };
    for liveness in [Liveness::Unknown, Liveness::Lost] {
        check(wish(), [seen("a", liveness), node("b")], "web/0 -> a waiting");
    }
    check(wish(), [node("b")], "web/0 -> b");
    let elsewhere = Wish { selector: selects("gpu").selector, ..wish() };
    check(elsewhere, [node("a"), offers("b", "gpu")], "web/0 -> b");
    let two = Wish { replicas: Replicas::Count(2), ..wish() };
    check(two, [seen("a", Liveness::Lost), node("b")], "web/0 -> a waiting, web/1 -> b");
}

#[test]
fn a_change_for_named_nodes_waits_for_those_that_cannot_be_reached() {
    let named =
        |count| Wish { nodes: vec![name("a"), name("b")], replicas: Replicas::Count(count), ..wish() };
    let nodes = || [seen("a", Liveness::Unknown), busy("b", 4.0), node("c")];
    check(named(1), nodes(), "web/0 -> b");
    check(named(2), nodes(), "web/0 -> b, web/1 -> a waiting");
    check(wish(), [seen("a", Liveness::Unknown)], "web/0 unplaced");
    let lost = || [NodeView { disk_free_bytes: 0, ..seen("a", Liveness::Lost) }, node("b")];
    let placed = at(named(2), [("web/0", "b"), ("web/1", "a")]);
    let requires = Requirements { disk_bytes: GIB, ..Requirements::default() };
    check(Wish { requires, ..placed }, lost(), "web/0 -> b, web/1 -> a waiting");
    check(at(named(1), [("web/0", "a")]), lost(), "web/0 -> b");
    let every = Wish { replicas: Replicas::EveryNode, ..wish() };
    check(every, nodes(), "web/0 -> a waiting, web/1 -> b, web/2 -> c");
}

#[test]
fn every_node_means_each_that_is_admitted_with_a_stable_index() {
    let every = |current: Wish| Wish { replicas: Replicas::EveryNode, ..current };
    let two = at(wish(), [("web/0", "c"), ("web/1", "b")]);
    check(every(two.clone()), [node("a"), node("b"), node("c")], "web/0 -> c, web/1 -> b, web/2 -> a");
    check(every(two.clone()), [cordoned("a"), cordoned("b")], "web/0 removed from c, web/1 -> b");
    let picky = Wish { selector: selects("!gpu").selector, ..every(two) };
    check(picky, [node("c"), offers("b", "gpu")], "web/0 -> c, web/1 removed from b");
    let small = NodeView { memory_available_bytes: GIB, ..node("b") };
    check(every(needs(2 * GIB)), [node("a"), small], "web/0 -> a, web/1 unplaced");
}

#[test]
fn scaling_down_takes_from_the_worst_places_first() {
    let four = |count| {
        let at_four = [("web/0", "a"), ("web/1", "a"), ("web/2", "b"), ("web/3", "c")];
        at(Wish { replicas: Replicas::Count(count), ..wish() }, at_four)
    };
    let nodes = || [node("a"), busy("b", 3.0), node("c")];
    check(four(3), nodes(), "web/0 -> a, web/1 removed from a, web/2 -> b, web/3 -> c");
    let two = "web/0 -> a, web/1 removed from a, web/2 removed from b, web/3 -> c";
    check(four(2), nodes(), two);
    let unseen = [node("a"), node("b"), seen("c", Liveness::Unknown)];
    check(four(3), unseen, "web/0 -> a, web/1 -> a, web/2 -> b, web/3 removed from c");
}

#[test]
fn names_every_reason_on_every_node() {
    let wish = Wish {
        requires: Requirements {
            arch: vec!["aarch64".to_owned(), "armv7".to_owned()],
            cpu_cores: 6.0,
            memory_bytes: 2 * GIB,
            disk_bytes: 64 * GIB,
            capabilities: vec!["gpu".to_owned(), "label:room=attic".to_owned()],
        },
        nodes: vec![name("b"), name("x")],
        selector: Selector::parse("site=home,!docker,tpu,arch!=x86_64,room!=kitchen").expect("a selector"),
        ports: vec![HostPort::tcp(1883)],
        ..wish()
    };
    let a = NodeView {
        cordoned: true,
        memory_available_bytes: GIB / 2,
        reserved: Reserved { cpu_cores: 0.5, memory_bytes: GIB },
        ports_taken: BTreeMap::from([(HostPort::tcp(1883), "mosquitto/0".to_owned())]),
        capabilities: BTreeSet::from(["docker".to_owned()]),
        ..labelled("a", "kitchen")
    };
    insta::assert_snapshot!(explained(&wish, &[a]).0, @r"
    a 0.000 []
      is not one of the named nodes
      arch is x86_64, needs aarch64 or armv7
      needs capability gpu
      label room is kitchen, needs attic
      has no label site, needs home
      has docker, must not
      has neither capability nor label tpu
      arch is x86_64, must be another
      label room is kitchen, must be another
      is cordoned
      needs 6 cpu cores, 3.5 of 4 are not reserved
      needs 2 GiB memory, 512 MiB is free of 4 GiB (1 GiB reserved)
      needs 64 GiB disk, 32 GiB is free
      port 1883/tcp is taken by mosquitto/0
    b 0.000 []
      is not a node of the fleet
    x 0.000 []
      is not a node of the fleet
    ");
}

#[test]
fn explains_why_no_further_instance_fits() {
    let wish = Wish { ports: vec![HostPort::tcp(80)], replicas: Replicas::Count(3), ..wish() };
    let nodes = [node("a"), node("b"), seen("c", Liveness::Unknown)];
    let (text, summary) = explained(&wish, &nodes);
    insta::assert_snapshot!(text, @r"
    a 0.000 [web/0]
      port 80/tcp is taken by web/0
    b 0.000 [web/1]
      port 80/tcp is taken by web/1
    c 0.000 []
      is not reachable
    ");
    assert_eq!(
        summary,
        "0 of 3 nodes are eligible: 1 node: is not reachable; \
         1 node: port 80/tcp is taken by web/0; 1 node: port 80/tcp is taken by web/1"
    );
    let one = Wish { ports: vec![], replicas: Replicas::Count(1), ..wish };
    insta::assert_snapshot!(explained(&one, &nodes).0, @r"
    a 0.950 [web/0]
    b 0.950 []
    c 0.000 []
      is not reachable
    ");
}

#[test]
fn an_explanation_survives_the_store_and_the_wire() {
    let snapshot = Snapshot::new(vec![node("a"), cordoned("b")]);
    let explanation = explain(&wish(), &snapshot, &place(&wish(), &snapshot));
    let stored = serde_json::to_string(&explanation).expect("it serializes");
    assert_eq!(serde_json::from_str::<Explanation>(&stored).expect("it reads back"), explanation);
    let wire = proto::v1::Explanation::from(&explanation);
    assert_eq!(wire.nodes[0].instances, ["web/0"]);
    let score: f64 = wire.nodes[0].parts.iter().map(|part| part.value * part.weight).sum();
    assert!((score - wire.nodes[0].score).abs() < 1e-3, "{score} is not {}", wire.nodes[0].score);
    assert!(wire.nodes[1].parts.is_empty());
}

fn check<const N: usize>(wish: Wish, nodes: [NodeView; N], expected: &str) {
    let decision = place(&wish, &Snapshot::new(nodes.to_vec()));
    assert_eq!(told(&decision), expected, "{wish:#?}");
}

fn told(decision: &Decision) -> String {
    let mut lines = BTreeMap::new();
    for (instance, node) in &decision.placements {
        let waits = if decision.waiting.contains(instance) { " waiting" } else { "" };
        lines.insert(instance, format!("{instance} -> {node}{waits}"));
    }
    for instance in &decision.unplaced {
        lines.insert(instance, format!("{instance} unplaced"));
    }
    for (instance, node) in &decision.removed {
        lines.insert(instance, format!("{instance} removed from {node}"));
    }
    lines.into_values().collect::<Vec<_>>().join(", ")
}

fn explained(wish: &Wish, nodes: &[NodeView]) -> (String, String) {
    let snapshot = Snapshot::new(nodes.to_vec());
    let explanation = explain(wish, &snapshot, &place(wish, &snapshot));
    let mut text = String::new();
    for verdict in &explanation.nodes {
        let instances: Vec<String> = verdict.instances.iter().map(ToString::to_string).collect();
        text += &format!("{} {:.3} [{}]\n", verdict.node, verdict.score, instances.join(" "));
        for failure in &verdict.failures {
            text += &format!("  {failure}\n");
        }
    }
    (text, explanation.summary())
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a node name")
}

fn wish() -> Wish {
    Wish::new(DeploymentName::parse("web").expect("a deployment name"), "sha256:1")
}

fn count(count: u32) -> Wish {
    Wish { replicas: Replicas::Count(count), ..wish() }
}

fn requires(capability: &str) -> Wish {
    let capabilities = vec![capability.to_owned()];
    Wish { requires: Requirements { capabilities, ..Requirements::default() }, ..wish() }
}

fn needs(memory_bytes: u64) -> Wish {
    Wish { requires: Requirements { memory_bytes, ..Requirements::default() }, ..wish() }
}

fn selects(selector: &str) -> Wish {
    Wish { selector: Selector::parse(selector).expect("a selector"), ..wish() }
}

fn at<const N: usize>(wish: Wish, current: [(&str, &str); N]) -> Wish {
    let placed = |(id, node): (&str, &str)| (InstanceId::parse(id).expect("an instance id"), name(node));
    Wish { current: current.into_iter().map(placed).collect(), ..wish }
}

fn node(text: &str) -> NodeView {
    NodeView {
        arch: "x86_64".to_owned(),
        cpu_cores: 4.0,
        memory_bytes: 4 * GIB,
        memory_available_bytes: 4 * GIB,
        disk_bytes: 32 * GIB,
        disk_free_bytes: 32 * GIB,
        ..NodeView::new(name(text))
    }
}

fn busy(text: &str, cores: f64) -> NodeView {
    NodeView { cpu_busy_cores: cores, ..node(text) }
}

fn cordoned(text: &str) -> NodeView {
    NodeView { cordoned: true, ..node(text) }
}

fn seen(text: &str, liveness: Liveness) -> NodeView {
    NodeView { liveness, ..node(text) }
}

fn offers(text: &str, capability: &str) -> NodeView {
    NodeView { capabilities: BTreeSet::from([capability.to_owned()]), ..node(text) }
}

fn labelled(text: &str, room: &str) -> NodeView {
    NodeView { labels: BTreeMap::from([("room".to_owned(), room.to_owned())]), ..node(text) }
}

fn holds_80(text: &str, by: &str) -> NodeView {
    NodeView { ports_taken: BTreeMap::from([(HostPort::tcp(80), by.to_owned())]), ..node(text) }
}
