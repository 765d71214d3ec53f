//! Why instances run where they run: every failing predicate of every node, and the score of the others.

use std::collections::BTreeMap;
use std::fmt::Write;

use proto::ids::{InstanceId, NodeName};
use proto::v1;
use serde::{Deserialize, Serialize};

use super::reason::{cores, failure, known, size, sizes};
use super::round::{Changed, Round};
use super::score::{DISK_UNIT, Need, PAGE, WEIGHTS, total};
use super::selector::Condition;
use super::snapshot::Snapshot;
use super::view::{Liveness, NodeView};
use super::{Decision, Wish};

/// Stored with the decision it explains.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// By name.
    pub nodes: Vec<NodeVerdict>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeVerdict {
    pub node: NodeName,
    /// Why no (further) instance goes here; empty: eligible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
    /// 0 where not eligible.
    #[serde(default)]
    pub score: f32,
    /// In the order of `WEIGHTS`; absent where not eligible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<[f32; 6]>,
    /// Those that run here by this decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<InstanceId>,
}

/// Tells for every node whether an instance may go there. Nodes are seen as they were when the first new instance
/// was placed; where instances stay without a place, as they are for the next one.
pub fn explain(wish: &Wish, snapshot: &Snapshot, decision: &Decision) -> Explanation {
    let mut round = Round::new(wish, snapshot);
    let mut placed: BTreeMap<&NodeName, Vec<InstanceId>> = BTreeMap::new();
    for (instance, node) in &decision.placements {
        placed.entry(node).or_default().push(instance.clone());
        let stays = wish.current.get(instance) == Some(node);
        match snapshot.number(node) {
            Some(number) if stays => round.keep(number),
            Some(number) if !decision.unplaced.is_empty() => round.take(number),
            Some(_) | None => {}
        }
    }
    let mut nodes = Vec::with_capacity(snapshot.nodes().len());
    for (number, node) in snapshot.nodes().iter().enumerate() {
        let here = Here {
            wish,
            node,
            need: Need::of(&wish.requires),
            state: round.changed(number),
            instances: placed.remove(&node.name).unwrap_or_default(),
        };
        let mut failures = here.failures();
        if wish.exclusive && !decision.unplaced.is_empty() && !decision.placements.is_empty() {
            failures.push("only one instance may run, it is exclusive".to_owned());
        }
        let parts = failures.is_empty().then(|| round.parts(number, &here.state));
        let score = parts.map_or(0.0, |parts| rounded(total(&parts)));
        let parts = parts.map(|parts| parts.map(rounded));
        nodes.push(NodeVerdict {
            node: node.name.clone(),
            failures,
            score,
            parts,
            instances: here.instances,
        });
    }
    for name in wish.nodes.iter().filter(|name| snapshot.get(name).is_none()) {
        let failures = vec!["is not a node of the fleet".to_owned()];
        nodes.push(NodeVerdict {
            node: name.clone(),
            failures,
            score: 0.0,
            parts: None,
            instances: Vec::new(),
        });
    }
    nodes.sort_by(|one, other| one.node.cmp(&other.node));
    nodes.dedup_by(|one, other| one.node == other.node);
    Explanation { nodes }
}

/// Four decimals are enough to read and half as long to store.
fn rounded(value: f32) -> f32 {
    (value * 10_000.0).round() / 10_000.0
}

/// One node at the moment that is explained.
struct Here<'a> {
    wish: &'a Wish,
    node: &'a NodeView,
    need: Need,
    state: Changed,
    instances: Vec<InstanceId>,
}

impl Here<'_> {
    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        self.check_identity(&mut failures);
        if self.node.cordoned {
            failures.push("is cordoned".to_owned());
        }
        match self.node.liveness {
            Liveness::Ready => {}
            Liveness::Unknown | Liveness::Lost if self.wish.waits_for_nodes() => {}
            Liveness::Unknown => failures.push("is not reachable".to_owned()),
            Liveness::Lost => failures.push("is lost, not reachable for longer than its lease".to_owned()),
        }
        // A node that is covered needs no room for a further instance.
        if self.wish.is_for_every_node() && self.state.own > 0 {
            return failures;
        }
        self.check_resources(&mut failures);
        self.check_ports(&mut failures);
        failures
    }

    fn check_identity(&self, failures: &mut Vec<String>) {
        let (wish, node) = (self.wish, self.node);
        if !wish.nodes.is_empty() && !wish.nodes.contains(&node.name) {
            failures.push("is not one of the named nodes".to_owned());
        }
        if !wish.requires.arch.is_empty() && !wish.requires.arch.contains(&node.arch) {
            failures.push(format!(
                "arch is {}, needs {}",
                known(&node.arch),
                wish.requires.arch.join(" or ")
            ));
        }
        for capability in &wish.requires.capabilities {
            failures.extend(failure(&Condition::of_capability(capability), node));
        }
        for condition in wish.selector.conditions() {
            failures.extend(failure(condition, node));
        }
    }

    fn check_resources(&self, failures: &mut Vec<String>) {
        let (wish, row, need) = (self.wish, &self.state.row, &self.need);
        if row.cpu_unreserved < need.cpu {
            let (asked, all) = (cores(wish.requires.cpu_cores), cores(self.node.cpu_cores));
            let left = cores(f64::from(row.cpu_unreserved.max(0)) / 1000.0);
            failures.push(format!("needs {asked} cpu cores, {left} of {all} are not reserved"));
        }
        if row.memory_free < need.memory {
            let total = self.node.memory_bytes;
            let free = bytes_of(row.memory_free, PAGE);
            let reserved = total.saturating_sub(bytes_of(row.memory_unreserved, PAGE));
            let (asked, free) = sizes(wish.requires.memory_bytes, free);
            let (total, reserved) = (size(total), size(reserved));
            failures.push(format!("needs {asked} memory, {free} is free of {total} ({reserved} reserved)"));
        }
        if row.disk_free < need.disk {
            let (asked, free) = sizes(wish.requires.disk_bytes, bytes_of(row.disk_free, DISK_UNIT));
            failures.push(format!("needs {asked} disk, {free} is free"));
        }
    }

    fn check_ports(&self, failures: &mut Vec<String>) {
        let own = |holder: &str| {
            InstanceId::parse(holder).is_ok_and(|instance| instance.deployment == self.wish.deployment)
        };
        for port in &self.wish.ports {
            match self.node.ports_taken.get(port) {
                Some(holder) if !own(holder) => failures.push(format!("port {port} is taken by {holder}")),
                Some(_) | None if self.state.own > 0 => {
                    let holder = self.instances.first().map_or_else(String::new, ToString::to_string);
                    failures.push(format!("port {port} is taken by {holder}"));
                }
                Some(_) | None => {}
            }
        }
    }
}

fn bytes_of(units: i32, unit: u64) -> u64 {
    u64::try_from(units).unwrap_or(0) * unit
}

impl Explanation {
    /// One line for people: how often each reason holds, the most frequent first.
    pub fn summary(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for failure in self.nodes.iter().flat_map(|node| &node.failures) {
            *counts.entry(failure).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let eligible = self.nodes.iter().filter(|node| node.failures.is_empty()).count();
        let mut text = format!("{eligible} of {} nodes are eligible", self.nodes.len());
        for (number, (failure, count)) in counts.iter().enumerate() {
            let mark = if number == 0 { ':' } else { ';' };
            let nodes = if *count == 1 { "node" } else { "nodes" };
            let _ = write!(text, "{mark} {count} {nodes}: {failure}");
        }
        text
    }
}

impl From<&Explanation> for v1::Explanation {
    fn from(explanation: &Explanation) -> Self {
        Self { nodes: explanation.nodes.iter().map(v1::explanation::NodeVerdict::from).collect() }
    }
}

impl From<&NodeVerdict> for v1::explanation::NodeVerdict {
    fn from(verdict: &NodeVerdict) -> Self {
        let part = |(value, (name, weight)): (f32, (&str, f32))| v1::explanation::Part {
            name: name.to_owned(),
            value: f64::from(value),
            weight: f64::from(weight),
        };
        Self {
            node: verdict.node.to_string(),
            failures: verdict.failures.clone(),
            score: f64::from(verdict.score),
            parts: verdict.parts.into_iter().flatten().zip(WEIGHTS).map(part).collect(),
            instances: verdict.instances.iter().map(ToString::to_string).collect(),
        }
    }
}
