//! The variables as they are collected.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::Origin;
use crate::import::facts::{Confidence, EnvFact, Found};

/// More variables than that nobody sets.
const MAX_VARIABLES: usize = 1000;

/// Collects variables; the first mention gives the place, later ones fill gaps.
#[derive(Default)]
pub struct Variables {
    pub found: Vec<Found<EnvFact>>,
    /// Where each name is among them.
    places: BTreeMap<String, usize>,
    /// Names that are told or set by themselves, not as another spelling of one.
    alone: BTreeSet<String>,
}

impl Variables {
    pub fn add(&mut self, fact: EnvFact, origin: Origin, confidence: Confidence) {
        let place = self.places.get(&fact.name).copied();
        let Some(known) = place.and_then(|place| self.found.get_mut(place)) else {
            if self.found.len() < MAX_VARIABLES {
                self.places.insert(fact.name.clone(), self.found.len());
                self.found.push(Found { value: fact, origin, confidence });
            }
            return;
        };
        let value = &mut known.value;
        value.default = value.default.take().or(fact.default);
        value.example = value.example.take().or(fact.example);
        value.required = match (value.required, fact.required) {
            (Some(known), Some(new)) => Some(known || new),
            (known, new) => known.or(new),
        };
        if value.description.is_empty() {
            value.description = fact.description;
        }
        value.is_commented &= fact.is_commented;
        known.confidence = known.confidence.max(confidence);
    }

    /// Told by itself, not as another spelling of one.
    pub fn stands_alone(&mut self, name: &str) {
        if name.ends_with("_FILE") {
            self.alone.insert(name.to_owned());
        }
    }

    /// Drops what is only another spelling: `NAME_FILE` beside `NAME` is the same variable,
    /// read from a file, unless the text tells of it by itself.
    pub fn drop_file_variants(&mut self) {
        let Self { found, alone, .. } = self;
        let names: BTreeSet<String> = found.iter().map(|known| known.value.name.clone()).collect();
        found.retain(|known| {
            let base = known.value.name.strip_suffix("_FILE");
            !known.value.description.is_empty()
                || alone.contains(&known.value.name)
                || base.is_none_or(|base| !names.contains(base))
        });
    }

    pub fn knows(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }
}

/// What is spoken, in capitals like a variable.
pub fn is_protocol(name: &str) -> bool {
    matches!(name, "SOCKS4" | "SOCKS5" | "OAUTH2")
}

/// Variables of the caller's shell are none of the project's.
pub fn is_settable(name: &str) -> bool {
    // What the kernel grants.
    let is_capability = name.starts_with("CAP_NET_") || name.starts_with("CAP_SYS_");
    !is_capability
        && !is_protocol(name)
        && !matches!(
            name,
            "PATH"
                | "HOME"
                | "PWD"
                | "USER"
                | "SHELL"
                | "LANG"
                | "LC_ALL"
                | "DISPLAY"
                | "BASH_ENV"
                | "PIP_INDEX_URL"
                | "GOROOT"
                | "GOPATH"
                | "GOBIN"
                | "CGO_ENABLED"
                | "GOOS"
                | "GOARCH"
                | "GOPROXY"
                | "GO111MODULE"
                | "TERM"
                | "DEBIAN_FRONTEND"
                | "PYTHONPATH"
                | "VERSION"
                | "COMPOSE_PROJECT_NAME"
                | "DOCKER_BUILDKIT"
                | "DOCKER_HOST"
                | "DOCKER_CERT_PATH"
                | "DOCKER_TLS_VERIFY"
                | "NODE_OPTIONS"
                | "ARCHFLAGS"
                | "CFLAGS"
                | "CPPFLAGS"
                | "CXXFLAGS"
                | "LDFLAGS"
                | "RUSTFLAGS"
                | "MAKEFLAGS"
                | "DESTDIR"
                | "DOCKER_OPTS"
                | "PKG_CONFIG_PATH"
                | "LD_LIBRARY_PATH"
        )
}
