//! How one description is laid over another, for `extends` and override files: maps merge, lists grow, texts are
//! replaced.

use super::node::{Entry, Mark, Node, Value};

/// Written as `KEY=value` lists or as maps; merged as maps.
const PAIRS: [&str; 5] = ["environment", "labels", "annotations", "sysctls", "extra_hosts"];
/// Written as lists of names or as maps from them.
const NAMED: [&str; 2] = ["depends_on", "networks"];
/// Not merged: the later one stands.
const REPLACED: [&str; 3] = ["command", "entrypoint", "test"];
/// Written as a list or as one text; merged as lists.
const LISTS: [&str; 5] = ["dns", "dns_search", "dns_opt", "env_file", "tmpfs"];
/// Merged by the name of what is mounted.
const BY_SOURCE: [&str; 2] = ["secrets", "configs"];
/// What a file declares, by name.
const DECLARED: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];
/// Merged by the path inside the container.
const BY_TARGET: [&str; 2] = ["volumes", "devices"];

/// One file laid over another.
pub fn merge_files(base: Node, over: Node) -> Node {
    let (at, mark) = (base.at, base.mark);
    let (Value::Map(mut entries), Value::Map(added)) = (base.value, over.value) else {
        return Node { at, value: Value::Null, mark };
    };
    for entry in added {
        let Some(own) = entries.iter_mut().find(|own| own.key == entry.key) else {
            entries.push(entry);
            continue;
        };
        let value = std::mem::replace(&mut own.value, Node::null(own.at));
        own.value = match DECLARED.contains(&entry.key.as_str()) {
            true => merge_declared(value, entry.value),
            false => merge(&entry.key, value, entry.value),
        };
    }
    Node { at, value: Value::Map(entries), mark }
}

/// The services, networks or others of two files: a service may be called as a key is.
fn merge_declared(base: Node, over: Node) -> Node {
    let (Value::Map(mut entries), Value::Map(added), Mark::None) =
        (base.value.clone(), over.value.clone(), over.mark)
    else {
        return merge("", base, over);
    };
    for entry in added {
        match entries.iter_mut().find(|own| own.key == entry.key) {
            Some(own) => {
                let value = std::mem::replace(&mut own.value, Node::null(own.at));
                own.value = merge("services", value, entry.value);
            }
            None => entries.push(entry),
        }
    }
    Node { at: base.at, value: Value::Map(entries), mark: base.mark }
}

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
        key if LISTS.contains(&key) => (listed(base), listed(over)),
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
        let same = |own: &Node| match key {
            key if BY_TARGET.contains(&key) => target(own).is_some() && target(own) == target(&item),
            key if BY_SOURCE.contains(&key) => source(own).is_some() && source(own) == source(&item),
            _ => own.text().is_some() && own.text() == item.text(),
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

/// The name of a secret or config.
fn source(item: &Node) -> Option<&str> {
    item.text().or_else(|| item.get("source").and_then(Node::text))
}

/// One text as a list.
fn listed(node: Node) -> Node {
    let (at, mark) = (node.at, node.mark);
    match node.value {
        Value::Plain(_) | Value::Quoted(_) => {
            Node { at, mark, value: Value::List(vec![Node { mark: Mark::None, ..node }]) }
        }
        Value::Null | Value::List(_) | Value::Map(_) => node,
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
