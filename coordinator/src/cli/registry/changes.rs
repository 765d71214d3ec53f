//! What a sync would change.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1::{Registry, Release};
use serde::Serialize;

use super::repository::Repository;
use super::short;
use crate::cli::console::{Look, Style};

#[derive(Debug, Default, Serialize)]
pub struct Changes {
    registry: String,
    from: Option<String>,
    to: String,
    /// `name@version`; modules that were not there before.
    new: Vec<String>,
    /// New versions of modules that were.
    updated: Vec<String>,
    /// Versions that were there with other content.
    pub rewritten: Vec<String>,
    /// Modules that are not there any more.
    gone: Vec<String>,
    unchanged: usize,
    refused: Vec<Refused>,
    #[serde(skip)]
    pub after: Vec<Release>,
}

#[derive(Debug, Serialize)]
struct Refused {
    path: String,
    reason: String,
}

impl Changes {
    /// Versions that a repository had before stay, as long as it has the module at all: what runs can be found.
    pub fn between(before: &Registry, read: &Repository) -> Self {
        let mut changes = Self {
            registry: before.name.clone(),
            from: Some(before.commit.clone()).filter(|commit| !commit.is_empty()),
            to: read.commit.clone(),
            refused: read
                .bad
                .iter()
                .map(|(path, reason)| Refused { path: path.clone(), reason: reason.clone() })
                .collect(),
            ..Self::default()
        };
        let known: BTreeMap<(&str, &str), &str> = before
            .releases
            .iter()
            .map(|one| ((one.module.as_str(), one.version.as_str()), one.digest.as_str()))
            .collect();
        let names: BTreeSet<&str> = before.releases.iter().map(|one| one.module.as_str()).collect();
        let mut after: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut present: BTreeSet<String> = BTreeSet::new();
        for found in &read.modules {
            let spec = &found.packed.spec;
            let (name, version, digest) =
                (spec.name.to_string(), spec.version.to_string(), found.packed.digest.to_string());
            let release = format!("{name}@{version}");
            match known.get(&(name.as_str(), version.as_str())) {
                Some(old) if **old == digest => changes.unchanged += 1,
                Some(_) => changes.rewritten.push(release),
                None if names.contains(name.as_str()) => changes.updated.push(release),
                None => changes.new.push(release),
            }
            present.insert(name.clone());
            after.insert((name, version), digest);
        }
        for one in &before.releases {
            if present.contains(&one.module) {
                after.entry((one.module.clone(), one.version.clone())).or_insert_with(|| one.digest.clone());
            }
        }
        changes.gone = names.into_iter().filter(|name| !present.contains(*name)).map(str::to_owned).collect();
        changes.after = after
            .into_iter()
            .map(|((module, version), digest)| Release { module, version, digest })
            .collect();
        changes
    }

    pub fn is_nothing(&self) -> bool {
        [&self.new, &self.updated, &self.rewritten, &self.gone].iter().all(|list| list.is_empty())
    }

    pub fn text(&self, look: &Look) -> String {
        let mut text = match self.from.as_deref() {
            Some(from) if from == self.to => format!("{} is at {} already\n", self.registry, short(from)),
            Some(from) => format!("{}: {} to {}\n", self.registry, short(from), short(&self.to)),
            None => format!("{}: {}\n", self.registry, short(&self.to)),
        };
        for (mark, style, list) in [
            ("+", Style::Good, &self.new),
            ("^", Style::Good, &self.updated),
            ("!", Style::Bad, &self.rewritten),
            ("-", Style::Warn, &self.gone),
        ] {
            for one in list {
                text.push_str(&format!("  {} {one}\n", look.paint(style, mark)));
            }
        }
        for refused in &self.refused {
            text.push_str(&format!(
                "  {} {}: {}\n",
                look.paint(Style::Bad, "x"),
                refused.path,
                refused.reason
            ));
        }
        let count =
            |list: &[String], what: &str| (!list.is_empty()).then(|| format!("{} {what}", list.len()));
        let counts = [
            count(&self.new, "new"),
            count(&self.updated, "updated"),
            count(&self.rewritten, "rewritten"),
            count(&self.gone, "gone"),
            Some(format!("{} unchanged", self.unchanged)),
        ];
        text + &counts.into_iter().flatten().collect::<Vec<_>>().join(", ") + "\n"
    }
}
