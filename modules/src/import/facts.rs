//! What was found out about a project, each with its place and how sure it is.

use serde::Serialize;

use super::routes::Method;

/// Where something is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    pub file: String,
    /// From 1; 0 where it comes from the whole or from outside of any file.
    pub line: u32,
}

/// How sure a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A default of this importer; nothing in the files speaks for it.
    Assumed,
    /// A model says so, and the text has words for it.
    Filled,
    /// Drawn from what is written, by a rule that can be wrong.
    Inferred,
    /// Written so.
    Read,
}

#[derive(Debug, Clone, Serialize)]
pub struct Found<T> {
    pub value: T,
    pub origin: Origin,
    pub confidence: Confidence,
}

impl<T> Found<T> {
    pub fn read(value: T, origin: Origin) -> Self {
        Self { value, origin, confidence: Confidence::Read }
    }

    pub fn inferred(value: T, origin: Origin) -> Self {
        Self { value, origin, confidence: Confidence::Inferred }
    }

    pub fn assumed(value: T) -> Self {
        Self { value, origin: Origin::default(), confidence: Confidence::Assumed }
    }
}

/// What kind of thing the project is to deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Container,
    Compose,
    Binary,
    Python,
    Node,
    Cargo,
    Apt,
    Library,
    Other,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Container => "container",
            Kind::Compose => "compose",
            Kind::Binary => "binary",
            Kind::Python => "python",
            Kind::Node => "node",
            Kind::Cargo => "cargo",
            Kind::Apt => "apt",
            Kind::Library => "library",
            Kind::Other => "other",
        }
    }
}

/// A port that the project listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortFact {
    /// As the project itself sees it.
    pub port: u16,
    pub is_udp: bool,
    /// What the example maps it to.
    pub host: Option<u16>,
    /// The address that the example binds.
    pub address: Option<String>,
    pub description: String,
}

/// A path whose content is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeFact {
    pub path: String,
    pub source: Option<String>,
    pub is_read_only: bool,
    pub description: String,
}

/// An environment variable that can be set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EnvFact {
    pub name: String,
    /// Stated as the default.
    pub default: Option<String>,
    /// What an example sets.
    pub example: Option<String>,
    pub required: Option<bool>,
    pub description: String,
    /// A comment in an example holds it.
    pub is_commented: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceFact {
    pub name: String,
    pub image: Option<String>,
    pub is_built: bool,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    pub name: Found<String>,
    pub description: Option<Found<String>>,
    pub kind: Found<Kind>,
    pub other_kinds: Vec<Kind>,
    pub install: Vec<Method>,
    pub start: Option<Found<String>>,
    pub package: Option<Found<String>>,
    /// Without tag.
    pub image: Option<Found<String>>,
    pub tag: Option<String>,
    pub version: Option<Found<String>>,
    pub ports: Vec<Found<PortFact>>,
    pub volumes: Vec<Found<VolumeFact>>,
    pub env: Vec<Found<EnvFact>>,
    pub arch: Vec<Found<String>>,
    /// In MiB.
    pub memory: Option<Found<u64>>,
    pub services: Vec<Found<ServiceFact>>,
    pub health_path: Option<Found<String>>,
    pub health_command: Option<Found<Vec<String>>>,
    pub license: Option<Found<String>>,
    pub homepage: Option<Found<String>>,
    pub danger: Vec<Found<String>>,
    pub is_unmaintained: bool,
}
