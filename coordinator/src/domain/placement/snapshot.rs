//! The nodes of the fleet at one moment, laid out for placing: rows in chunks, features in an index.

use std::collections::{BTreeSet, HashMap};

use proto::ids::{InstanceId, NodeName};

use super::Wish;
use super::chunk::{Chunk, LANES};
use super::index::{Index, NodeSet};
use super::score::Row;
use super::selector::{Condition, Selector};
use super::view::{HostPort, Liveness, NodeView};

/// The fleet as placement sees it. Nodes are sorted by name, so the order they come in never matters.
#[derive(Debug, Clone)]
pub struct Snapshot {
    nodes: Vec<NodeView>,
    /// The place of each name in `nodes`.
    numbers: HashMap<NodeName, usize>,
    chunks: Vec<Chunk>,
    index: Index,
    reachable: NodeSet,
    cordoned: NodeSet,
}

impl Snapshot {
    /// Of several views of the same name the last one counts.
    pub fn new(mut views: Vec<NodeView>) -> Self {
        views.reverse();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views.dedup_by(|one, other| one.name == other.name);
        let count = views.len();
        let mut snapshot = Self {
            numbers: views.iter().enumerate().map(|(number, view)| (view.name.clone(), number)).collect(),
            nodes: views,
            chunks: vec![Chunk::EMPTY; count.div_ceil(LANES)],
            index: Index::new(count),
            reachable: NodeSet::none(count),
            cordoned: NodeSet::none(count),
        };
        for number in 0..count {
            for feature in features(&snapshot.nodes[number]) {
                snapshot.index.insert(feature, number);
            }
            snapshot.refresh(number);
        }
        snapshot
    }

    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    pub fn get(&self, name: &NodeName) -> Option<&NodeView> {
        self.number(name).map(|number| &self.nodes[number])
    }

    /// Replaces what is known of one node; a name that is not in the snapshot is ignored.
    pub fn replace(&mut self, view: NodeView) {
        let Some(number) = self.number(&view.name) else { return };
        let old = std::mem::replace(&mut self.nodes[number], view);
        if !has_same_features(&old, &self.nodes[number]) {
            let (before, after) = (features(&old), features(&self.nodes[number]));
            for gone in before.difference(&after) {
                self.index.remove(gone, number);
            }
            for new in after.difference(&before) {
                self.index.insert(new.clone(), number);
            }
        }
        self.refresh(number);
    }

    /// Notes that an instance will run on a node, so that the next wish sees it: call it once for each new placement.
    pub fn reserve(&mut self, wish: &Wish, instance: &InstanceId, node: &NodeName) {
        let Some(number) = self.number(node) else { return };
        let view = &mut self.nodes[number];
        view.instances = view.instances.saturating_add(1);
        view.reserved.cpu_cores += wish.requires.cpu_cores;
        view.reserved.memory_bytes = view.reserved.memory_bytes.saturating_add(wish.requires.memory_bytes);
        view.cpu_busy_cores += wish.requires.cpu_cores;
        view.memory_available_bytes = view.memory_available_bytes.saturating_sub(wish.requires.memory_bytes);
        view.disk_free_bytes = view.disk_free_bytes.saturating_sub(wish.requires.disk_bytes);
        if view.releases.insert(wish.digest.clone()) {
            self.index.insert(release_feature(&wish.digest), number);
        }
        for port in &wish.ports {
            view.ports_taken.insert(*port, instance.to_string());
            self.index.insert(port_feature(*port), number);
            self.index.insert(held_feature(*port, wish.deployment.as_str()), number);
        }
        self.refresh(number);
    }

    pub(super) fn number(&self, name: &NodeName) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    pub(super) fn row(&self, number: usize) -> Row {
        self.chunks[number / LANES].row(number % LANES)
    }

    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The nodes the wish may run on by what they are: not by what is free on them, cordon and liveness.
    pub(super) fn admitted(&self, wish: &Wish) -> NodeSet {
        let mut admitted = NodeSet::all(self.nodes.len());
        if !wish.nodes.is_empty() {
            admitted.keep(&self.named(&wish.nodes));
        }
        if !wish.requires.arch.is_empty() {
            let mut any = NodeSet::none(self.nodes.len());
            for arch in &wish.requires.arch {
                any.add_all(&self.index.nodes_with(&equals_feature("arch", arch)));
            }
            admitted.keep(&any);
        }
        for capability in &wish.requires.capabilities {
            self.keep_where(&Condition::of_capability(capability), &mut admitted);
        }
        for condition in wish.selector.conditions() {
            self.keep_where(condition, &mut admitted);
        }
        admitted
    }

    /// Drops the nodes where others hold a port that the wish needs.
    pub(super) fn drop_clashes(&self, wish: &Wish, nodes: &mut NodeSet) {
        for port in &wish.ports {
            let mut taken = self.index.nodes_with(&port_feature(*port));
            taken.drop_all(&self.index.nodes_with(&held_feature(*port, wish.deployment.as_str())));
            nodes.drop_all(&taken);
        }
    }

    /// Where a new instance may start now.
    pub(super) fn keep_reachable(&self, nodes: &mut NodeSet) {
        nodes.keep(&self.reachable);
        nodes.drop_all(&self.cordoned);
    }

    /// Where a new instance may wait for the node to come back.
    pub(super) fn keep_unreachable(&self, nodes: &mut NodeSet) {
        nodes.drop_all(&self.reachable);
        nodes.drop_all(&self.cordoned);
    }

    /// The nodes a selector means, reachable or not.
    pub fn chosen(&self, selector: &Selector) -> BTreeSet<NodeName> {
        let mut chosen = NodeSet::all(self.nodes.len());
        for condition in selector.conditions() {
            self.keep_where(condition, &mut chosen);
        }
        chosen.iter().map(|number| self.nodes[number].name.clone()).collect()
    }

    pub(super) fn with_release(&self, digest: &str) -> NodeSet {
        self.index.nodes_with(&release_feature(digest))
    }

    fn keep_where(&self, condition: &Condition, nodes: &mut NodeSet) {
        match condition {
            Condition::Offers(key) => nodes.keep(&self.index.nodes_with(&offers_feature(key))),
            Condition::Equals(key, value) => nodes.keep(&self.where_equal(key, value)),
            Condition::Differs(key, value) => nodes.drop_all(&self.where_equal(key, value)),
            Condition::Has(key) => nodes.keep(&self.where_present(key)),
            Condition::Lacks(key) => nodes.drop_all(&self.where_present(key)),
        }
    }

    fn where_equal(&self, key: &str, value: &str) -> NodeSet {
        if key != "node" {
            return self.index.nodes_with(&equals_feature(key, value));
        }
        match NodeName::parse(value) {
            Ok(name) => self.named(&[name]),
            Err(_) => NodeSet::none(self.nodes.len()),
        }
    }

    fn where_present(&self, key: &str) -> NodeSet {
        match key {
            "cordoned" => self.cordoned.clone(),
            "arch" | "node" => NodeSet::all(self.nodes.len()),
            _ => self.index.nodes_with(&has_feature(key)),
        }
    }

    fn named(&self, names: &[NodeName]) -> NodeSet {
        let mut set = NodeSet::none(self.nodes.len());
        for number in names.iter().filter_map(|name| self.number(name)) {
            set.insert(number);
        }
        set
    }

    fn refresh(&mut self, number: usize) {
        let view = &self.nodes[number];
        self.chunks[number / LANES].set(number % LANES, &Row::of(view));
        self.reachable.set(number, view.liveness == Liveness::Ready);
        self.cordoned.set(number, view.cordoned);
    }
}

/// Whether the node offers a capability. A higher sandbox serves where a lower one is asked for.
pub(super) fn offers(node: &NodeView, capability: &str) -> bool {
    node.capabilities.iter().any(|offered| {
        offered == capability
            || matches!((sandbox(offered), sandbox(capability)), (Some(has), Some(asked)) if has >= asked)
    })
}

fn sandbox(capability: &str) -> Option<u32> {
    match capability.strip_prefix("sandbox.t")?.as_bytes() {
        [level @ b'1'..=b'9'] => Some(u32::from(level - b'0')),
        _ => None,
    }
}

fn has_same_features(one: &NodeView, other: &NodeView) -> bool {
    one.arch == other.arch
        && one.capabilities == other.capabilities
        && one.labels == other.labels
        && one.ports_taken == other.ports_taken
        && one.releases == other.releases
}

fn features(node: &NodeView) -> BTreeSet<String> {
    let mut features = BTreeSet::from([equals_feature("arch", &node.arch)]);
    for capability in &node.capabilities {
        for level in 0..=sandbox(capability).unwrap_or(0) {
            let implied = if level == 0 { capability.clone() } else { format!("sandbox.t{level}") };
            features.insert(has_feature(&implied));
            features.insert(offers_feature(&implied));
        }
        if let Some((key, value)) = capability.split_once('=')
            && key != "arch"
        {
            features.insert(equals_feature(key, value));
        }
    }
    for (key, value) in &node.labels {
        features.insert(has_feature(key));
        if key != "arch" {
            features.insert(equals_feature(key, value));
        }
    }
    for (port, holder) in &node.ports_taken {
        features.insert(port_feature(*port));
        if let Ok(instance) = InstanceId::parse(holder) {
            features.insert(held_feature(*port, instance.deployment.as_str()));
        }
    }
    features.extend(node.releases.iter().map(|digest| release_feature(digest)));
    features
}

fn equals_feature(key: &str, value: &str) -> String {
    // No key or value a person can write has a NUL, so no two pairs make the same feature.
    format!("equals {key}\0{value}")
}

fn has_feature(key: &str) -> String {
    format!("has {key}")
}

fn offers_feature(capability: &str) -> String {
    format!("offers {capability}")
}

fn port_feature(port: HostPort) -> String {
    format!("port {port}")
}

fn held_feature(port: HostPort, deployment: &str) -> String {
    format!("held {port} {deployment}")
}

fn release_feature(digest: &str) -> String {
    format!("release {digest}")
}
