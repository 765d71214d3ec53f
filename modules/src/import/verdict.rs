//! Whether there is something to deploy, and why not.

use serde::Serialize;

use super::assemble::Assembled;
use super::document::Kind as BlockKind;
use super::draft;
use super::facts::{Facts, Found, Kind};
use super::provenance::{Trace, Warning, trace};
use super::reading::{Placed, Reading};
use super::routes::{Method, Route};
use super::shell::Command;
use super::words::{self, Topic};
use super::{Files, Source, Verdict};

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
        if reason == Reason::Library {
            facts.image = None;
            facts.tag = None;
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

fn reason(reading: &Reading, assembled: &Assembled) -> Option<(Reason, String)> {
    let routes = &assembled.routes;
    let usable: Vec<&Route> = routes
        .iter()
        .filter(|route| route.method.is_packaged() && route.topic != Topic::Kubernetes)
        .collect();
    let is_contained = usable.iter().any(|route| route.container.is_some());
    let is_named_only =
        usable.iter().all(|route| route.container.is_none() || route.method == Method::ImageName);
    if (!is_contained || is_named_only) && is_library(reading, &usable) {
        let place = usable
            .first()
            .map_or_else(String::new, |route| format!(" ({}:{})", route.origin.file, route.origin.line));
        return Some((
            Reason::Library,
            format!("it is a library for other programs, nothing that runs by itself{place}"),
        ));
    }
    if !usable.is_empty() || is_source_enough(reading, routes) {
        return None;
    }
    if let Some(route) = routes.iter().find(|route| matches!(route.method, Method::Helm | Method::Kubectl)) {
        let place = format!("{}:{}", route.origin.file, route.origin.line);
        return Some((Reason::KubernetesOnly, format!("it is installed into Kubernetes only ({place})")));
    }
    if let Some(file) =
        reading.composes.iter().find(|file| file.topic == Topic::Development && file.block.is_none())
    {
        let sentence = format!(
            "{} is for those who work on the project, and the text tells no other way",
            file.origin.file
        );
        return Some((Reason::DevelopmentOnly, sentence));
    }
    Some((
        Reason::NoInstallInformation,
        "the text gives no command, image or release to install it by".to_owned(),
    ))
}

/// A clone that the text then builds and starts, in a section about installing.
fn is_source_enough(reading: &Reading, routes: &[Route]) -> bool {
    let Some(clone) = routes
        .iter()
        .find(|route| route.method == Method::SourceBuild && matches!(route.topic, Topic::Install))
    else {
        return false;
    };
    reading.commands.iter().any(|placed| {
        let command = &placed.value;
        let near = placed.origin.line >= clone.origin.line && placed.origin.line < clone.origin.line + 60;
        let starts = match command.program() {
            "npm" | "yarn" | "pnpm" | "bun" => ["start", "serve", "run"].contains(&command.word(1)),
            "python" | "python3" | "node" | "java" | "php" => command.words.len() > 1,
            "make" => command.word(1).contains("install") || command.word(1).contains("run"),
            "docker-compose" => true,
            "docker" => command.word(1) == "compose" || command.word(1) == "run",
            program => program.ends_with(".sh") || command.word(0).starts_with("./"),
        };
        near && starts && placed.topic != Topic::Development
    })
}

const LIBRARY: [&str; 40] = [
    "library",
    "libraries",
    "sdk",
    "bindings",
    "wrapper for",
    "wrapper around",
    "framework for",
    "client for",
    "python client",
    "api client",
    "package for",
    "module for",
    "crate for",
    "crate provides",
    "a plugin for",
    "plugin for",
    "import it",
    "middleware",
    "react component",
    "component for",
    "parser",
    "implementation of the",
    "utility function",
    "utilities for",
    "helper",
    "type-safe",
    "typed",
    "orm",
    "driver",
    "toolkit",
    "函数库",
    "类库",
    "库",
    "ライブラリ",
    "bibliothek",
    "bibliothèque",
    "librería",
    "biblioteca",
    "библиотека",
    "라이브러리",
];

const SERVICE: [&str; 36] = [
    "self-hosted",
    "selfhosted",
    "self hosted",
    "server",
    "daemon",
    "web interface",
    "web ui",
    "webui",
    "command line",
    "command-line",
    " cli",
    "dashboard",
    "service",
    "systemd",
    "docker",
    "browser",
    "localhost",
    "port ",
    "tui",
    "terminal",
    "tool ",
    "application",
    " app ",
    "bot",
    "proxy",
    "自托管",
    "サーバー",
    "服务",
    "命令行",
    "コマンドライン",
    "monitoring",
    "host ",
    "utility",
    "generator",
    "web app",
    "viewer",
];

/// Whether what is installed is for other programs to use.
fn is_library(reading: &Reading, routes: &[&Route]) -> bool {
    let only_packages = routes.iter().all(|route| {
        route.is_library_like
            || matches!(
                route.method,
                Method::Brew | Method::Package | Method::ImageName | Method::BinaryDownload
            )
    });
    if !only_packages {
        return false;
    }
    let head: String = reading
        .document
        .blocks
        .iter()
        .take(40)
        .filter(|block| !block.is_code())
        .map(|block| block.rich.text.to_lowercase() + " ")
        .collect();
    let head: String = head.chars().take(4000).collect();
    let code = reading
        .document
        .blocks
        .iter()
        .filter(|block| matches!(&block.kind, BlockKind::Code(_)) && imports(&block.rich.text))
        .count();
    let says = LIBRARY
        .iter()
        .filter(|word| words::has_word(&head, word.trim()) || !word.is_ascii() && head.contains(*word))
        .count();
    let serves = SERVICE
        .iter()
        .filter(|word| words::has_word(&head, word.trim()) || !word.is_ascii() && head.contains(*word))
        .count();
    let runs = reading.commands.iter().any(|placed| is_run(reading, placed));
    let listens = !super::fields::ports::find(reading).is_empty();
    if routes.is_empty() {
        return code > 0 && says > 0 && !runs && says * 2 > serves;
    }
    let is_dependency =
        |route: &&Route| route.is_library_like && matches!(route.method, Method::Cargo | Method::Npm);
    if !runs && routes.iter().all(is_dependency) {
        return true;
    }
    let only_downloads = routes.iter().all(|route| {
        matches!(route.method, Method::BinaryDownload | Method::ImageName | Method::Brew | Method::Package)
    });
    if only_downloads {
        return code > 0 && says > serves;
    }
    let for_library = 2 * code.min(3) + says.min(4);
    let for_service = serves.min(4) + if runs { 4 } else { 0 } + usize::from(listens);
    for_library > for_service || !runs && serves == 0 || !runs && code > 0 && (says > 0 || serves < 2)
}

/// Whether a command is the project itself, started.
fn is_run(reading: &Reading, placed: &Placed<Command>) -> bool {
    let command = &placed.value;
    let program = command.program();
    let is_plain =
        program.len() > 1 && program.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let has_option = command.words.iter().any(|word| word.text.starts_with('-'));
    let is_sentence = command.words.len() > 6 && !has_option;
    let is_code =
        command.has("=") || command.words.iter().any(|word| word.text.contains('(') && !word.is_computed);
    !placed.is_inline
        && is_plain
        && !is_sentence
        && !is_code
        && placed.topic != Topic::Development
        && reading.identity.owns(program)
}

/// Whether code uses the project from a program.
fn imports(text: &str) -> bool {
    text.lines().take(400).any(|line| {
        let line = line.trim_start_matches([' ', '>', '.']);
        line.starts_with("import ") && !line.contains("as-root")
            || line.starts_with("from ") && line.contains(" import ")
            || line.starts_with("use ") && line.contains("::")
            || line.contains("require(") && line.contains('=')
            || line.starts_with("#include")
            || line.contains("require_once")
            || line.starts_with("using ") && line.ends_with(';')
    })
}
