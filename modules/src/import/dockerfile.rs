//! What a Dockerfile says of the image that comes of it: its last stage, with the stages that it stands on.

use std::collections::BTreeMap;

use super::container::{PortMap, ports};
use crate::compose::split_words;
use crate::safety::dockerfile::instructions;

/// An image as its Dockerfile describes it, each with its line.
#[derive(Debug, Clone, Default)]
pub struct Dockerfile {
    pub ports: Vec<PortMap>,
    pub volumes: Vec<(String, u32)>,
    pub env: BTreeMap<String, (String, u32)>,
    /// As in a compose file: `CMD` or `CMD-SHELL` first.
    pub health: Option<(Vec<String>, u32)>,
    pub user: Option<(String, u32)>,
}

/// A larger one is none.
const MAX_BYTES: usize = 256 * 1024;

pub fn read(text: &str) -> Dockerfile {
    let mut stages: BTreeMap<String, Dockerfile> = BTreeMap::new();
    let mut stage = Dockerfile::default();
    let mut name: Option<String> = None;
    if text.len() > MAX_BYTES {
        return stage;
    }
    for (line, instruction) in instructions(text) {
        let line = u32::try_from(line).unwrap_or(0);
        let (keyword, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        if !keyword.eq_ignore_ascii_case("FROM") {
            apply(&mut stage, &keyword.to_ascii_uppercase(), rest.trim(), line);
            continue;
        }
        let done = std::mem::take(&mut stage);
        stages.extend(name.take().map(|name| (name, done)));
        let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
        let base = words.next().unwrap_or_default().to_ascii_lowercase();
        stage = stages.get(&base).cloned().unwrap_or_default();
        name = words.nth(1).map(str::to_ascii_lowercase);
    }
    stage
}

fn apply(stage: &mut Dockerfile, keyword: &str, rest: &str, line: u32) {
    match keyword {
        "EXPOSE" => {
            let words = rest.split_whitespace().map(|word| filled(stage, word)).collect::<Vec<_>>();
            for port in words.iter().flat_map(|word| ports(word, line)) {
                let is_known = stage
                    .ports
                    .iter()
                    .any(|known| known.target == port.target && known.is_udp == port.is_udp);
                if !is_known {
                    stage.ports.push(port);
                }
            }
        }
        "VOLUME" => {
            for path in list(rest) {
                let path = filled(stage, &path).trim_end_matches('/').to_owned();
                if path.starts_with('/') && !stage.volumes.iter().any(|(known, _)| *known == path) {
                    stage.volumes.push((path, line));
                }
            }
        }
        "ENV" => {
            for (name, value) in assignments(rest) {
                let value = filled(stage, &value);
                stage.env.insert(name, (value, line));
            }
        }
        "HEALTHCHECK" => stage.health = health(rest).map(|command| (command, line)),
        "USER" => stage.user = Some((filled(stage, rest), line)),
        _ => {}
    }
}

/// `["a", "b"]` or `a b`.
fn list(rest: &str) -> Vec<String> {
    serde_json::from_str(rest).unwrap_or_else(|_| rest.split_whitespace().map(str::to_owned).collect())
}

/// `A=1 B="2 3"`, or `A 1 2` for one alone.
fn assignments(rest: &str) -> Vec<(String, String)> {
    let words = split_words(&rest.replace("\\\n", " ")).unwrap_or_default();
    let is_old = words.first().is_some_and(|word| !word.contains('='));
    if is_old {
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        return vec![(name.to_owned(), value.trim().to_owned())];
    }
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The command of `HEALTHCHECK --interval=5s CMD …`; none for `NONE`.
fn health(rest: &str) -> Option<Vec<String>> {
    let mut rest = rest;
    while let Some(option) = rest.split_whitespace().next().filter(|word| word.starts_with("--")) {
        rest = rest[option.len()..].trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
    }
    let command = rest.strip_prefix("CMD")?.trim();
    let words = match serde_json::from_str::<Vec<String>>(command) {
        Ok(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
        Err(_) => vec!["CMD-SHELL".to_owned(), command.replace("\\\n", " ")],
    };
    (!command.is_empty()).then_some(words)
}

/// The text with `$NAME` and `${NAME}` of the stage in place.
fn filled(stage: &Dockerfile, text: &str) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    let mut filled = text.to_owned();
    for (name, (value, _)) in &stage.env {
        filled = filled.replace(&format!("${{{name}}}"), value);
        if filled == format!("${name}") {
            filled.clone_from(value);
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_counts_with_those_it_stands_on() {
        let text = "ARG X=1\nFROM alpine AS base\nENV PORT=8080 \\\n    DATA=/srv/data\nUSER app\n\nFROM golang AS build\n\
                    EXPOSE 1\nVOLUME /build\n\nFROM base\nEXPOSE $PORT 53/udp\nVOLUME [\"${DATA}\", \"/cache/\"]\nENV MODE plain words\n\
                    HEALTHCHECK --interval=5s \\\n  CMD curl -f http://localhost:8080/health || exit 1\n";
        let read = read(text);
        let ports: Vec<(u16, bool)> = read.ports.iter().map(|port| (port.target, port.is_udp)).collect();
        assert_eq!(ports, [(8080, false), (53, true)]);
        assert_eq!(read.volumes, [("/srv/data".to_owned(), 13), ("/cache".to_owned(), 13)]);
        assert_eq!(read.env["MODE"], ("plain words".to_owned(), 14));
        assert_eq!(read.user, Some(("app".to_owned(), 5)));
        let (health, line) = read.health.expect("a check");
        assert_eq!((health[0].as_str(), line), ("CMD-SHELL", 15));
        assert_eq!(health[1], "curl -f http://localhost:8080/health || exit 1");
    }

    #[test]
    fn what_is_not_known_before_the_build_is_left_out() {
        let read = read("FROM scratch\nEXPOSE $PORT\nVOLUME $DATA\nHEALTHCHECK NONE\n");
        assert!(read.ports.is_empty() && read.volumes.is_empty() && read.health.is_none());
    }
}
