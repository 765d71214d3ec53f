//! What a node has or is, as the texts the index files it under.

use std::collections::BTreeSet;

use proto::ids::InstanceId;

use super::view::{HostPort, NodeView};

pub(super) fn features(node: &NodeView) -> BTreeSet<String> {
    let mut features = traits(node);
    features.extend(node.ports_taken.iter().flat_map(|(port, holder)| port_features(*port, holder)));
    features.extend(node.releases.iter().map(|digest| release_feature(digest)));
    features
}

/// The features of the machine itself, which hardly ever change.
pub(super) fn traits(node: &NodeView) -> BTreeSet<String> {
    let mut traits = BTreeSet::from([equals_feature("arch", &node.arch)]);
    for capability in &node.capabilities {
        for level in 0..=sandbox(capability).unwrap_or(0) {
            let implied = if level == 0 { capability.clone() } else { format!("sandbox.t{level}") };
            traits.insert(has_feature(&implied));
            traits.insert(offers_feature(&implied));
        }
        if let Some((key, value)) = capability.split_once('=')
            && key != "arch"
        {
            traits.insert(equals_feature(key, value));
        }
    }
    for (key, value) in &node.labels {
        traits.insert(has_feature(key));
        if key != "arch" {
            traits.insert(equals_feature(key, value));
        }
    }
    traits
}

pub(super) fn has_same_traits(one: &NodeView, other: &NodeView) -> bool {
    one.arch == other.arch && one.capabilities == other.capabilities && one.labels == other.labels
}

/// The features of a port that is taken: that it is, and by which deployment.
pub(super) fn port_features(port: HostPort, holder: &str) -> impl Iterator<Item = String> {
    let held = InstanceId::parse(holder).map(|instance| held_feature(port, instance.deployment.as_str()));
    std::iter::once(port_feature(port)).chain(held.ok())
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

pub(super) fn equals_feature(key: &str, value: &str) -> String {
    // No key or value a person can write has a NUL, so no two pairs make the same feature.
    ["equals ", key, "\0", value].concat()
}

pub(super) fn has_feature(key: &str) -> String {
    ["has ", key].concat()
}

pub(super) fn offers_feature(capability: &str) -> String {
    ["offers ", capability].concat()
}

pub(super) fn port_feature(port: HostPort) -> String {
    format!("port {port}")
}

pub(super) fn held_feature(port: HostPort, deployment: &str) -> String {
    format!("held {port} {deployment}")
}

pub(super) fn release_feature(digest: &str) -> String {
    ["release ", digest].concat()
}
