//! A MODULE.yaml out of the facts, checked as any other.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::assemble::Assembled;
use super::facts::{Facts, Found};
use super::provenance::Warning;
use super::reading::Reading;
use super::routes::{Method, Route};
use super::{Files, Source};
use crate::arch::Arch;
use crate::spec::ModuleSpec;

mod category;
mod clone;
mod compose;
mod config;
mod container;
mod process;

/// A module that can be looked at, changed and deployed.
#[derive(Debug, Clone)]
pub struct Draft {
    pub spec: ModuleSpec,
    /// MODULE.yaml as it goes into the package.
    pub yaml: String,
    /// The other files of the package.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// What is being drafted.
pub struct Drafting<'a> {
    pub reading: &'a Reading,
    pub facts: &'a Facts,
    pub files: &'a Files,
    pub spec: Map<String, Value>,
    pub config: Vec<Value>,
    pub package: BTreeMap<String, Vec<u8>>,
    pub warnings: Vec<Warning>,
}

/// Drafts a module of the primary route.
pub fn draft(
    reading: &Reading,
    files: &Files,
    source: &Source,
    assembled: &Assembled,
) -> Result<(Draft, Vec<Warning>), String> {
    let facts = &assembled.facts;
    let mut drafting = Drafting {
        reading,
        facts,
        files,
        spec: Map::new(),
        config: Vec::new(),
        package: BTreeMap::new(),
        warnings: Vec::new(),
    };
    let route = assembled.primary.map(|index| &assembled.routes[index]);
    drafting.head(source);
    match route {
        Some(route) => drafting.route(route, assembled),
        None => process::source(&mut drafting, None),
    }
    drafting.remarks(route);
    let Drafting { mut spec, config, package, mut warnings, .. } = drafting;
    if !config.is_empty() {
        spec.insert("config".to_owned(), Value::Array(config));
    }
    let text = serde_yaml::to_string(&Value::Object(spec)).map_err(|error| error.to_string())?;
    let spec = ModuleSpec::parse("MODULE.yaml", &text)
        .map_err(|errors| format!("the draft is not valid: {errors}"))?;
    let yaml = spec.to_yaml();
    warnings.extend(compose::strictly(&spec, &package));
    Ok((Draft { spec, yaml, files: package }, warnings))
}

/// A name of a module out of any text.
pub fn module_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        if name.len() == 63 {
            break;
        }
    }
    name.trim_matches('-').to_owned()
}

/// A name of an item out of any text: of a variable, of a folder.
pub fn item_name(text: &str) -> String {
    let name = module_name(text);
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
    if name.is_empty() { "item".to_owned() } else { name }
}

impl Drafting<'_> {
    pub fn put(&mut self, key: &str, value: Value) {
        self.spec.insert(key.to_owned(), value);
    }

    pub fn warn(&mut self, field: &str, text: impl Into<String>) {
        self.warnings.push(Warning::new(field, text));
    }

    fn head(&mut self, source: &Source) {
        let mut name = module_name(&self.facts.name.value);
        if name.is_empty() {
            name = module_name(&source.name);
        }
        self.put("name", json!(if name.is_empty() { "imported".to_owned() } else { name }));
        self.version(source);
        let text = |found: &Option<Found<String>>| found.as_ref().map(|found| found.value.clone());
        if let Some(description) = text(&self.facts.description) {
            self.put("description", json!(description));
        } else {
            self.warn("description", "the text has no sentence that says what it is");
        }
        if let Some(license) = text(&self.facts.license) {
            self.put("license", json!(license));
        } else {
            self.warn("license", "no licence was found");
        }
        let homepage = text(&self.facts.homepage).or_else(|| source.url.clone());
        if let Some(homepage) = homepage.filter(|homepage| homepage.contains("://")) {
            self.put("homepage", json!(homepage));
        }
        self.words();
        self.requires();
        self.put("update", json!({"strategy": "stop-first"}));
    }

    fn version(&mut self, source: &Source) {
        let tag =
            self.facts.tag.clone().filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit() || c == 'v'));
        let manifest = ["package.json", "Cargo.toml", "pyproject.toml"].iter().find_map(|name| {
            let text = self.files.text(name)?;
            let line = text
                .lines()
                .find(|line| line.trim_start().trim_start_matches('"').starts_with("version"))?
                .to_owned();
            let (_, value) = line.split_once([':', '='])?;
            Some(value.trim().trim_matches(['"', '\'', ',', ' ']).to_owned())
        });
        let known =
            [source.version.clone(), tag, manifest].into_iter().flatten().find_map(|text| semver_of(&text));
        if known.is_none() {
            self.warn("version", "no version was found; 0.0.0 stands for it");
        }
        self.put("version", json!(known.unwrap_or_else(|| "0.0.0".to_owned())));
    }

    fn words(&mut self) {
        let description = self.facts.description.as_ref().map_or("", |found| found.value.as_str()).to_owned();
        if let Some((category, tags)) = category::guess(&description, &self.facts.name.value) {
            self.put("category", json!(category));
            self.put("tags", json!(tags));
            self.warn("category", format!("{category} was guessed from the description"));
        }
        let mut triggers = vec![self.facts.name.value.to_lowercase()];
        triggers.extend(category::triggers(&description));
        self.put("triggers", json!(triggers));
    }

    fn requires(&mut self) {
        let mut requires = Map::new();
        let mut arches: Vec<&str> = Vec::new();
        for found in &self.facts.arch {
            if let Some(arch) = Arch::parse(&found.value)
                && !arches.contains(&arch.as_str())
            {
                arches.push(arch.as_str());
            }
        }
        // "x86, ARM" names no architecture that a node could be held against.
        let is_vague = self.facts.arch.iter().any(|found| super::fields::arch::is_family(&found.value));
        if is_vague {
            self.warn("requires.arch", "the text names families of architectures only; none is required");
            arches.clear();
        }
        if !arches.is_empty() {
            requires.insert("arch".to_owned(), json!(arches));
        }
        if let Some(memory) = &self.facts.memory {
            requires.insert("memory".to_owned(), json!(format!("{}MiB", memory.value)));
        }
        if !requires.is_empty() {
            self.put("requires", Value::Object(requires));
        }
    }

    fn route(&mut self, route: &Route, assembled: &Assembled) {
        match (route.compose, &route.container) {
            (Some(index), Some(main)) => {
                let file = &self.reading.composes[index];
                let is_single = file.value.services.len() == 1
                    && !super::routes::is_local(self.reading, &assembled.evidence, main)
                    && main.env_files.is_empty();
                if is_single { container::draft(self, main) } else { compose::draft(self, index, main) }
            }
            (None, Some(container)) => container::draft(self, container),
            (_, None) => match route.method {
                Method::Pip | Method::Pipx | Method::Uvx => process::python(self, route),
                Method::Npm | Method::Npx => process::node(self, route),
                Method::Cargo => process::cargo(self, route),
                Method::Apt => process::apt(self, route),
                Method::BinaryDownload => process::binary(self, route),
                Method::Script => process::script(self, route),
                Method::GoInstall => process::go(self, route),
                Method::SourceBuild => clone::draft(self, route),
                Method::DockerRun
                | Method::Compose
                | Method::ComposeFileOnly
                | Method::ImageName
                | Method::Brew
                | Method::Package
                | Method::Helm
                | Method::Kubectl => process::source(self, Some(route)),
            },
        }
    }

    /// What a person should know of the whole.
    fn remarks(&mut self, route: Option<&Route>) {
        for found in &self.facts.danger {
            self.warnings.push(Warning::at(
                "danger",
                format!("installing or running it asks for: {}", found.value),
                &found.origin,
            ));
        }
        if self.facts.is_unmaintained {
            self.warn("status", "the text says that it is no longer maintained");
        }
        if let Some(route) = route.filter(|route| route.is_partial) {
            self.warnings.push(Warning::at(
                "runtime",
                "the text only names this way, or leaves gaps in it",
                &route.origin,
            ));
        }
    }
}

/// Three numbers out of `v1.2`, `1.2.3-alpine`.
fn semver_of(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    let numbers: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let parts: Vec<u64> = numbers
        .split('.')
        .filter(|part| !part.is_empty())
        .map_while(|part| part.parse().ok())
        .take(3)
        .collect();
    let is_date = parts.first().is_some_and(|first| *first > 100_000);
    (!parts.is_empty() && !is_date).then(|| {
        let part = |index: usize| parts.get(index).copied().unwrap_or(0);
        format!("{}.{}.{}", part(0), part(1), part(2))
    })
}
