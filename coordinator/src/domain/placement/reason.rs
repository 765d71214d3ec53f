//! Reasons in words people use: which condition a node fails, and amounts as they are written.

use super::feature::offers;
use super::selector::Condition;
use super::view::NodeView;

pub(super) fn failure(condition: &Condition, node: &NodeView) -> Option<String> {
    match condition {
        Condition::Offers(key) => (!offers(node, key)).then(|| format!("needs capability {key}")),
        Condition::Equals(key, value) if equals(key, value, node) => None,
        Condition::Equals(key, value) => Some(match value_of(key, node) {
            Some(found) => format!("{} is {}, needs {value}", titled(key), known(found)),
            None => format!("has no label {key}, needs {value}"),
        }),
        Condition::Differs(key, value) => {
            equals(key, value, node).then(|| format!("{} is {value}, must be another", titled(key)))
        }
        Condition::Has(key) => (!has(key, node)).then(|| match key.as_str() {
            "cordoned" => "is not cordoned".to_owned(),
            _ => format!("has neither capability nor label {key}"),
        }),
        // That it is cordoned is said anyway.
        Condition::Lacks(key) if key == "cordoned" => None,
        Condition::Lacks(key) => has(key, node).then(|| format!("has {key}, must not")),
    }
}

fn equals(key: &str, value: &str, node: &NodeView) -> bool {
    let is_offered = || node.capabilities.contains(&format!("{key}={value}"));
    value_of(key, node) == Some(value) || (!matches!(key, "arch" | "node") && is_offered())
}

fn value_of<'a>(key: &str, node: &'a NodeView) -> Option<&'a str> {
    match key {
        "arch" => Some(&node.arch),
        "node" => Some(node.name.as_str()),
        _ => node.labels.get(key).map(String::as_str),
    }
}

fn has(key: &str, node: &NodeView) -> bool {
    match key {
        "cordoned" => node.cordoned,
        "arch" | "node" => true,
        _ => offers(node, key) || node.labels.contains_key(key),
    }
}

fn titled(key: &str) -> String {
    match key {
        "arch" => "arch".to_owned(),
        "node" => "name".to_owned(),
        _ => format!("label {key}"),
    }
}

pub(super) fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

pub(super) fn cores(cores: f64) -> String {
    let text = format!("{cores:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Both as people write them, unless that hides the difference.
pub(super) fn sizes(asked: u64, free: u64) -> (String, String) {
    match (size(asked), size(free)) {
        (one, other) if one == other => (format!("{asked} bytes"), format!("{free} bytes")),
        texts => texts,
    }
}

pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.trim_end_matches(".0"), UNITS[unit])
}
