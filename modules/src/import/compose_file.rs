//! Compose files read leniently: what they say about their services, with lines, comments included.
//!
//! What is deployed is parsed strictly later; here a slip in one service must not hide the others.

use std::borrow::Cow;

use serde_yaml::Value;

use super::container::{
    Container, EnvEntry, MountMap, PortMap, is_variable, mount, plain, ports, tidy_target,
};

mod comments;

/// A compose file.
#[derive(Debug, Default, Clone)]
pub struct ComposeFile {
    pub services: Vec<Container>,
    /// What it calls the volumes of its own.
    pub volumes: Vec<String>,
    /// The comments before its first key.
    pub head: String,
    /// What it takes for variables that are not set: `${NAME:-default}`.
    pub defaults: Vec<(String, String)>,
}

/// Larger files are not compose files.
const MAX_BYTES: usize = 512 * 1024;

/// Reads a compose file; none when the text is no YAML with services.
pub fn read(text: &str, first: u32) -> Option<ComposeFile> {
    if text.len() > MAX_BYTES || !text.contains(':') || !text.contains("image") && !text.contains("build") {
        return None;
    }
    if is_too_deep(text) {
        return None;
    }
    let text = straight(text);
    let mut value: Value = serde_yaml::from_str(&text).ok()?;
    // A merge that cannot be applied leaves the rest readable.
    let _ = value.apply_merge();
    let map = value.as_mapping()?;
    let services = match map.get("services") {
        Some(Value::Mapping(services)) => services,
        Some(_) => return None,
        // Version 1, or a piece of a file: services at the top.
        None if map.values().all(is_service) && !map.is_empty() => map,
        None if is_service(&value) => return piece(&value, &text, first),
        None => return None,
    };
    let mut file = ComposeFile { head: head(&text), defaults: defaults(&text), ..ComposeFile::default() };
    if let Some(Value::Mapping(volumes)) = map.get("volumes") {
        file.volumes = volumes.keys().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let lines = Lines { lines: text.lines().collect(), first };
    for (name, service) in services {
        let Some(name) = scalar(name) else { continue };
        file.services.push(lines.service(&name, service));
    }
    (!file.services.is_empty()
        && file.services.iter().any(|service| service.image.is_some() || service.is_built))
    .then_some(file)
}

/// Brackets in brackets, deeper than any compose file; a YAML reader takes long for them.
fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_i32;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        depth > 64
    })
}

/// Tabs and prompts that people leave in.
fn straight(text: &str) -> Cow<'_, str> {
    if text.contains(['\t', '\u{a0}']) {
        return Cow::Owned(text.replace('\t', "  ").replace('\u{a0}', " "));
    }
    Cow::Borrowed(text)
}

fn is_service(value: &Value) -> bool {
    value.as_mapping().is_some_and(|map| {
        let has = |key: &str| map.contains_key(key);
        (has("image") || has("build"))
            && (has("ports")
                || has("volumes")
                || has("environment")
                || has("restart")
                || has("container_name")
                || map.len() < 3)
            && !is_job(value)
            && !map.get("build").is_some_and(is_job)
            && !has("jobs")
            && !has("kind")
            && !has("apiVersion")
    })
}

/// A job of a pipeline, which names the image that it runs in.
fn is_job(value: &Value) -> bool {
    let keys = ["script", "before_script", "commands", "steps", "stage", "plugins"];
    value.as_mapping().is_some_and(|map| keys.iter().any(|key| map.contains_key(key)))
}

fn piece(value: &Value, text: &str, first: u32) -> Option<ComposeFile> {
    let lines = Lines { lines: text.lines().collect(), first };
    let service = lines.service("app", value);
    Some(ComposeFile { services: vec![service], ..ComposeFile::default() })
}

/// The comments a file begins with.
fn head(text: &str) -> String {
    let comments =
        text.lines().take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    comments.map(|line| line.trim_start_matches(['#', ' '])).collect::<Vec<_>>().join(" ")
}

/// The variables with defaults, outside of comments; one within another is left out.
fn defaults(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| line.contains("${") && !line.trim_start().starts_with('#'));
    let inner = lines.flat_map(|line| line.split("${").skip(1)).filter_map(|rest| rest.split_once('}'));
    let pairs = inner.filter_map(|(inner, _)| inner.split_once(":-"));
    let pairs = pairs.filter(|(name, default)| is_variable(name) && !default.is_empty());
    pairs.map(|(name, default)| (name.to_owned(), default.to_owned())).collect()
}

struct Lines<'t> {
    lines: Vec<&'t str>,
    first: u32,
}

pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// A text or a list of texts.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Sequence(items)) => items.iter().filter_map(scalar).collect(),
        Some(Value::Mapping(map)) => map
            .iter()
            .filter_map(|(key, value)| {
                let key = scalar(key)?;
                Some(scalar(value).map_or(key.clone(), |value| format!("{key}={value}")))
            })
            .collect(),
        Some(value) => scalar(value).into_iter().collect(),
        None => Vec::new(),
    }
}

impl Lines<'_> {
    fn service(&self, name: &str, value: &Value) -> Container {
        let range = self.range(name);
        let keys: Vec<(&str, &Value)> = value
            .as_mapping()
            .into_iter()
            .flat_map(|map| map.iter().filter_map(|(key, value)| Some((key.as_str()?, value))))
            .collect();
        let get = |key: &str| keys.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let text = |key: &str| get(key).and_then(scalar);
        let mut container = Container {
            name: name.to_owned(),
            image: text("image"),
            is_built: get("build").is_some(),
            env_files: words(get("env_file")),
            devices: words(get("devices")),
            cap_add: words(get("cap_add")),
            sysctls: words(get("sysctls")),
            tmpfs: words(get("tmpfs")),
            extra_hosts: words(get("extra_hosts")),
            security: words(get("security_opt")),
            is_privileged: text("privileged").as_deref() == Some("true"),
            has_init: text("init").as_deref() == Some("true"),
            network: text("network_mode"),
            pid: text("pid"),
            ipc: text("ipc"),
            user: text("user"),
            hostname: text("hostname"),
            working_dir: text("working_dir"),
            shm_size: text("shm_size"),
            memory: text("mem_limit"),
            health: get("healthcheck").and_then(health),
            command: words(get("command")),
            profiles: words(get("profiles")),
            line: self.first + range.start,
            ..Container::default()
        };
        container.health_line = container.health.as_ref().map(|_| self.find("healthcheck:", &range).0);
        container.ports = self.ports(get("ports"), &range);
        container.mounts = self.mounts(get("volumes"), &range);
        container.env = self.env(get("environment"), &range);
        self.commented(&mut container, &range);
        container
    }

    /// The lines of a service, as offsets.
    fn range(&self, name: &str) -> std::ops::Range<u32> {
        let is_key = |line: &&str| {
            let text = line.trim();
            let key = text.split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
            key == name && text.contains(':')
        };
        let after =
            self.lines.iter().position(|line| line.trim_start().starts_with("services:")).unwrap_or(0);
        let Some(start) = self.lines.iter().skip(after).position(is_key).map(|at| at + after) else {
            return 0..u32::try_from(self.lines.len()).unwrap_or(0);
        };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let base = indent(self.lines[start]);
        let ends = |line: &&str| {
            !line.trim().is_empty() && !line.trim_start().starts_with('#') && indent(line) <= base
        };
        let length = self.lines[start + 1..].iter().position(ends).unwrap_or(self.lines.len() - start - 1);
        u32::try_from(start).unwrap_or(0)..u32::try_from(start + 1 + length).unwrap_or(0)
    }

    /// The line within the range that has a text, and the comment at its end.
    fn find(&self, needle: &str, range: &std::ops::Range<u32>) -> (u32, String) {
        let (start, end) = (range.start as usize, (range.end as usize).min(self.lines.len()));
        for (index, line) in self.lines[start.min(end)..end].iter().enumerate() {
            if line.contains(needle) && !line.trim_start().starts_with('#') {
                let comment = line.split_once(" #").map_or("", |(_, comment)| comment.trim());
                return (self.first + range.start + u32::try_from(index).unwrap_or(0), comment.to_owned());
            }
        }
        (self.first + range.start, String::new())
    }

    fn ports(&self, value: Option<&Value>, range: &std::ops::Range<u32>) -> Vec<PortMap> {
        let Some(Value::Sequence(items)) = value else { return Vec::new() };
        let mut found = Vec::new();
        for item in items {
            let text = match item {
                Value::Mapping(map) => {
                    let part = |key: &str| map.get(key).and_then(scalar);
                    let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
                    let target = part("target").unwrap_or_default();
                    match part("published") {
                        Some(published) => format!("{published}:{target}/{protocol}"),
                        None => format!("{target}/{protocol}"),
                    }
                }
                item => scalar(item).unwrap_or_default(),
            };
            let needle = scalar(item).unwrap_or_else(|| "target".to_owned());
            let (line, comment) = self.find(&needle, range);
            found.extend(
                ports(&text, line).into_iter().map(|port| PortMap { comment: comment.clone(), ..port }),
            );
        }
        found
    }

    fn mounts(&self, value: Option<&Value>, range: &std::ops::Range<u32>) -> Vec<MountMap> {
        let Some(Value::Sequence(items)) = value else { return Vec::new() };
        let mut found = Vec::new();
        for item in items {
            let needle = match item {
                Value::Mapping(map) => map.get("target").and_then(scalar).unwrap_or_default(),
                item => scalar(item).unwrap_or_default(),
            };
            let (line, comment) = self.find(&needle, range);
            let mount = match item {
                Value::Mapping(map) => {
                    let part = |key: &str| map.get(key).and_then(scalar);
                    let is_tmpfs = part("type").as_deref() == Some("tmpfs");
                    part("target").filter(|_| !is_tmpfs).map(|target| MountMap {
                        source: part("source"),
                        target: tidy_target(&target),
                        is_read_only: part("read_only").as_deref() == Some("true"),
                        line,
                        comment: String::new(),
                        is_commented: false,
                    })
                }
                item => scalar(item).and_then(|text| mount(&text, line)),
            };
            found.extend(mount.map(|mount| MountMap { comment, ..mount }));
        }
        found
    }

    fn env(&self, value: Option<&Value>, range: &std::ops::Range<u32>) -> Vec<EnvEntry> {
        let pairs: Vec<(String, Option<String>)> = match value {
            Some(Value::Mapping(map)) => {
                map.iter().filter_map(|(key, value)| Some((scalar(key)?, scalar(value)))).collect()
            }
            Some(Value::Sequence(items)) => items.iter().filter_map(pair).collect(),
            Some(_) | None => Vec::new(),
        };
        let mut found = Vec::new();
        for (name, value) in pairs.into_iter().filter(|(name, _)| is_variable(name)) {
            let (line, comment) = self.find(&name, range);
            let comment = if comment.is_empty() { self.demand_above(line) } else { comment };
            found.push(EnvEntry { name, value, line, comment, is_commented: false });
        }
        found
    }
}

fn pair(item: &Value) -> Option<(String, Option<String>)> {
    if let Value::Mapping(map) = item {
        let (key, value) = map.iter().next()?;
        return Some((scalar(key)?, scalar(value)));
    }
    let text = scalar(item)?;
    match text.split_once('=') {
        Some((name, value)) => Some((name.trim().to_owned(), Some(value.to_owned()))),
        None => Some((text.trim().to_owned(), None)),
    }
}

fn health(value: &Value) -> Option<Vec<String>> {
    if value.get("disable").and_then(scalar).as_deref() == Some("true") {
        return None;
    }
    match value.get("test")? {
        Value::Sequence(items) => Some(items.iter().filter_map(scalar).collect()),
        value => Some(vec!["CMD-SHELL".to_owned(), plain(&scalar(value)?)]),
    }
}
