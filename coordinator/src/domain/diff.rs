//! What has to change: wanted × observed, instance by instance. People read it as the plan, the executor as its work.

use std::collections::BTreeMap;

use proto::ids::{InstanceId, NodeName};
use proto::v1;

/// One instance as it should run on a node, or as a node was told to run it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub release: v1::Release,
    /// Digest of all that makes a restart necessary when it changes: release, configuration, restart counter …
    pub content: String,
}

/// One node: the wish for it and what is known of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeState {
    pub wanted: BTreeMap<InstanceId, Wanted>,
    /// What the node was last told and accepted, as far as we know.
    pub told: BTreeMap<InstanceId, Wanted>,
    /// Its report of now; `None` while it is not reachable.
    pub report: Option<v1::Report>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Start,
    /// Another release or other settings, on the same node.
    Update,
    Stop,
    /// Stops on one node and starts on another.
    Move,
    Keep,
    /// Wanted, but without a node.
    Wait,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub instance: InstanceId,
    /// Where it happens; for a move, where the instance goes. `None` only for `Kind::Wait`.
    pub node: Option<NodeName>,
    pub kind: Kind,
    /// For a move, where the instance comes from.
    pub from_node: Option<NodeName>,
    pub from: Option<v1::Release>,
    pub to: Option<v1::Release>,
    /// The node (for a move, one of both) is not reachable: the change waits for it.
    pub waits: bool,
}

/// Compares wish and observation of all nodes. `unplaced` are wanted, with that release, but have no node.
pub fn diff(
    nodes: &BTreeMap<NodeName, NodeState>,
    unplaced: &BTreeMap<InstanceId, v1::Release>,
) -> Vec<Change> {
    let mut leaving: BTreeMap<&InstanceId, Vec<Leaving<'_>>> = BTreeMap::new();
    let mut running: BTreeMap<&NodeName, BTreeMap<InstanceId, Running>> = BTreeMap::new();
    for (node, state) in nodes {
        running.insert(node, running_on(state));
    }
    for (node, state) in nodes {
        for (instance, runs) in running[node].iter().filter(|(id, _)| !state.wanted.contains_key(id)) {
            leaving.entry(instance).or_default().push(Leaving {
                node,
                from: runs.release.clone(),
                waits: state.report.is_none(),
            });
        }
    }
    let mut changes = Vec::new();
    for (node, state) in nodes {
        for (instance, wanted) in &state.wanted {
            let runs = running[node].get(instance);
            let origin = match (runs, leaving.get_mut(instance)) {
                (None, Some(origins)) => origins.pop(),
                (Some(_), _) | (None, None) => None,
            };
            changes.push(change_to(instance, node, state, wanted, runs, origin));
        }
    }
    for (instance, origins) in leaving {
        changes.extend(origins.into_iter().map(|origin| stop(instance, origin)));
    }
    changes.extend(unplaced.iter().map(|(instance, release)| wait(instance, release)));
    changes.sort_by(|one, other| (&one.instance, &one.node).cmp(&(&other.instance, &other.node)));
    changes
}

/// An instance that is on a node and not wanted there.
struct Leaving<'a> {
    node: &'a NodeName,
    from: Option<v1::Release>,
    waits: bool,
}

/// An instance that is on a node.
struct Running {
    release: Option<v1::Release>,
    /// `None`: not known.
    content: Option<String>,
    /// It failed and does not run; still, it is there until it is told to go.
    gave_up: bool,
}

fn running_on(state: &NodeState) -> BTreeMap<InstanceId, Running> {
    let told = |id: &InstanceId| state.told.get(id);
    let Some(report) = &state.report else {
        let believed = |told: &Wanted| Running {
            release: Some(told.release.clone()),
            content: Some(told.content.clone()),
            gave_up: false,
        };
        return state.told.iter().map(|(id, told)| (id.clone(), believed(told))).collect();
    };
    let mut running = BTreeMap::new();
    for instance in &report.instances {
        let Ok(id) = InstanceId::parse(&instance.id) else { continue };
        let content = told(&id).map(|told| told.content.clone());
        let gave_up = instance.phase() == v1::Phase::Failed;
        running.insert(id, Running { release: instance.release.clone(), content, gave_up });
    }
    running
}

fn change_to(
    instance: &InstanceId,
    node: &NodeName,
    state: &NodeState,
    wanted: &Wanted,
    runs: Option<&Running>,
    origin: Option<Leaving<'_>>,
) -> Change {
    let kind = match (runs, &origin) {
        (Some(runs), _) if runs.gave_up => Kind::Start,
        (Some(runs), _) if is_same(runs, wanted) => Kind::Keep,
        (Some(_), _) => Kind::Update,
        (None, Some(_)) => Kind::Move,
        (None, None) => Kind::Start,
    };
    let waits =
        kind != Kind::Keep && (state.report.is_none() || origin.as_ref().is_some_and(|origin| origin.waits));
    let from = match (runs, &origin) {
        (Some(runs), _) => runs.release.clone(),
        (None, Some(origin)) => origin.from.clone(),
        (None, None) => None,
    };
    Change {
        instance: instance.clone(),
        node: Some(node.clone()),
        kind,
        from_node: origin.map(|origin| origin.node.clone()),
        from,
        to: Some(wanted.release.clone()),
        waits,
    }
}

fn is_same(runs: &Running, wanted: &Wanted) -> bool {
    runs.release.as_ref().is_some_and(|release| release.digest == wanted.release.digest)
        && runs.content.as_ref().is_none_or(|content| *content == wanted.content)
}

fn stop(instance: &InstanceId, origin: Leaving<'_>) -> Change {
    Change {
        instance: instance.clone(),
        node: Some(origin.node.clone()),
        kind: Kind::Stop,
        from_node: None,
        from: origin.from,
        to: None,
        waits: origin.waits,
    }
}

fn wait(instance: &InstanceId, release: &v1::Release) -> Change {
    Change {
        instance: instance.clone(),
        node: None,
        kind: Kind::Wait,
        from_node: None,
        from: None,
        to: Some(release.clone()),
        waits: true,
    }
}

impl From<&Change> for v1::Change {
    /// A change that waits for its node shows as `WAIT` on that node.
    fn from(change: &Change) -> Self {
        use v1::change::Kind as Wire;
        let kind = match change.kind {
            _ if change.waits => Wire::Wait,
            Kind::Start => Wire::Start,
            Kind::Update => Wire::Update,
            Kind::Stop => Wire::Stop,
            Kind::Move => Wire::Move,
            Kind::Keep => Wire::Keep,
            Kind::Wait => Wire::Wait,
        };
        Self {
            instance: change.instance.to_string(),
            node: change.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: kind.into(),
            from: change.from.clone(),
            to: change.to.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_by_what_happens_to_the_instance() {
        let ready = |wanted: &str, runs: &str| node("a", wanted, Some(runs), "");
        check([ready("web/0=v1", "")], "start web/0 on a v1");
        check([ready("web/0=v2", "web/0=v1")], "update web/0 on a v1 to v2");
        check([ready("web/0=v1", "web/0=v1")], "keep web/0 on a v1 to v1");
        check([ready("", "web/0=v1")], "stop web/0 on a v1");
        check([ready("web/0=v1", "web/0=v1!")], "start web/0 on a v1 to v1");
        check([ready("", "web/0=v1!")], "stop web/0 on a v1");
        check([ready("web/1=v1", "web/0=v1")], "stop web/0 on a v1, start web/1 on a v1");
        check([ready("", "what is this=v1")], "");
    }

    #[test]
    fn other_settings_of_the_same_release_are_an_update() {
        let same = node("a", "web/0=v1", Some("web/0=v1"), "web/0=v1");
        check([same.clone()], "keep web/0 on a v1 to v1");
        let mut other = same;
        for told in other.1.told.values_mut() {
            told.content = "other settings".to_owned();
        }
        check([other], "update web/0 on a v1 to v1");
    }

    #[test]
    fn an_instance_that_goes_elsewhere_moves_once() {
        let to_b = || node("b", "web/0=v2", Some(""), "");
        check([node("a", "", Some("web/0=v1"), ""), to_b()], "move web/0 on b from a v1 to v2");
        check([node("a", "", None, "web/0=v1"), to_b()], "move web/0 on b from a v1 to v2 (waits)");
        let on_both = node("b", "web/0=v1", Some("web/0=v1"), "");
        check([node("a", "", Some("web/0=v1"), ""), on_both], "stop web/0 on a v1, keep web/0 on b v1 to v1");
    }

    #[test]
    fn what_concerns_an_unreachable_node_waits_unless_it_was_told_already() {
        check([node("a", "web/0=v1", None, "")], "start web/0 on a v1 (waits)");
        check([node("a", "web/0=v2", None, "web/0=v1")], "update web/0 on a v1 to v2 (waits)");
        check([node("a", "", None, "web/0=v1")], "stop web/0 on a v1 (waits)");
        check([node("a", "web/0=v1", None, "web/0=v1")], "keep web/0 on a v1 to v1");
    }

    #[test]
    fn an_instance_without_a_place_waits() {
        let unplaced = BTreeMap::from([(id("web/7"), release("v1"))]);
        let changes = diff(&BTreeMap::new(), &unplaced);
        assert_eq!(changes.iter().map(told).collect::<Vec<_>>(), ["wait web/7 v1 (waits)"]);
        assert_eq!(v1::Change::from(&changes[0]).kind(), v1::change::Kind::Wait);
    }

    fn check<const N: usize>(nodes: [(NodeName, NodeState); N], expected: &str) {
        let changes = diff(&BTreeMap::from(nodes), &BTreeMap::new());
        assert_eq!(changes.iter().map(told).collect::<Vec<_>>().join(", "), expected);
    }

    fn told(change: &Change) -> String {
        let kind = format!("{:?}", change.kind).to_lowercase();
        let on = change.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let origin = change.from_node.as_ref().map(|node| format!(" from {node}")).unwrap_or_default();
        let versions: Vec<&str> = [&change.from, &change.to]
            .into_iter()
            .flatten()
            .map(|release| release.version.as_str())
            .collect();
        let waits = if change.waits { " (waits)" } else { "" };
        format!("{kind} {}{on}{origin} {}{waits}", change.instance, versions.join(" to "))
    }

    /// Instances are written `id=version`, with `!` behind those that gave up.
    fn node(name: &str, wanted: &str, runs: Option<&str>, told: &str) -> (NodeName, NodeState) {
        let report = runs.map(|runs| v1::Report {
            instances: pairs(runs).map(|(id, version)| reported(id, version)).collect(),
            ..v1::Report::default()
        });
        let state = NodeState { wanted: listed(wanted), told: listed(told), report };
        (NodeName::parse(name).expect("a node name"), state)
    }

    fn listed(text: &str) -> BTreeMap<InstanceId, Wanted> {
        let wanted = |version| Wanted { release: release(version), content: version.to_owned() };
        pairs(text).map(|(instance, version)| (id(instance), wanted(version))).collect()
    }

    fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
        text.split(',').filter_map(|pair| pair.split_once('='))
    }

    fn reported(id: &str, version: &str) -> v1::InstanceReport {
        let phase = if version.ends_with('!') { v1::Phase::Failed } else { v1::Phase::Running };
        v1::InstanceReport {
            id: id.to_owned(),
            release: Some(release(version.trim_end_matches('!'))),
            phase: phase.into(),
            ..v1::InstanceReport::default()
        }
    }

    fn release(version: &str) -> v1::Release {
        v1::Release {
            module: "web".to_owned(),
            version: version.to_owned(),
            digest: format!("sha256:{version}"),
        }
    }

    fn id(text: &str) -> InstanceId {
        InstanceId::parse(text).expect("an instance id")
    }
}
