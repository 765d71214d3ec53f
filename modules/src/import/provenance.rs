//! Which line of which file gave which field, and what a person should look at.

use serde::Serialize;

use super::facts::{Confidence, Facts, Found, Origin};

/// Where a field of the draft comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub field: String,
    pub value: String,
    pub origin: Origin,
    pub confidence: Confidence,
}

/// Something to look at before the draft is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub field: String,
    pub text: String,
    pub origin: Option<Origin>,
}

impl Warning {
    pub fn new(field: &str, text: impl Into<String>) -> Self {
        Self { field: field.to_owned(), text: text.into(), origin: None }
    }

    pub fn at(field: &str, text: impl Into<String>, origin: &Origin) -> Self {
        Self { field: field.to_owned(), text: text.into(), origin: Some(origin.clone()) }
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sure = match self.confidence {
            Confidence::Read => "read",
            Confidence::Inferred => "inferred",
            Confidence::Filled => "filled in by a model",
            Confidence::Assumed => "assumed",
        };
        write!(f, "{}: {} ({sure}", self.field, self.value)?;
        if self.origin.line > 0 {
            write!(f, ", {}:{}", self.origin.file, self.origin.line)?;
        }
        f.write_str(")")
    }
}

/// The trace of all facts, in the order of MODULE.yaml.
pub fn trace(facts: &Facts) -> Vec<Trace> {
    let mut traces = Vec::new();
    let mut add = |field: String, value: String, origin: &Origin, confidence: Confidence| {
        traces.push(Trace { field, value, origin: origin.clone(), confidence });
    };
    add("name".to_owned(), facts.name.value.clone(), &facts.name.origin, facts.name.confidence);
    let texts: [(&str, &Option<Found<String>>); 8] = [
        ("version", &facts.version),
        ("description", &facts.description),
        ("license", &facts.license),
        ("homepage", &facts.homepage),
        ("image", &facts.image),
        ("package", &facts.package),
        ("start", &facts.start),
        ("health", &facts.health_path),
    ];
    for (field, found) in texts {
        if let Some(found) = found {
            add(field.to_owned(), found.value.clone(), &found.origin, found.confidence);
        }
    }
    add("kind".to_owned(), facts.kind.value.as_str().to_owned(), &facts.kind.origin, facts.kind.confidence);
    for found in &facts.arch {
        add("arch".to_owned(), found.value.clone(), &found.origin, found.confidence);
    }
    if let Some(found) = &facts.memory {
        add("memory".to_owned(), format!("{} MiB", found.value), &found.origin, found.confidence);
    }
    for found in &facts.env {
        let value =
            found.value.default.clone().map_or_else(String::new, |default| format!("default {default}"));
        add(format!("env.{}", found.value.name), value, &found.origin, found.confidence);
    }
    for found in &facts.ports {
        let protocol = if found.value.is_udp { "udp" } else { "tcp" };
        add("ports".to_owned(), format!("{}/{protocol}", found.value.port), &found.origin, found.confidence);
    }
    for found in &facts.volumes {
        add("volumes".to_owned(), found.value.path.clone(), &found.origin, found.confidence);
    }
    for found in &facts.danger {
        add("danger".to_owned(), found.value.clone(), &found.origin, found.confidence);
    }
    traces
}
