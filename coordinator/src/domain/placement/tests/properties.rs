//! What must hold for every fleet and every wish.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_what_the_reference_says(nodes in fleet(), wish in any_wish()) {
        prop_assert_eq!(place(&wish, &Snapshot::new(nodes.clone())), reference::place(&wish, &nodes));
    }

    #[test]
    fn does_not_depend_on_the_order_of_nodes(
        (nodes, shuffled) in fleet().prop_flat_map(|nodes| (Just(nodes.clone()), Just(nodes).prop_shuffle())),
        wish in any_wish(),
    ) {
        let (one, other) = (Snapshot::new(nodes), Snapshot::new(shuffled));
        let decision = place(&wish, &one);
        prop_assert_eq!(&decision, &place(&wish, &other));
        prop_assert_eq!(explain(&wish, &one, &decision), explain(&wish, &other, &decision));
    }

    #[test]
    fn a_node_is_explained_as_eligible_exactly_where_an_instance_may_go(nodes in fleet(), wish in any_wish()) {
        let wish = Wish { current: BTreeMap::new(), replicas: Replicas::Count(1), ..wish };
        let snapshot = Snapshot::new(nodes);
        let decision = place(&wish, &snapshot);
        for verdict in &explain(&wish, &snapshot, &decision).nodes {
            let alone = snapshot.get(&verdict.node).map(|node| Snapshot::new(vec![node.clone()]));
            let is_placeable = alone.is_some_and(|alone| place(&wish, &alone).unplaced.is_empty());
            prop_assert_eq!(verdict.failures.is_empty(), is_placeable, "{:?}", verdict);
            prop_assert!(is_placeable || verdict.instances.is_empty());
            for part in verdict.parts.into_iter().flatten().chain([verdict.score]) {
                prop_assert!((0.0..=1.0).contains(&part), "{:?}", verdict);
            }
        }
    }

    #[test]
    fn respects_the_count_and_gives_every_instance_one_answer(nodes in fleet(), wish in any_wish()) {
        let decision = place(&wish, &Snapshot::new(nodes));
        if let Replicas::Count(count) = wish.replicas {
            prop_assert_eq!(decision.placements.len() + decision.unplaced.len(), count as usize);
        }
        if wish.exclusive {
            prop_assert!(decision.placements.len() <= 1);
        }
        for instance in wish.current.keys() {
            let answers = [
                decision.placements.contains_key(instance),
                decision.unplaced.contains(instance),
                decision.removed.contains_key(instance),
            ];
            prop_assert_eq!(answers.into_iter().filter(|answer| *answer).count(), 1);
        }
    }

    #[test]
    fn never_promises_what_is_not_there(nodes in fleet(), wish in any_wish()) {
        let mut snapshot = Snapshot::new(nodes.clone());
        let decision = place(&wish, &snapshot);
        let mut new: BTreeMap<&NodeName, u64> = BTreeMap::new();
        for (instance, node) in fresh(&wish, &decision) {
            snapshot.reserve(&wish, instance, node);
            *new.entry(node).or_default() += 1;
        }
        for (name, count) in new {
            let before = nodes.iter().find(|node| node.name == *name).expect("a node");
            let after = snapshot.get(name).expect("a node");
            let asked = count * wish.requires.memory_bytes;
            prop_assert!(asked == 0 || after.reserved.memory_bytes <= after.memory_bytes);
            prop_assert!(asked <= before.memory_available_bytes);
            prop_assert!(count * wish.requires.disk_bytes <= before.disk_free_bytes);
            let is_sensible = wish.requires.cpu_cores > 0.0 && !before.reserved.cpu_cores.is_nan();
            prop_assert!(!is_sensible || after.reserved.cpu_cores <= after.cpu_cores + 1e-6);
            prop_assert!(!before.cordoned);
        }
    }

    #[test]
    fn never_gives_a_port_twice(nodes in fleet(), wish in any_wish()) {
        let decision = place(&wish, &Snapshot::new(nodes.clone()));
        if wish.ports.is_empty() || wish.exclusive {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        for name in decision.placements.values() {
            prop_assert!(seen.insert(name), "two instances on {}", name);
            let node = nodes.iter().find(|node| node.name == *name).expect("a node");
            for port in &wish.ports {
                let holder = node.ports_taken.get(port);
                prop_assert!(holder.is_none_or(|holder| holder.starts_with("web/")), "{:?}", holder);
            }
        }
    }

    #[test]
    fn instances_stay_where_they_were_placed(nodes in fleet(), wish in any_wish()) {
        let mut snapshot = Snapshot::new(nodes);
        let wish = Wish { holds: None, ..wish };
        let first = place(&wish, &snapshot);
        for (instance, node) in fresh(&wish, &first) {
            snapshot.reserve(&wish, instance, node);
        }
        let settled = Wish { current: first.placements.clone(), ..wish };
        let second = place(&settled, &snapshot);
        prop_assert_eq!(&second.placements, &first.placements);
        prop_assert!(second.removed.is_empty());
    }

    #[test]
    fn an_idle_node_more_never_leaves_an_instance_without_a_place(nodes in fleet(), wish in any_wish()) {
        let before = place(&wish, &Snapshot::new(nodes.clone()));
        let mut more = nodes;
        more.push(NodeView { arch: "aarch64".to_owned(), ..node("idle") });
        let after = place(&wish, &Snapshot::new(more));
        let lost: Vec<_> = after.unplaced.difference(&before.unplaced).collect();
        let is_covered = wish.replicas == Replicas::EveryNode;
        prop_assert!(is_covered || lost.is_empty(), "{:?}", lost);
    }

    #[test]
    fn a_snapshot_kept_up_to_date_is_one_made_anew(
        nodes in fleet(),
        wishes in vec(any_wish(), 1..4),
        changed in fleet(),
    ) {
        let mut snapshot = Snapshot::new(nodes);
        for wish in &wishes {
            let decision = place(wish, &snapshot);
            for (instance, node) in fresh(wish, &decision) {
                snapshot.reserve(wish, instance, node);
            }
            for view in changed.iter().step_by(2) {
                snapshot.replace(view.clone());
            }
        }
        let anew = Snapshot::new(snapshot.nodes().to_vec());
        for wish in &wishes {
            let decision = place(wish, &snapshot);
            prop_assert_eq!(&decision, &place(wish, &anew));
            prop_assert_eq!(explain(wish, &snapshot, &decision), explain(wish, &anew, &decision));
        }
    }
}

/// Placements that were not there before.
fn fresh<'a>(wish: &'a Wish, decision: &'a Decision) -> impl Iterator<Item = (&'a InstanceId, &'a NodeName)> {
    decision.placements.iter().filter(|(instance, node)| wish.current.get(instance) != Some(node))
}

fn fleet() -> impl Strategy<Value = Vec<NodeView>> {
    let few = btree_map(0_u32..12, any_node(), 0..8);
    let many =
        vec(any_node(), 60..80).prop_map(|nodes| (0..).zip(nodes).collect::<BTreeMap<u32, NodeView>>());
    prop_oneof![9 => few, 1 => many].prop_map(|nodes| {
        nodes
            .into_iter()
            .map(|(number, view)| NodeView { name: name(&format!("n{number}")), ..view })
            .collect()
    })
}

fn any_node() -> impl Strategy<Value = NodeView> {
    let what = (
        select(vec!["x86_64", "aarch64", "armv7", ""]),
        subsequence(vec!["gpu", "docker", "sandbox.t1", "sandbox.t3", "gpio=5"], 0..5),
        btree_map(select(vec!["room", "site", "arch"]), select(vec!["attic", "kitchen"]), 0..3),
        prop::bool::weighted(0.15),
        prop_oneof![6 => Just(Liveness::Ready), 1 => Just(Liveness::Unknown), 1 => Just(Liveness::Lost)],
    );
    let amounts = (cores(), cores(), vec(bytes(), 5), cores(), 0_u32..20);
    let holders = select(vec!["mosquitto/0", "web/0", "web/7", FOREIGN]);
    let holds = (btree_map(port(), holders, 0..2), btree_set(select(vec!["sha256:1", "sha256:2"]), 0..2));
    (what, amounts, holds).prop_map(
        |((arch, capabilities, labels, cordoned, liveness), amounts, (ports, releases))| {
            let (cpu_cores, cpu_busy_cores, bytes, reserved_cores, instances) = amounts;
            NodeView {
                arch: arch.to_owned(),
                capabilities: capabilities.into_iter().map(str::to_owned).collect(),
                labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
                cordoned,
                liveness,
                cpu_cores,
                cpu_busy_cores,
                memory_bytes: bytes[0],
                memory_available_bytes: bytes[1],
                disk_bytes: bytes[2],
                disk_free_bytes: bytes[3],
                reserved: Reserved { cpu_cores: reserved_cores, memory_bytes: bytes[4] / 4 },
                instances,
                ports_taken: ports.into_iter().map(|(port, by)| (port, by.to_owned())).collect(),
                releases: releases.into_iter().map(str::to_owned).collect(),
                ..node("x")
            }
        },
    )
}

/// Mostly sensible, sometimes what a broken node might say.
fn cores() -> impl Strategy<Value = f64> {
    let garbage = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.0];
    prop_oneof![8 => (0_u32..80).prop_map(|tenths| f64::from(tenths) / 10.0), 1 => select(garbage)]
}

fn bytes() -> impl Strategy<Value = u64> {
    let odd = vec![0, 1, u64::MAX, u64::MAX - 1, GIB - 1, GIB + 1];
    prop_oneof![8 => (0_u64..64).prop_map(|parts| parts * (GIB / 8)), 1 => select(odd)]
}

fn port() -> impl Strategy<Value = HostPort> {
    select(vec![80, 1883]).prop_map(HostPort::tcp)
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let replicas = prop_oneof![4 => (0_u32..6).prop_map(Replicas::Count), 1 => Just(Replicas::EveryNode)];
    let capabilities = vec!["gpu", "sandbox.t2", "label:room=attic", "label:room", "arch=aarch64", "gpio=5"];
    let requires = (
        prop_oneof![3 => Just(vec![]), 1 => Just(vec!["aarch64", "armv7"])],
        prop_oneof![2 => Just(vec![]), 1 => subsequence(capabilities, 0..3)],
        (0_u32..20).prop_map(|tenths| f64::from(tenths) / 10.0),
        prop_oneof![Just(0), Just(GIB / 2), Just(GIB + 1)],
        prop_oneof![Just(0), Just(GIB)],
    );
    let selectors =
        vec!["room=attic", "room!=attic", "gpu", "!gpu", "!cordoned", "node!=n3", "arch=aarch64,gpio=5"];
    let names = subsequence((0..12).collect::<Vec<u32>>(), 1..5);
    let limits = (
        prop_oneof![3 => Just(vec![]), 1 => names],
        prop_oneof![3 => Just(""), 1 => select(selectors)],
        btree_set(port(), 0..2),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.3),
    );
    let holds = prop_oneof![2 => Just(None), 1 => (0_u32..3).prop_map(|halves| Some(Reserved {
        cpu_cores: f64::from(halves) / 2.0,
        memory_bytes: u64::from(halves) * GIB / 2,
    }))];
    let current = btree_map(0_u32..8, 0_u32..13, 0..5);
    (replicas, requires, limits, holds, current).prop_map(|(replicas, requires, limits, holds, current)| {
        let (arch, capabilities, cpu_cores, memory_bytes, disk_bytes) = requires;
        let (nodes, selector, ports, exclusive, keeps_data) = limits;
        let named = |number: u32| name(&format!("n{number}"));
        let plain = wish();
        Wish {
            replicas,
            requires: Requirements {
                arch: arch.into_iter().map(str::to_owned).collect(),
                cpu_cores,
                memory_bytes,
                disk_bytes,
                capabilities: capabilities.into_iter().map(str::to_owned).collect(),
            },
            nodes: nodes.into_iter().map(named).collect(),
            selector: Selector::parse(selector).expect("a selector"),
            ports: ports.into_iter().collect(),
            exclusive,
            keeps_data,
            holds,
            current: current.into_iter().map(|(index, number)| (plain.id(index), named(number))).collect(),
            ..plain
        }
    })
}
