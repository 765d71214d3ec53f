//! `extends` and `include`: descriptions that come from elsewhere in the same set of files.

use super::files::Files;
use super::log::{At, Log};
use super::merge::merge;
use super::node::{Entry, Node, Value, shortened};
use crate::spec::yaml::join;
use crate::suggest::closest;

const TOPS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];
const MAX_CHAIN: usize = 16;

/// The file with everything that its `include` names, and theirs.
pub fn included(root: Node, files: &mut Files<'_>, log: &mut Log) -> Node {
    let mut open = vec![log.name(root.at.file).to_owned()];
    include(root, &mut open, files, log)
}

fn include(mut root: Node, open: &mut Vec<String>, files: &mut Files<'_>, log: &mut Log) -> Node {
    let Some(list) = root.get("include").cloned() else { return root };
    let items = match list.value {
        Value::List(items) => items,
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) => vec![list],
        Value::Null => Vec::new(),
    };
    for (index, item) in items.into_iter().enumerate() {
        let field = format!("include[{index}]");
        for (path, at) in include_paths(&item, &field, log) {
            let Some(other) = files.compose(&path, at, &field, log) else { continue };
            let name = log.name(other.at.file).to_owned();
            if open.contains(&name) || open.len() == MAX_CHAIN {
                let found = format!("the cycle {} → {name}", open.join(" → "));
                log.wrong(at, &field, found, "files that do not include each other", None);
                continue;
            }
            open.push(name);
            let other = include(other, open, files, log);
            open.pop();
            adopt(&mut root, other, log);
        }
    }
    root
}

/// The files an item of `include` names; several of one item would be merged, which is refused.
fn include_paths(item: &Node, field: &str, log: &mut Log) -> Vec<(String, At)> {
    let path = match item.entries() {
        None => Some(item),
        Some(entries) => {
            for entry in entries.iter().filter(|entry| entry.key != "path") {
                let hint = Some("write the path alone".to_owned());
                let found = format!("{:?}", shortened(&entry.key));
                log.wrong(entry.at, &join(field, &entry.key), found, "a path", hint);
            }
            item.get("path")
        }
    };
    match path.map(|node| (&node.value, node.at)) {
        Some((Value::Plain(path) | Value::Quoted(path), at)) => vec![(path.clone(), at)],
        Some((Value::List(items), _)) if items.len() == 1 && items[0].text().is_some() => {
            items.iter().filter_map(|item| Some((item.text()?.to_owned(), item.at))).collect()
        }
        _ => {
            log.wrong(item.at, field, item.describe(), "the path of one compose file", None);
            Vec::new()
        }
    }
}

/// Adds what the other file declares; nothing may be declared twice.
fn adopt(root: &mut Node, other: Node, log: &mut Log) {
    let Value::Map(entries) = other.value else {
        log.wrong(other.at, "", other.describe(), "a compose file", None);
        return;
    };
    let Value::Map(own) = &mut root.value else { return };
    for entry in entries.into_iter().filter(|entry| TOPS.contains(&entry.key.as_str())) {
        let Value::Map(added) = entry.value.value else { continue };
        let index = own.iter().position(|known| known.key == entry.key).unwrap_or_else(|| {
            let value = Node { value: Value::Map(Vec::new()), ..Node::null(entry.at) };
            own.push(Entry { key: entry.key.clone(), at: entry.at, value });
            own.len() - 1
        });
        if matches!(own[index].value.value, Value::Null) {
            own[index].value.value = Value::Map(Vec::new());
        }
        let Value::Map(known) = &mut own[index].value.value else { continue };
        for item in added {
            match known.iter().find(|known| known.key == item.key) {
                Some(first) => {
                    let field = join(&entry.key, &item.key);
                    let place = first.at.place;
                    let expected =
                        format!("it once; {}:{} declares it too", log.name(first.at.file), place.line);
                    log.wrong(item.at, &field, format!("{:?} a second time", item.key), expected, None);
                }
                None => known.push(item),
            }
        }
    }
}

/// The service with what it `extends`.
pub fn extended(name: &str, service: Node, root: &Node, files: &mut Files<'_>, log: &mut Log) -> Node {
    let file = log.name(service.at.file).to_owned();
    let mut open = vec![(file, name.to_owned())];
    extend(service, root, &mut open, files, log)
}

fn extend(
    service: Node,
    root: &Node,
    open: &mut Vec<(String, String)>,
    files: &mut Files<'_>,
    log: &mut Log,
) -> Node {
    let Some(extends) = service.get("extends").cloned() else { return service };
    let name = &open[open.len() - 1].1;
    let field = format!("services.{name}.extends");
    let Some((base_name, file)) = target(&extends, &field, log) else { return service };
    let other = match &file {
        Some((path, at)) => match files.compose(path, *at, &field, log) {
            Some(other) => other,
            None => return service,
        },
        None => root.clone(),
    };
    let key = (log.name(other.at.file).to_owned(), base_name.clone());
    if open.contains(&key) || open.len() == MAX_CHAIN {
        let chain: Vec<&str> =
            open.iter().map(|(_, name)| name.as_str()).chain([base_name.as_str()]).collect();
        let found = format!("the cycle {}", chain.join(" → "));
        log.wrong(extends.at, &field, found, "services that do not extend each other", None);
        return service;
    }
    let Some(base) = other.get("services").and_then(|services| services.get(&base_name)).cloned() else {
        let services = other.get("services").and_then(Node::entries).unwrap_or_default();
        let known = closest(&base_name, services.iter().map(|entry| entry.key.as_str()));
        let hint = known.map(|name| format!("did you mean {name:?}?"));
        let found = format!("the unknown service {:?}", shortened(&base_name));
        log.wrong(extends.at, &field, found, format!("a service of {}", key.0), hint);
        return service;
    };
    open.push(key);
    let base = extend(base, &other, open, files, log);
    open.pop();
    without(merge("services", without(base), service))
}

/// The service without its `extends`, which has been carried out.
fn without(mut service: Node) -> Node {
    if let Value::Map(entries) = &mut service.value {
        entries.retain(|entry| entry.key != "extends");
    }
    service
}

type Named = (String, Option<(String, At)>);

fn target(extends: &Node, field: &str, log: &mut Log) -> Option<Named> {
    if let Some(name) = extends.text() {
        return Some((name.to_owned(), None));
    }
    let text = |key: &str| extends.get(key).and_then(|node| Some((node.text()?.to_owned(), node.at)));
    match text("service") {
        Some((name, _)) => Some((name, text("file"))),
        None => {
            log.wrong(extends.at, field, extends.describe(), "a service, or {service: …, file: …}", None);
            None
        }
    }
}
