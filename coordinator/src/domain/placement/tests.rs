//! The rules of placement, one test per rule; properties are in `tests/properties.rs`.

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
fn spreads_a_deployment_over_all_eligible_nodes_before_it_doubles() {
    let nodes = [busy("a", 3.9), node("b"), busy("c", 2.0)];
    check(count(4), nodes, "web/0 -> b, web/1 -> c, web/2 -> a, web/3 -> b");
}

fn check<const N: usize>(wish: Wish, nodes: [NodeView; N], expected: &str) {
    let decision = place(&wish, &Snapshot::new(nodes.to_vec()));
    assert_eq!(told(&decision), expected);
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

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a node name")
}

fn wish() -> Wish {
    Wish::new(DeploymentName::parse("web").expect("a deployment name"), "sha256:1")
}

fn count(count: u32) -> Wish {
    Wish { replicas: Replicas::Count(count), ..wish() }
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
