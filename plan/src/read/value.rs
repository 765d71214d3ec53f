//! Reads arguments: what a scalar means is for the type of the argument to decide.

use modules::spec::error::Report;
use modules::spec::read::Spot;
use modules::spec::yaml::{Entry, Node, Value as Yaml, join};
use serde_json::{Map, Value};

use crate::step::Args;
use crate::tool::Tool;
use crate::tool::signature::Type;

pub(super) fn args(report: &mut Report, spot: &Spot<'_>, tool: Option<Tool>) -> Option<Args> {
    let Yaml::Map(entries) = &spot.node.value else {
        report.not(spot, "a map of arguments", None);
        return None;
    };
    let mut args = Args::new();
    for entry in entries {
        let kind = tool.and_then(|tool| tool.signature().arg(&entry.key)).map_or(Type::Any, |arg| arg.kind);
        args.extend(below(report, spot, entry, kind).map(|value| (entry.key.clone(), value)));
    }
    Some(args)
}

/// A value of no particular type.
pub(super) fn any(report: &mut Report, spot: &Spot<'_>) -> Option<Value> {
    read(report, spot, Type::Any)
}

fn below(report: &mut Report, spot: &Spot<'_>, entry: &Entry, kind: Type) -> Option<Value> {
    let path = join(&spot.path, &entry.key);
    report.visit(&path, entry.value.place);
    read(report, &Spot { node: &entry.value, path }, kind)
}

fn read(report: &mut Report, spot: &Spot<'_>, kind: Type) -> Option<Value> {
    match &spot.node.value {
        Yaml::Null => {
            report.not(spot, "a value", Some("leave it out where it is not needed".to_owned()));
            None
        }
        Yaml::Quoted(text) => Some(Value::String(text.clone())),
        Yaml::Plain(text) => plain(report, spot, text, kind),
        Yaml::List(items) => {
            let item_kind = if kind == Type::Any { Type::Any } else { Type::Text };
            let list =
                items.iter().enumerate().map(|(index, node)| item(report, spot, index, node, item_kind));
            list.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
        }
        Yaml::Map(entries) => {
            let kind = if kind == Type::Map { Type::Text } else { Type::Any };
            let mut map = Map::new();
            for entry in entries {
                map.extend(below(report, spot, entry, kind).map(|value| (entry.key.clone(), value)));
            }
            Some(Value::Object(map))
        }
    }
}

fn item(report: &mut Report, spot: &Spot<'_>, index: usize, node: &Node, kind: Type) -> Option<Value> {
    let path = format!("{}[{index}]", spot.path);
    report.visit(&path, node.place);
    read(report, &Spot { node, path }, kind)
}

fn plain(report: &mut Report, spot: &Spot<'_>, text: &str, kind: Type) -> Option<Value> {
    match kind {
        Type::Integer { .. } | Type::Flag | Type::Any => {}
        _ => return Some(Value::String(text.to_owned())),
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::from(number));
    }
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if text.parse::<f64>().is_ok()
            && text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') =>
        {
            let hint = Some("quote it if a text is meant".to_owned());
            report.not(spot, "a whole number", hint);
            None
        }
        text => Some(Value::String(text.to_owned())),
    }
}
