//! How one description of a service is laid over another, for `extends`: maps merge, lists grow, texts are replaced.

use super::node::{Entry, Mark, Node, Value};

/// Written as `KEY=value` lists or as maps; merged as maps.
const PAIRS: [&str; 5] = ["environment", "labels", "annotations", "sysctls", "extra_hosts"];
/// Written as lists of names or as maps from them.
const NAMED: [&str; 2] = ["depends_on", "networks"];
/// Not merged: the later one stands.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];
/// Merged by the path inside the container.
const BY_TARGET: [&str; 2] = ["volumes", "devices"];

/// `over` laid over `base`; `key` is what both are written under.
pub fn merge(key: &str, base: Node, over: Node) -> Node {
    match over.mark {
        Mark::Reset => return Node::null(over.at),
        Mark::Override => return Node { mark: Mark::None, ..over },
        Mark::None => {}
    }
    if REPLACED.contains(&key) || matches!(base.value, Value::Null) {
        return over;
    }
    let (base, over) = match key {
        key if PAIRS.contains(&key) => (pairs(base, key), pairs(over, key)),
        key if NAMED.contains(&key) => (named(base), named(over)),
        _ => (base, over),
    };
    match (base.value, over.value) {
        (_, Value::Null) if key.is_empty() => Node::null(over.at),
        (base_value, Value::Null) => Node { at: base.at, value: base_value, mark: Mark::None },
        (Value::Map(base_entries), Value::Map(entries)) => {
            Node { at: over.at, value: Value::Map(merge_maps(base_entries, entries)), mark: Mark::None }
        }
        (Value::List(base_items), Value::List(items)) => {
            Node { at: over.at, value: Value::List(merge_lists(key, base_items, items)), mark: Mark::None }
        }
        (_, value) => Node { at: over.at, value, mark: Mark::None },
    }
}

fn merge_maps(mut base: Vec<Entry>, over: Vec<Entry>) -> Vec<Entry> {
    for entry in over {
        match base.iter().position(|own| own.key == entry.key) {
            Some(index) => {
                let own = base.remove(index);
                let value = merge(&entry.key, own.value, entry.value);
                base.insert(index, Entry { key: entry.key, at: entry.at, value });
            }
            None => base.push(entry),
        }
    }
    base
}

fn merge_lists(key: &str, mut base: Vec<Node>, over: Vec<Node>) -> Vec<Node> {
    for item in over {
        let same = |own: &Node| match BY_TARGET.contains(&key) {
            true => target(own).is_some() && target(own) == target(&item),
            false => own.text().is_some() && own.text() == item.text(),
        };
        match base.iter().position(same) {
            Some(index) => base[index] = item,
            None => base.push(item),
        }
    }
    base
}

/// The path inside the container.
fn target(item: &Node) -> Option<String> {
    match item.text() {
        Some(text) => {
            let parts: Vec<&str> = text.split(':').collect();
            Some(parts.get(1).filter(|part| part.starts_with('/')).unwrap_or(&parts[0]).to_string())
        }
        None => item.get("target").and_then(Node::text).map(str::to_owned),
    }
}

/// A list of `KEY=value` as a map.
fn pairs(node: Node, key: &str) -> Node {
    let Value::List(items) = node.value else { return node };
    let separators: &[char] = if key == "extra_hosts" { &['=', ':'] } else { &['='] };
    let entries = items.into_iter().filter_map(|item| {
        let text = item.text()?;
        let (key, value) = match text.split_once(separators) {
            Some((key, value)) => (key.to_owned(), Value::Quoted(value.to_owned())),
            None => (text.to_owned(), Value::Null),
        };
        Some(Entry { key, at: item.at, value: Node { at: item.at, value, mark: Mark::None } })
    });
    Node { at: node.at, value: Value::Map(entries.collect()), mark: node.mark }
}

/// A list of names as a map from them to nothing.
fn named(node: Node) -> Node {
    let Value::List(items) = node.value else { return node };
    let entries = items.into_iter().filter_map(|item| {
        let key = item.text()?.to_owned();
        Some(Entry { key, at: item.at, value: Node::null(item.at) })
    });
    Node { at: node.at, value: Value::Map(entries.collect()), mark: node.mark }
}
