//! Scores the importer against labelled projects. `cargo run -p modules --features import --example import-score -- FOLDER`
//!
//! FOLDER has a folder for each project: the files of its repository as far as they count, and `truth.yaml`, as
//! those in `modules/tests/readmes`. The folder's name is `owner__repository`.
//!
//! Exact: deployable, kind (or one of kind_alt), reason, name, image, package, license, memory, health. By sets:
//! ports, volumes, env, arch, danger, services, required. Keys that a truth calls doubtful are left out. What is found
//! where the truth says nothing counts as wrong, except homepage and description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use count::Count;
use score::{Project, score};

mod count;
mod score;
mod truth;

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
