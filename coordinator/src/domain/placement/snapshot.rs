//! The nodes of the fleet at one moment, laid out for placing: rows in chunks, features in an index.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use proto::ids::{InstanceId, NodeName};

use super::Wish;
use super::chunk::{Chunk, LANES};
use super::feature::{
    equals_feature, features, has_feature, has_same_traits, held_feature, offers_feature, port_feature,
    port_features, release_feature, traits,
};
use super::index::{Index, NodeSet};
use super::score::Row;
use super::selector::{Condition, Selector};
use super::view::{Liveness, NodeView};

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
        self.index_changes(&old, number);
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

    pub(super) fn is_reachable(&self, number: usize) -> bool {
        self.reachable.contains(number)
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
            let mut taken = self.index.nodes_with(&port_feature(*port)).into_owned();
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

    pub(super) fn with_release(&self, digest: &str) -> Cow<'_, NodeSet> {
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

    fn where_equal(&self, key: &str, value: &str) -> Cow<'_, NodeSet> {
        if key != "node" {
            return self.index.nodes_with(&equals_feature(key, value));
        }
        Cow::Owned(match NodeName::parse(value) {
            Ok(name) => self.named(&[name]),
            Err(_) => NodeSet::none(self.nodes.len()),
        })
    }

    fn where_present(&self, key: &str) -> Cow<'_, NodeSet> {
        match key {
            "cordoned" => Cow::Borrowed(&self.cordoned),
            "arch" | "node" => Cow::Owned(NodeSet::all(self.nodes.len())),
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

    /// Brings the index from what a node was to what it is.
    fn index_changes(&mut self, old: &NodeView, number: usize) {
        let new = &self.nodes[number];
        if !has_same_traits(old, new) {
            let (before, after) = (traits(old), traits(new));
            before.difference(&after).for_each(|gone| self.index.remove(gone, number));
            after.difference(&before).for_each(|came| self.index.insert(came.clone(), number));
        }
        // First all that is gone: a port that changes hands is taken before and after.
        for (port, holder) in &old.ports_taken {
            if new.ports_taken.get(port) != Some(holder) {
                port_features(*port, holder).for_each(|gone| self.index.remove(&gone, number));
            }
        }
        for (port, holder) in &new.ports_taken {
            if old.ports_taken.get(port) != Some(holder) {
                port_features(*port, holder).for_each(|came| self.index.insert(came, number));
            }
        }
        for gone in old.releases.difference(&new.releases) {
            self.index.remove(&release_feature(gone), number);
        }
        for came in new.releases.difference(&old.releases) {
            self.index.insert(release_feature(came), number);
        }
    }

    fn refresh(&mut self, number: usize) {
        let view = &self.nodes[number];
        self.chunks[number / LANES].set(number % LANES, &Row::of(view));
        self.reachable.set(number, view.liveness == Liveness::Ready);
        self.cordoned.set(number, view.cordoned);
    }
}
