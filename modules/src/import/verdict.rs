//! Whether there is something to deploy, and why not.

use serde::Serialize;

use super::assemble::{Assembled, services};
use super::compose_file::ComposeFile;
use super::draft;
use super::facts::{Confidence, Facts, Found, Kind};
use super::image::ImageName;
use super::provenance::{Trace, Warning, trace};
use super::reading::{Placed, Reading};
use super::routes::{Method, Route};
use super::shell::Command;
use super::words::Topic;
use super::{Files, Source, Verdict};

mod library;
mod personal;

/// The class of reason why there is nothing to deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Library,
    NoInstallInformation,
    DevelopmentOnly,
    KubernetesOnly,
    /// There is a way, but no module can be made of it.
    NotDraftable,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Library => "library",
            Reason::NoInstallInformation => "no-install-information",
            Reason::DevelopmentOnly => "development-only",
            Reason::KubernetesOnly => "kubernetes-only",
            Reason::NotDraftable => "not-draftable",
        }
    }
}

pub fn judge(
    reading: &Reading,
    files: &Files,
    source: &Source,
    assembled: Assembled,
) -> (Verdict, Facts, Vec<Trace>, Vec<Warning>) {
    let reason = reason(reading, &assembled);
    let mut facts = assembled.facts.clone();
    if let Some((reason, sentence)) = reason {
        facts.kind = Found::inferred(
            if reason == Reason::Library { Kind::Library } else { Kind::Other },
            facts.kind.origin.clone(),
        );
        match reason {
            Reason::Library => forget_service(&mut facts),
            Reason::DevelopmentOnly => {
                let file = reading.composes.iter().position(is_for_work);
                // Where a server listens that one starts while at work says nothing of the program.
                facts.ports.retain(|found| file.is_some() || found.confidence != Confidence::Inferred);
                facts.services = file.map_or_else(Vec::new, |index| services(reading, index));
            }
            Reason::NoInstallInformation | Reason::KubernetesOnly | Reason::NotDraftable => {}
        }
        let (provenance, warnings) = (trace(&facts), Vec::new());
        return (Verdict::NotDeployable { reason, sentence }, facts, provenance, warnings);
    }
    match draft::draft(reading, files, source, &assembled) {
        Ok((draft, warnings)) => {
            let provenance = trace(&facts);
            (Verdict::Deployable(Box::new(draft)), facts, provenance, warnings)
        }
        Err(sentence) => {
            let provenance = trace(&facts);
            (Verdict::NotDeployable { reason: Reason::NotDraftable, sentence }, facts, provenance, Vec::new())
        }
    }
}

/// What is said of a library's peers, tests and examples is no service of its own.
fn forget_service(facts: &mut Facts) {
    facts.image = None;
    facts.tag = None;
    facts.ports.clear();
    facts.volumes.clear();
    facts.env.clear();
    facts.services.clear();
    facts.danger.clear();
}

fn reason(reading: &Reading, assembled: &Assembled) -> Option<(Reason, String)> {
    let routes = &assembled.routes;
    let usable: Vec<&Route> = routes
        .iter()
        .filter(|route| route.method.is_packaged() && route.topic != Topic::Kubernetes)
        .collect();
    let is_contained = usable.iter().any(|route| is_service(reading, route));
    let is_named = |route: &Route| {
        route.method == Method::ImageName || route.method == Method::Compose && route.compose.is_none()
    };
    let is_named_only = usable.iter().all(|route| route.container.is_none() || is_named(route));
    let description = assembled.facts.description.as_ref().map_or("", |found| found.value.as_str());
    let is_tool = |route: &&Route| route.container.is_some() && !is_service(reading, route);
    let started: Vec<&Route> = usable.iter().copied().filter(|route| !is_tool(route)).collect();
    let cluster = routes.iter().find(|route| matches!(route.method, Method::Helm | Method::Kubectl));
    let is_for_cluster = cluster.is_some() && usable.is_empty();
    if (!is_contained || is_named_only)
        && !is_for_cluster
        && library::is_library(reading, description, &started)
    {
        let place = usable
            .first()
            .map_or_else(String::new, |route| format!(" ({}:{})", route.origin.file, route.origin.line));
        return Some((
            Reason::Library,
            format!("it is a library for other programs, nothing that runs by itself{place}"),
        ));
    }
    if !usable.is_empty() && personal::is_personal(reading, description, &usable) {
        let sentence = "it is a program for the screen of one person, nothing that serves from a node";
        return Some((Reason::NotDraftable, sentence.to_owned()));
    }
    if !usable.is_empty() && personal::is_firmware(description, &usable) {
        let sentence = "it is a firmware, which is written onto a device: nothing that a node runs";
        return Some((Reason::NoInstallInformation, sentence.to_owned()));
    }
    let is_beside = |route: &&Route| cluster.is_some() && (is_client(reading, route) || is_tool(route));
    if !usable.iter().all(is_beside)
        || usable.is_empty() && cluster.is_none() && is_source_enough(reading, routes)
    {
        return None;
    }
    if let Some(route) = cluster {
        let place = format!("{}:{}", route.origin.file, route.origin.line);
        return Some((Reason::KubernetesOnly, format!("it is installed into Kubernetes only ({place})")));
    }
    if let Some(file) = reading.composes.iter().find(|file| is_for_work(file)) {
        let sentence = format!(
            "{} is for those who work on the project, and the text tells no other way",
            file.origin.file
        );
        return Some((Reason::DevelopmentOnly, sentence));
    }
    if let Some(clone) = reading.commands.iter().find(|placed| is_clone_for_work(reading, placed)) {
        let place = format!("{}:{}", clone.origin.file, clone.origin.line);
        let sentence = format!("the text only tells how to work on it ({place})");
        return Some((Reason::DevelopmentOnly, sentence));
    }
    Some((
        Reason::NoInstallInformation,
        "the text gives no command, image or release to install it by".to_owned(),
    ))
}

/// A clone of the project, in a section for those who work on it.
fn is_clone_for_work(reading: &Reading, placed: &Placed<Command>) -> bool {
    let command = &placed.value;
    placed.topic == Topic::Development
        && command.program() == "git"
        && command.word(1) == "clone"
        && command.words.iter().any(|word| reading.identity.owns_url(&word.text))
}

/// Whether a compose file of the repository is for those who work on the project.
fn is_for_work(file: &Placed<ComposeFile>) -> bool {
    file.topic == Topic::Development && file.block.is_none()
}

/// A container, unless it is shown without a port and of another name or gone when its command ends: a tool.
fn is_service(reading: &Reading, route: &Route) -> bool {
    let is_gone = route.command.split_whitespace().any(|word| word == "--rm");
    route.container.as_ref().is_some_and(|container| {
        if is_gone && container.ports.is_empty() && container.mounts.is_empty() && container.env.is_empty() {
            return false;
        }
        let image = container.image.as_deref().and_then(ImageName::parse);
        image.is_none_or(|image| reading.identity.owns_image(&image) > 1) || !container.ports.is_empty()
    })
}

/// A program to be downloaded that is not named like the project: beside what goes into a cluster, what one talks to
/// it with.
fn is_client(reading: &Reading, route: &Route) -> bool {
    let file = route.command.split_whitespace().rev().find(|word| word.contains("/releases/"));
    let name = file.and_then(|file| file.rsplit('/').next()).unwrap_or_default();
    let program = name.split(['-', '_', '.', '$']).next().unwrap_or_default();
    let words = name.split(['.', '$']).next().unwrap_or_default();
    route.method == Method::BinaryDownload
        && program.len() > 1
        && !reading.identity.owns(program)
        && !reading.identity.owns(words)
}

/// A clone that the text then builds and starts, in a section about installing.
fn is_source_enough(reading: &Reading, routes: &[Route]) -> bool {
    let Some(clone) = routes
        .iter()
        .find(|route| route.method == Method::SourceBuild && matches!(route.topic, Topic::Install))
    else {
        return false;
    };
    let starts_work = reading.composes.iter().any(is_for_work);
    reading.commands.iter().any(|placed| {
        let command = &placed.value;
        let near = placed.origin.line >= clone.origin.line && placed.origin.line < clone.origin.line + 60;
        let starts = match command.program() {
            "npm" | "yarn" | "pnpm" | "bun" => ["start", "serve", "run"].contains(&command.word(1)),
            "python" | "python3" | "node" | "java" | "php" => command.words.len() > 1,
            "make" => command.word(1).contains("install") || command.word(1).contains("run"),
            "go" => ["build", "run", "install"].contains(&command.word(1)),
            "cargo" => command.word(1) == "run" || command.word(1) == "build" && command.has("--release"),
            "docker-compose" => !starts_work,
            "docker" => command.word(1) == "compose" && !starts_work || command.word(1) == "run",
            program => program.ends_with(".sh") || command.word(0).starts_with("./"),
        };
        near && starts && placed.topic != Topic::Development
    })
}
