//! Compares what the importer found in one folder with the truth beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use modules::import::{Files, Import, Source, Verdict, import, squeeze};
use serde_yaml::Value;

use super::count::Count;
use super::truth::{all, host, mebibytes, plain_image, plain_license, text, texts};

pub struct Project {
    pub name: String,
    pub fields: BTreeMap<&'static str, Count>,
    pub misses: Vec<String>,
    pub is_wrongly_deployable: bool,
}

/// The files of the project: all but the truth and what tells where it is from.
fn files(folder: &Path) -> Files {
    let mut files = Files::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if Files::wants(&name)
                && let Ok(bytes) = std::fs::read(&path)
            {
                files.insert(name, bytes);
            }
        }
    }
    files
}

pub fn score(name: &str, folder: &Path) -> Project {
    let (owner, repository) = name.split_once("__").unwrap_or(("", name));
    let source =
        Source { name: repository.to_owned(), owner: Some(owner.to_owned()), url: None, version: None };
    let text = std::fs::read_to_string(folder.join("truth.yaml")).unwrap_or_default();
    let truth: Value = serde_yaml::from_str(&text).expect("truth.yaml is YAML");
    let mut project = Project {
        name: name.to_owned(),
        fields: BTreeMap::new(),
        misses: Vec::new(),
        is_wrongly_deployable: false,
    };
    let doubtful = texts(truth.get("doubtful"));
    match import(&files(folder), &source) {
        Ok(import) => compare(&mut project, &truth, &import, repository),
        Err(error) => {
            project.misses.push(format!("{error}"));
            project.fields.insert("deployable", Count { missed: 1, ..Count::default() });
        }
    }
    project.fields.retain(|field, _| !doubtful.iter().any(|key| key == field));
    project
}

fn compare(project: &mut Project, truth: &Value, import: &Import, repository: &str) {
    let facts = &import.facts;
    let wanted = truth.get("deployable").and_then(Value::as_bool).unwrap_or(false);
    project.is_wrongly_deployable = import.is_deployable() && !wanted;
    project.exact("deployable", vec![wanted.to_string()], Some(import.is_deployable().to_string()));
    if let (Verdict::NotDeployable { reason, sentence }, true) = (&import.verdict, wanted) {
        project.misses.push(format!("  {}: {sentence}", reason.as_str()));
    }
    if let (Verdict::NotDeployable { reason, .. }, false) = (&import.verdict, wanted) {
        let wanted = text(truth.get("reason")).unwrap_or_default().to_lowercase();
        let class = match () {
            () if wanted.contains("library") => "library",
            () if wanted.contains("kubernetes") => "kubernetes-only",
            () if wanted.contains("development") => "development-only",
            () => "no-install-information",
        };
        project.exact("reason", vec![class.to_owned()], Some(reason.as_str().to_owned()));
    }
    let names =
        [texts(truth.get("name")), texts(truth.get("name_alt")), vec![repository.to_owned()]].concat();
    project.exact("name", names.iter().map(|name| squeeze(name)).collect(), Some(squeeze(&facts.name.value)));
    description(project, truth, import);
    if wanted {
        let kinds = [texts(truth.get("kind")), texts(truth.get("kind_alt"))].concat();
        project.exact("kind", kinds, Some(facts.kind.value.as_str().to_owned()));
    }
    let images = [texts(truth.get("image")), texts(truth.get("image_alt"))].concat();
    let image = facts.image.as_ref().map(|found| plain_image(&found.value));
    project.exact("image", images.iter().map(|image| plain_image(image)).collect(), image);
    if truth.get("package").is_some() {
        let package = facts.package.as_ref().map(|found| found.value.clone());
        project.exact("package", texts(truth.get("package")), package);
    }
    let license = facts.license.as_ref().map(|found| plain_license(&found.value));
    project.exact(
        "license",
        texts(truth.get("license")).iter().map(|text| plain_license(text)).collect(),
        license,
    );
    let memory = facts.memory.as_ref().map(|found| found.value.to_string());
    project.exact(
        "memory",
        texts(truth.get("memory")).iter().filter_map(|text| mebibytes(text)).collect(),
        memory,
    );
    if let Some(homepage) = text(truth.get("homepage")) {
        let found = facts.homepage.as_ref().map(|found| host(&found.value));
        project.exact("homepage", vec![host(&homepage)], found);
    }
    if let Some(health) = text(truth.get("health")) {
        let found = facts.health_path.as_ref().map(|found| found.value.clone());
        project.exact("health", vec![health], found);
    }
    sets(project, truth, import);
}

fn sets(project: &mut Project, truth: &Value, import: &Import) {
    let facts = &import.facts;
    let port = |found: &Value| {
        let number = found.get("port").and_then(Value::as_u64).unwrap_or_default();
        format!("{number}/{}", text(found.get("protocol")).unwrap_or_else(|| "tcp".to_owned()))
    };
    let list = |key: &str| truth.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
    let found = facts
        .ports
        .iter()
        .map(|found| format!("{}/{}", found.value.port, if found.value.is_udp { "udp" } else { "tcp" }));
    project.set(
        "ports",
        list("ports").iter().map(port).collect(),
        found.collect(),
        list("ports_optional").iter().map(port).collect(),
    );
    let found = facts.volumes.iter().map(|found| found.value.path.clone()).collect();
    let paths =
        |key: &str| texts(truth.get(key)).iter().map(|path| path.trim_end_matches('/').to_owned()).collect();
    project.set("volumes", paths("volumes"), found, paths("volumes_optional"));
    env(project, &list("env"), import);
    let found = facts.arch.iter().map(|found| found.value.clone()).collect();
    project.set("arch", all(truth, "arch"), found, all(truth, "arch_alt"));
    if truth.get("danger").is_some() {
        let found = facts.danger.iter().map(|found| found.value.clone()).collect();
        project.set("danger", all(truth, "danger"), found, all(truth, "danger_elsewhere"));
    }
    if truth.get("services").is_some() {
        let service = |found: &Value| {
            format!(
                "{} {}",
                text(found.get("name")).unwrap_or_default(),
                plain_image(&text(found.get("image")).unwrap_or_default())
            )
        };
        let found = facts.services.iter().map(|found| {
            format!("{} {}", found.value.name, plain_image(found.value.image.as_deref().unwrap_or_default()))
        });
        project.set(
            "services",
            list("services").iter().map(service).collect(),
            found.collect(),
            BTreeSet::new(),
        );
    }
}

fn env(project: &mut Project, list: &[Value], import: &Import) {
    let name = |found: &Value| text(found.get("name")).unwrap_or_default();
    let found: BTreeSet<String> = import.facts.env.iter().map(|found| found.value.name.clone()).collect();
    project.set("env", list.iter().map(name).collect(), found, BTreeSet::new());
    for item in list {
        let fact = import.facts.env.iter().find(|found| found.value.name == name(item));
        if item.get("required").and_then(Value::as_bool) == Some(true) {
            let is_found = fact.is_some_and(|fact| fact.value.required == Some(true));
            let count = Count { hit: usize::from(is_found), missed: usize::from(!is_found), wrong: 0 };
            project.note("env required", count, &format!("{} is required", name(item)));
        }
        if let (Some(default), Some(fact)) = (text(item.get("default")), fact) {
            let is_found = fact.value.default.as_deref() == Some(default.as_str());
            let count = Count { hit: usize::from(is_found), missed: usize::from(!is_found), wrong: 0 };
            project.note(
                "env default",
                count,
                &format!("{} = {default:?}, found {:?}", name(item), fact.value.default),
            );
        }
    }
}

fn description(project: &mut Project, truth: &Value, import: &Import) {
    let Some(wanted) = text(truth.get("description_contains")) else { return };
    let found = import.facts.description.as_ref().map_or("", |found| found.value.as_str());
    let is_found = squeeze(found).contains(&squeeze(&wanted));
    let count = Count { hit: usize::from(is_found), missed: usize::from(!is_found), wrong: 0 };
    project.note("description", count, &format!("wanted {wanted:?}, found {found:?}"));
}

impl Project {
    fn note(&mut self, field: &'static str, count: Count, words: &str) {
        self.fields.entry(field).or_default().add(count);
        if count.wrong + count.missed > 0 {
            self.misses.push(format!("  {field}: {words}"));
        }
    }

    /// One value: `wanted` has all that are right, the first of them preferred; empty means none.
    fn exact(&mut self, field: &'static str, wanted: Vec<String>, found: Option<String>) {
        let is_right = found.as_ref().is_some_and(|found| wanted.contains(found));
        let count = Count {
            hit: usize::from(is_right),
            wrong: usize::from(found.is_some() && !is_right),
            missed: usize::from(!wanted.is_empty() && !is_right),
        };
        if !count.is_empty() {
            self.note(field, count, &format!("wanted {wanted:?}, found {found:?}"));
        }
    }

    fn set(
        &mut self,
        field: &'static str,
        wanted: BTreeSet<String>,
        found: BTreeSet<String>,
        optional: BTreeSet<String>,
    ) {
        let wrong: Vec<&String> =
            found.iter().filter(|item| !wanted.contains(*item) && !optional.contains(*item)).collect();
        let missed: Vec<&String> = wanted.difference(&found).collect();
        let count =
            Count { hit: wanted.intersection(&found).count(), wrong: wrong.len(), missed: missed.len() };
        if !count.is_empty() {
            self.note(field, count, &format!("missed {missed:?}, wrong {wrong:?}"));
        }
    }

    pub fn total(&self) -> Count {
        let mut total = Count::default();
        self.fields.values().for_each(|count| total.add(*count));
        total
    }
}
