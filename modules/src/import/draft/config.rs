//! Ports and variables as config items.

use serde_json::{Map, Value, json};

use super::{Drafting, item_name};
use crate::import::facts::{EnvFact, Found, PortFact};
use crate::import::fields::danger::{is_ready, is_secret};

impl Drafting<'_> {
    /// Whether a config item of the name is there.
    pub fn has_config(&self, name: &str) -> bool {
        self.config.iter().any(|item| item["name"] == name)
    }

    /// The ports as config items of type port; `is_mapped` says that they can be chosen.
    pub fn ports(&mut self, ports: &[Found<PortFact>], is_mapped: bool, target: bool) -> Vec<String> {
        let mut written = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let single = ports.len() == 1;
        let mut taken: Vec<(u16, bool)> = Vec::new();
        for found in ports {
            let port = &found.value;
            let host = port.host.unwrap_or(port.port);
            let protocol = if port.is_udp { "udp" } else { "tcp" };
            if taken.contains(&(host, port.is_udp)) {
                self.warn("ports", format!("port {} is left out: {host} is taken by another", port.port));
                continue;
            }
            taken.push((host, port.is_udp));
            let name = if names.is_empty() && !port.is_udp {
                "web".to_owned()
            } else {
                format!("{protocol}-{}", port.port)
            };
            let mut item = json!({"name": name, "port": host, "protocol": protocol});
            if is_mapped {
                let config = if single {
                    "port".to_owned()
                } else {
                    format!("port-{}{}", port.port, if port.is_udp { "-udp" } else { "" })
                };
                self.config.push(json!({"name": config, "type": "port", "default": host, "description": format!("Where it is reached ({protocol} {} inside)", port.port)}));
                item["port"] = json!(format!("${{config.{config}}}"));
                if target {
                    item["target"] = json!(port.port);
                }
            }
            if port.address.as_deref().is_some_and(|address| address.starts_with("127.")) {
                self.warn(
                    "ports",
                    format!(
                        "the example publishes {} on 127.0.0.1 only; here it is published on all addresses",
                        port.port
                    ),
                );
            }
            names.push(name);
            written.push(item);
        }
        if !written.is_empty() {
            self.put("ports", Value::Array(written));
        }
        names
    }

    /// Variables as config items; gives the environment that refers to them.
    pub fn environment(
        &mut self,
        env: &[Found<EnvFact>],
        in_example: &dyn Fn(&str) -> bool,
    ) -> Map<String, Value> {
        let mut wired = Map::new();
        let mut left = Vec::new();
        for found in env {
            let fact = &found.value;
            let is_used = in_example(&fact.name) || fact.default.is_some() || fact.required == Some(true);
            if !is_used {
                left.push(fact.name.clone());
                continue;
            }
            let name = self.variable(fact, in_example(&fact.name));
            wired.insert(fact.name.clone(), json!(format!("${{config.{name}}}")));
        }
        if !left.is_empty() {
            let shown = left.iter().take(40).cloned().collect::<Vec<_>>().join(", ");
            self.warn(
                "config",
                format!(
                    "{} more variables are documented without a default and left out: {shown}",
                    left.len()
                ),
            );
        }
        wired
    }

    /// One variable as a config item; gives its name.
    fn variable(&mut self, fact: &EnvFact, is_in_example: bool) -> String {
        let mut name = item_name(&fact.name);
        if self.has_config(&name) {
            name = item_name(&format!("env-{name}"));
        }
        let mut description = fact.description.clone();
        if description.is_empty() {
            description = format!("The variable {}", fact.name);
        }
        let values = [fact.example.as_deref(), fact.default.as_deref()];
        let is_shown = values.into_iter().flatten().any(has_password);
        if is_secret(&fact.name) || is_shown {
            let required = fact.required.unwrap_or(is_in_example && !fact.is_commented);
            self.config.push(
                json!({"name": name, "secret": true, "required": required, "description": description}),
            );
            if is_shown || fact.example.as_deref().or(fact.default.as_deref()).is_some_and(is_ready) {
                self.warn(
                    &format!("config.{name}"),
                    format!("the text shows a value for {}; it is left out, set one of your own", fact.name),
                );
            }
            return name;
        }
        // What must be set is for a person to say; an example is no answer.
        let is_asked = fact.required == Some(true);
        let example = fact.example.clone().filter(|example| !is_asked && !is_gap(example));
        let (default, is_stated) = (fact.default.clone().or(example), fact.default.is_some());
        let mut item = json!({"name": name, "required": fact.required == Some(true) && default.is_none(), "description": description});
        if let Some(default) = default.filter(|default| !default.contains('\0')) {
            let kind = kind_of(&default);
            item["type"] = json!(kind);
            item["default"] = json!(default);
            if !is_stated {
                self.warn(
                    &format!("config.{name}"),
                    format!("{default:?} is the value of the example, not a stated default"),
                );
            }
        }
        self.config.push(item);
        name
    }
}

/// Whether an address has a name and a password in it: `scheme://name:password@host`, `name:password@tcp(host)`.
fn has_password(value: &str) -> bool {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let Some((who, _)) = rest.split_once('@') else { return false };
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', ' ', '<', '$', '{']);
    who.split_once(':')
        .is_some_and(|(name, password)| is_plain(password) && (name.is_empty() || is_plain(name)))
}

fn kind_of(value: &str) -> &'static str {
    match value {
        "true" | "false" => "bool",
        _ => "string",
    }
}

/// Whether a value of an example is to be replaced.
pub fn is_gap(value: &str) -> bool {
    let lower = value.to_lowercase();
    value.contains(['<', '$', '`', '[', '{'])
        || ["your", "change", "example.", "xxx", "domain.tld", "placeholder", "/path/to"]
            .iter()
            .any(|word| lower.contains(word))
}
