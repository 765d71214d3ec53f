//! Scores the importer against labelled projects. `cargo run -p modules --features import --example import-score -- FOLDER`
//!
//! FOLDER has a folder for each project: the files of its repository as far as they count, and `truth.yaml`, whose keys
//! `docs/import-labels.md` explains. The folder's name is `owner__repository`.
//!
//! Exact: deployable, kind (or one of kind_alt), reason, name, image, package, license, memory, health. By sets:
//! ports, volumes, env, arch, danger, services, required. Keys that a truth calls doubtful are left out. What is found
//! where the truth says nothing counts as wrong, except homepage and description.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use modules::import::{Files, Import, Source, Verdict, import, squeeze};
use serde_yaml::Value;

#[derive(Default, Clone, Copy)]
struct Count {
    hit: usize,
    wrong: usize,
    missed: usize,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.hit += other.hit;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }

    fn is_empty(&self) -> bool {
        self.hit + self.wrong + self.missed == 0
    }

    fn precision(&self) -> f64 {
        ratio(self.hit, self.hit + self.wrong)
    }

    fn recall(&self) -> f64 {
        ratio(self.hit, self.hit + self.missed)
    }

    fn f1(&self) -> f64 {
        ratio(2 * self.hit, 2 * self.hit + self.wrong + self.missed)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

struct Project {
    name: String,
    fields: BTreeMap<&'static str, Count>,
    misses: Vec<String>,
    is_wrongly_deployable: bool,
}

struct Options {
    folder: PathBuf,
    is_verbose: bool,
    is_json: bool,
    min_f1: Option<f64>,
    only: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut options =
        Options { folder: PathBuf::new(), is_verbose: false, is_json: false, min_f1: None, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" | "--verbose" => options.is_verbose = true,
            "-o" => options.is_json = words.next().as_deref() == Some("json"),
            "--only" => options.only = words.next(),
            "--min-f1" => {
                let number = words.next().and_then(|word| word.parse().ok());
                options.min_f1 = Some(number.ok_or("--min-f1 needs a number such as 0.95")?);
            }
            _ => options.folder = PathBuf::from(word),
        }
    }
    if !options.folder.is_dir() {
        return Err("usage: import-score [-v] [-o json] [--min-f1 0.95] [--only NAME] FOLDER".to_owned());
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let projects = projects(&options);
    if options.is_json {
        print_json(&projects)
    } else {
        print_table(&projects, options.is_verbose)
    }
    let total = total(&projects);
    let is_good = options.min_f1.is_none_or(|least| total.f1() >= least);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn projects(options: &Options) -> Vec<Project> {
    let entries = std::fs::read_dir(&options.folder).expect("the folder was there a moment ago");
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|folder| folder.join("truth.yaml").is_file());
    folders.sort();
    let name = |folder: &Path| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_wanted =
        |folder: &&PathBuf| options.only.as_ref().is_none_or(|only| name(folder).contains(only.as_str()));
    folders.iter().filter(is_wanted).map(|folder| score(&name(folder), folder)).collect()
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

fn score(name: &str, folder: &Path) -> Project {
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

    fn total(&self) -> Count {
        let mut total = Count::default();
        self.fields.values().for_each(|count| total.add(*count));
        total
    }
}

fn total(projects: &[Project]) -> Count {
    let mut total = Count::default();
    projects.iter().for_each(|project| total.add(project.total()));
    total
}

fn by_field(projects: &[Project]) -> BTreeMap<&'static str, Count> {
    let mut fields: BTreeMap<&'static str, Count> = BTreeMap::new();
    for (field, count) in projects.iter().flat_map(|project| &project.fields) {
        fields.entry(field).or_default().add(*count);
    }
    fields
}

fn line(name: &str, count: Count) -> String {
    let (precision, recall, f1) = (count.precision() * 100.0, count.recall() * 100.0, count.f1() * 100.0);
    format!(
        "{name:<44} {precision:>6.1} {recall:>6.1} {f1:>6.1}   {}/{}/{}",
        count.hit, count.wrong, count.missed
    )
}

fn print_table(projects: &[Project], is_verbose: bool) {
    println!("{:<44} {:>6} {:>6} {:>6}   right/wrong/missed", "field", "prec.", "recall", "F1");
    for (field, count) in by_field(projects) {
        println!("{}", line(field, count));
    }
    println!("\n{:<44} {:>6} {:>6} {:>6}", "project", "prec.", "recall", "F1");
    for project in projects {
        println!("{}", line(&project.name, project.total()));
        if is_verbose {
            project.misses.iter().for_each(|miss| println!("    {miss}"));
        }
    }
    println!("\n{}", line("all, each value alike", total(projects)));
    println!("{:<44} {:>20.1}", "all, each project alike", mean(projects) * 100.0);
    let wrong = projects.iter().filter(|project| project.is_wrongly_deployable).count();
    println!("{wrong} of {} wrongly called deployable", projects.len());
}

fn mean(projects: &[Project]) -> f64 {
    let sum: f64 = projects.iter().map(|project| project.total().f1()).sum();
    if projects.is_empty() { 1.0 } else { sum / projects.len() as f64 }
}

fn print_json(projects: &[Project]) {
    let count = |count: Count| {
        serde_json::json!({"precision": count.precision(), "recall": count.recall(), "f1": count.f1(),
            "right": count.hit, "wrong": count.wrong, "missed": count.missed})
    };
    let fields: BTreeMap<&str, serde_json::Value> =
        by_field(projects).into_iter().map(|(field, known)| (field, count(known))).collect();
    let each: BTreeMap<&str, serde_json::Value> = projects
        .iter()
        .map(|project| {
            let mut value = count(project.total());
            value["misses"] = serde_json::json!(project.misses);
            value["wrongly_deployable"] = serde_json::json!(project.is_wrongly_deployable);
            (project.name.as_str(), value)
        })
        .collect();
    let all = serde_json::json!({"fields": fields, "projects": each, "all": count(total(projects)), "mean_f1": mean(projects)});
    println!("{all:#}");
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// A text or a list of texts.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Sequence(items)) => items.iter().filter_map(|item| text(Some(item))).collect(),
        value => text(value).into_iter().collect(),
    }
}

fn all(truth: &Value, key: &str) -> BTreeSet<String> {
    texts(truth.get(key)).into_iter().collect()
}

fn plain_image(image: &str) -> String {
    let lower = image.to_lowercase();
    let lower = lower.strip_prefix("docker.io/").unwrap_or(&lower);
    lower.strip_prefix("library/").unwrap_or(lower).to_owned()
}

fn plain_license(license: &str) -> String {
    license.trim_end_matches("-or-later").trim_end_matches("-only").to_owned()
}

fn host(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or(url).split('/').next().unwrap_or_default();
    host.trim_start_matches("www.").to_lowercase()
}

fn mebibytes(text: &str) -> Option<String> {
    let number: f64 =
        text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>().parse().ok()?;
    let factor = if text.to_lowercase().contains('g') { 1024.0 } else { 1.0 };
    Some(((number * factor) as u64).to_string())
}
