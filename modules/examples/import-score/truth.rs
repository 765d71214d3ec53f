//! Values of a truth.yaml, made comparable.

use std::collections::BTreeSet;

use serde_yaml::Value;

pub fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// A text or a list of texts.
pub fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Sequence(items)) => items.iter().filter_map(|item| text(Some(item))).collect(),
        value => text(value).into_iter().collect(),
    }
}

pub fn all(truth: &Value, key: &str) -> BTreeSet<String> {
    texts(truth.get(key)).into_iter().collect()
}

pub fn plain_image(image: &str) -> String {
    let lower = image.to_lowercase();
    let lower = lower.strip_prefix("docker.io/").unwrap_or(&lower);
    lower.strip_prefix("library/").unwrap_or(lower).to_owned()
}

/// Without what says which later ones count too; of several that one may choose from, the order is all the same.
pub fn plain_license(license: &str) -> String {
    let mut parts: Vec<&str> = license
        .split(" OR ")
        .map(|part| part.trim_end_matches("-or-later").trim_end_matches("-only"))
        .collect();
    parts.sort_unstable();
    parts.join(" OR ")
}

pub fn host(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or_default();
    host.trim_start_matches("www.").to_lowercase()
}

pub fn mebibytes(text: &str) -> Option<String> {
    let number: f64 =
        text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>().parse().ok()?;
    let factor = if text.to_lowercase().contains('g') { 1024.0 } else { 1.0 };
    Some(((number * factor) as u64).to_string())
}
