//! The ways a README gives to put the project into service, in its own order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Origin;
use super::container::Container;
use super::document::Kind as BlockKind;
use super::facts::Kind;
use super::image::ImageName;
use super::reading::{Placed, Reading};
use super::words::{self, Topic};

pub mod images;
mod packages;
mod releases;
mod scripts;

pub use images::{Evidence, is_placeholder, is_pullable, only_pulled};
pub use scripts::script;

/// One way to install or run the project.
#[derive(Debug, Clone)]
pub struct Route {
    pub method: Method,
    pub origin: Origin,
    pub topic: Topic,
    /// The command as written, on one line.
    pub command: String,
    /// For package managers.
    pub package: Option<String>,
    /// For containers: the one that is the project.
    pub container: Option<Container>,
    /// For compose: which of the compose files.
    pub compose: Option<usize>,
    /// The text itself recommends it.
    pub is_recommended: bool,
    /// It has gaps to fill, or says less than one can run.
    pub is_partial: bool,
    /// It is one that a library would have too.
    pub is_library_like: bool,
    pub is_root: bool,
    /// The line of the text that starts what is in another file.
    pub told_at: Option<u32>,
}

/// How a route installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    DockerRun,
    Compose,
    ComposeFileOnly,
    ImageName,
    Pip,
    Pipx,
    Uvx,
    Npm,
    Npx,
    Cargo,
    Apt,
    GoInstall,
    Script,
    BinaryDownload,
    Brew,
    Package,
    SourceBuild,
    Helm,
    Kubectl,
}

impl Method {
    pub fn kind(self) -> Kind {
        match self {
            Method::DockerRun | Method::ImageName => Kind::Container,
            Method::Compose | Method::ComposeFileOnly => Kind::Compose,
            Method::Pip | Method::Pipx | Method::Uvx => Kind::Python,
            Method::Npm | Method::Npx => Kind::Node,
            Method::Cargo => Kind::Cargo,
            Method::Apt => Kind::Apt,
            Method::BinaryDownload => Kind::Binary,
            Method::GoInstall
            | Method::Script
            | Method::Brew
            | Method::Package
            | Method::SourceBuild
            | Method::Helm
            | Method::Kubectl => Kind::Other,
        }
    }

    /// Whether it deploys on one machine by itself.
    pub fn is_packaged(self) -> bool {
        !matches!(self, Method::SourceBuild | Method::Helm | Method::Kubectl)
    }
}

impl Route {
    pub fn new<T>(method: Method, placed: &Placed<T>, command: &str) -> Self {
        Self {
            method,
            origin: placed.origin.clone(),
            topic: placed.topic,
            command: command.to_owned(),
            package: None,
            container: None,
            compose: None,
            is_recommended: false,
            is_partial: false,
            is_library_like: false,
            is_root: false,
            told_at: None,
        }
    }
}

/// All routes, in the order of the text; what a file of the repository tells comes last.
pub fn find(reading: &Reading, evidence: &Evidence) -> Vec<Route> {
    let mut routes = Vec::new();
    let texts = run_texts(reading);
    for run in &reading.runs {
        let text = texts.get(&run.origin.line).copied().unwrap_or_default();
        routes.extend(container_route(reading, evidence, run, text));
    }
    let ups = || reading.commands.iter().filter(|command| is_up(&command.value));
    let up = ups().find(|up| up.topic != Topic::Development).or_else(|| ups().next());
    for (index, file) in reading.composes.iter().enumerate() {
        routes.extend(compose_route(reading, evidence, (index, file), up));
    }
    for command in &reading.commands {
        routes.extend(packages::find(reading, command));
        routes.extend(scripts::find(reading, command));
    }
    routes.extend(releases::find(reading));
    routes.extend(images::named(reading, evidence, &routes));
    if !routes.iter().any(|route| route.container.is_some()) {
        routes.extend(compose_elsewhere(reading));
    }
    routes.retain(|route| !matches!(route.topic, Topic::Development | Topic::Upkeep | Topic::Elsewhere));
    let in_text = |route: &Route| route.origin.file == reading.path;
    let place = |route: &Route| match route.told_at {
        Some(line) => (false, line),
        None => (!in_text(route), route.origin.line),
    };
    routes.sort_by_key(|route| (place(route), route.method));
    for route in &mut routes {
        route.is_recommended = in_text(route) && is_recommended(reading, route);
    }
    routes
}

/// The commands that start containers, as written, by their lines.
fn run_texts(reading: &Reading) -> BTreeMap<u32, &str> {
    let mut texts = BTreeMap::new();
    let lines: BTreeSet<u32> = reading.runs.iter().map(|run| run.origin.line).collect();
    let on_line = |command: &&Placed<super::shell::Command>| lines.contains(&command.origin.line);
    let runs = reading.commands.iter().filter(on_line);
    for command in runs.filter(|command| super::docker_run::read(&command.value).is_some()) {
        texts.entry(command.origin.line).or_insert(command.value.text.as_str());
    }
    texts
}

fn container_route(
    reading: &Reading,
    evidence: &Evidence,
    run: &Placed<Container>,
    text_of_run: &str,
) -> Option<Route> {
    let text = run.value.image.as_deref()?;
    let image = ImageName::parse(text)?;
    if !is_pullable(reading, evidence, &image) || reading.identity.owns_image(&image) == 0 {
        return None;
    }
    if images::is_companion(reading, evidence, &image) || only_tells_of_itself(&run.value) {
        return None;
    }
    let mut route = Route::new(Method::DockerRun, run, text_of_run);
    let has_gap = |text: &String| text.contains(['<', '[', '{']) && text.len() > 2;
    route.is_partial = run.is_inline && run.value.ports.is_empty() && run.value.mounts.is_empty()
        || run.value.command.iter().any(|word| has_gap(word) || is_question(word));
    let is_shell =
        |word: &String| matches!(word.as_str(), "bash" | "sh" | "/bin/bash" | "/bin/sh" | "htpasswd" | "cat");
    if run.value.command.first().is_some_and(is_shell) && run.value.ports.is_empty()
        || run.value.entrypoint.as_ref().is_some_and(is_shell)
    {
        return None;
    }
    route.container = Some(run.value.clone());
    Some(route)
}

fn is_question(word: &str) -> bool {
    matches!(word, "--help" | "-h" | "--version")
}

/// Whether a run prints its options or its version and ends: it puts nothing into service.
fn only_tells_of_itself(container: &Container) -> bool {
    container.command.iter().any(|word| is_question(word))
        && container.ports.is_empty()
        && container.mounts.is_empty()
}

/// The compose file as a route; one for development is none.
fn compose_route(
    reading: &Reading,
    evidence: &Evidence,
    (index, file): (usize, &Placed<super::compose_file::ComposeFile>),
    up: Option<&Placed<super::shell::Command>>,
) -> Option<Route> {
    let main = main_service(reading, &file.value)?;
    let in_text = file.block.is_some();
    let has_pulled = file.value.services.iter().any(|service| !service.is_built && service.image.is_some());
    let is_local = is_local(reading, evidence, main);
    // What is built on the spot counts only where the text says to run it so.
    if is_local
        && (in_text
            || up.is_none_or(|up| up.topic == Topic::Development)
            || file.topic == Topic::Development
            || !has_pulled && file.value.services.len() == 1 && up.is_none())
    {
        return None;
    }
    let method = if in_text || up.is_some() { Method::Compose } else { Method::ComposeFileOnly };
    let command = up.map_or("docker compose up -d", |up| &up.value.text);
    let mut route = Route::new(method, file, command);
    route.container = Some(main.clone());
    route.compose = Some(index);
    if let (Some(up), false) = (up, in_text)
        && up.topic != Topic::Development
    {
        // The text refers to the file, at that place.
        route.origin.line = 1;
        route.told_at = Some(up.origin.line);
    }
    Some(route)
}

/// `docker compose up` with a file of the repository that is not at hand.
fn compose_elsewhere(reading: &Reading) -> Option<Route> {
    if !reading.composes.is_empty() {
        return None;
    }
    let up = reading.commands.iter().find(|command| {
        is_up(&command.value)
            && command.topic == Topic::Install
            && (!command.is_inline || follows_a_clone(reading, command.block) && releases::serves(reading))
    })?;
    let is_named = up
        .value
        .words
        .windows(2)
        .any(|pair| matches!(pair[0].text.as_str(), "-f" | "--file") && pair[1].text.contains('/'));
    let is_fetched = reading.commands.iter().any(|command| {
        let command = &command.value;
        let is_own = command.words.iter().any(|word| reading.identity.owns_url(&word.text));
        is_own
            && (command.program() == "git" && command.word(1) == "clone"
                || matches!(command.program(), "wget" | "curl") && command.text.contains("compose"))
    });
    // In a section on installing the words are enough, unless what it starts is for trying or testing.
    let section = up.block.and_then(|at| reading.document.sections.get(reading.block(at).section));
    let before = up.block.and_then(|at| at.checked_sub(1)).map(|at| reading.block(at).rich.lower());
    let is_of_many = |text: &str| words::any(text, &["sample", "example", "each ", "demo"]);
    let is_told = section
        .is_some_and(|section| words::topic(&section.title) == Topic::Install && !is_of_many(&section.lower))
        && !before.is_some_and(is_of_many)
        && !up.value.words.iter().any(|word| words::any(&word.text, &["dev", "test", "example"]));
    (is_named || is_fetched || is_told).then(|| {
        let mut route = Route::new(Method::Compose, up, &up.value.text);
        route.is_partial = true;
        route
    })
}

/// "Clone this repository", some steps before in the same section.
fn follows_a_clone(reading: &Reading, block: Option<usize>) -> bool {
    let Some(index) = block else { return false };
    let section = reading.block(index).section;
    let others =
        ["test", "database", "develop", "postgres", "mysql", "redis", "dependenc", "example", "header"];
    let mut around = reading.document.blocks.iter().filter(|block| block.section == section);
    if around.any(|block| words::any(block.rich.lower(), &others)) {
        return false;
    }
    let steps = reading.document.blocks[..=index].iter().rev().take(8);
    steps.take_while(|step| step.section == section).any(|step| {
        !step.is_code() && words::any(step.rich.lower(), &["clone this repo", "clone the repo", "克隆本"])
    })
}

/// Whether the container's image comes from a build on the spot.
pub fn is_local(reading: &Reading, evidence: &Evidence, container: &Container) -> bool {
    match container.image.as_deref().and_then(ImageName::parse) {
        Some(image) if container.is_built => !image.has_namespace() && !evidence.is_published(&image),
        Some(image) => !is_pullable(reading, evidence, &image),
        None => true,
    }
}

pub fn is_up(command: &super::shell::Command) -> bool {
    let is_compose = command.program() == "docker-compose"
        || matches!(command.program(), "docker" | "podman" | "nerdctl") && command.word(1) == "compose"
        || command.program() == "podman-compose";
    is_compose && (command.has("up") || command.has("start"))
}

/// The service that is the project itself.
pub fn main_service<'f>(
    reading: &Reading,
    file: &'f super::compose_file::ComposeFile,
) -> Option<&'f Container> {
    let score = |service: &Container| {
        let image = service.image.as_deref().and_then(ImageName::parse);
        let owned = image
            .as_ref()
            .map_or(if service.is_built { 2 } else { 0 }, |image| reading.identity.owns_image(image));
        let named = u8::from(reading.identity.owns(&service.name));
        let published = u8::from(!service.ports.is_empty());
        let is_front =
            words::any(&service.name, &["web", "app", "server"]) && !words::any(&service.name, &["proxy"]);
        let is_idle = service.profiles.is_empty();
        let is_store = image.as_ref().is_some_and(|image| is_store(image.short()));
        (owned.min(3), u8::from(!is_store), u8::from(is_idle), named + published * 2, u8::from(is_front))
    };
    let mut best: Option<(&Container, _)> = None;
    for service in &file.services {
        let score = score(service);
        if best.as_ref().is_none_or(|(_, known)| score > *known) {
            best = Some((service, score));
        }
    }
    let best = best.filter(|(_, score)| score.0 > 0).map(|(service, _)| service)?;
    // One image with several tags: `lantern:latest`, and `lantern:nginx` before it.
    let repository = |service: &Container| {
        let image = service.image.as_deref().and_then(ImageName::parse)?;
        Some(image.repository)
    };
    let is_alike = |service: &&Container| {
        repository(service).is_some_and(|own| Some(own) == repository(best))
            && reading.identity.owns(&service.name)
            && (!reading.identity.owns(&best.name) || is_proxy(&best.name) && !is_proxy(&service.name))
    };
    Some(file.services.iter().find(is_alike).unwrap_or(best))
}

/// Whether a service is named like what stands before others.
pub fn is_proxy(name: &str) -> bool {
    let names = ["nginx", "proxy", "caddy", "traefik", "haproxy", "gateway", "ingress"];
    words::any(&name.to_lowercase(), &names)
}

/// `lantern-db`: the project's own image of what it keeps its data in.
fn is_store(image: &str) -> bool {
    ["-db", "-database", "-mysql", "-mariadb", "-postgres", "-redis", "-mongo"]
        .iter()
        .any(|end| image.ends_with(end))
}

const RECOMMENDED: [&str; 9] = [
    "recommended",
    "preferred",
    "easiest",
    "推荐",
    "推奨",
    "empfohlen",
    "recommandé",
    "recomendad",
    "рекоменду",
];

/// Whether the heading or the words before a route recommend it.
fn is_recommended(reading: &Reading, route: &Route) -> bool {
    let blocks = &reading.document.blocks;
    let after = blocks.partition_point(|block| block.line <= route.origin.line);
    let Some(index) = after.checked_sub(1) else { return false };
    let section = blocks[index].section;
    let heading = &reading.document.sections[section].lower;
    if words::any(heading, &RECOMMENDED) && !heading.contains("not recommended") {
        return true;
    }
    let before =
        blocks[..index].iter().rev().take(2).find(|block| block.section == section && !block.is_code());
    before.is_some_and(|block| {
        let text = block.rich.lower();
        let is_heading = matches!(block.kind, BlockKind::Heading(_));
        !is_heading
            && words::any(text, &RECOMMENDED)
            && !words::any(text, &["not recommended", "不推荐"])
            && text.len() < 300
    })
}
