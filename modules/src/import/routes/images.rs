//! Which images can be pulled, and images that a text only names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Method, Route};
use crate::import::Origin;
use crate::import::container::Container;
use crate::import::document::Block;
use crate::import::image::ImageName;
use crate::import::reading::{Placed, Reading};
use crate::import::shell::{Command, Word};
use crate::import::words::{Topic, WordList};

/// What the text tells about images: which are published, which are built on the spot.
#[derive(Debug, Default)]
pub struct Evidence {
    pulled: BTreeSet<String>,
    built: BTreeSet<String>,
    /// Repositories behind links to a registry, where they stand, and as written.
    pub linked: Vec<Linked>,
}

#[derive(Debug, Clone)]
pub struct Linked {
    pub repository: String,
    pub block: usize,
    /// The link is an image alone: a badge.
    pub is_badge: bool,
}

impl Evidence {
    pub fn gather(reading: &Reading) -> Self {
        let mut evidence = Self::default();
        let first_runs = first_runs(reading);
        for placed in &reading.commands {
            let command = &placed.value;
            if !is_engine(command) || pulled(command).is_some() {
                continue;
            }
            let is_verb = |word: &Word| matches!(word.text.as_str(), "build" | "buildx");
            let Some(at) = command.words.iter().take(4).position(is_verb) else { continue };
            let rest = command.rest(at + 1);
            let tags = rest
                .windows(2)
                .filter(|pair| matches!(pair[0].text.as_str(), "-t" | "--tag"))
                .map(|pair| pair[1].text.as_str());
            let attached = rest.iter().filter_map(|word| {
                word.text.strip_prefix("--tag=").or_else(|| word.text.strip_prefix("-t="))
            });
            // What is named after a registry is meant for it, be it rebuilt by those who work on it.
            let is_rebuilt = |image: &ImageName| {
                let run = first_runs.get(&image.repository);
                placed.topic == Topic::Development && run.is_some_and(|line| *line < placed.origin.line)
            };
            let images = tags.chain(attached).filter_map(ImageName::parse);
            let images = images.filter(|image| !image.has_registry() && !is_rebuilt(image));
            evidence.built.extend(images.map(|image| ImageName::canonical(&image.repository)));
        }
        let pulled = pulls(reading).map(|(_, image)| ImageName::canonical(&image.repository));
        evidence.pulled.extend(pulled);
        evidence.links(reading);
        evidence
    }

    fn links(&mut self, reading: &Reading) {
        for (index, block) in reading.document.blocks.iter().enumerate() {
            for (text, url) in block.rich.links() {
                let Some(repository) = registry_link(url) else { continue };
                let is_badge = text.trim().is_empty();
                self.linked.push(Linked { repository, block: index, is_badge });
            }
            let is_marked = || block.rich.links().next().is_some();
            let text = block.rich.text.as_str();
            let bare = super::releases::addresses(text).filter(|_| !block.is_code() && !is_marked());
            for repository in bare.filter_map(registry_link) {
                self.linked.push(Linked { repository, block: index, is_badge: false });
            }
            for (_, url) in block.rich.images() {
                let Some(repository) = badge_image(url) else { continue };
                self.linked.push(Linked { repository, block: index, is_badge: true });
            }
        }
    }

    pub fn is_published(&self, image: &ImageName) -> bool {
        let name = ImageName::canonical(&image.repository);
        self.pulled.contains(&name)
            || self.linked.iter().any(|link| ImageName::canonical(&link.repository) == name)
    }

    fn is_built(&self, image: &ImageName) -> bool {
        self.built.contains(&ImageName::canonical(&image.repository))
    }
}

/// Where the text first runs each image by its full name, other than for those who work on it.
fn first_runs(reading: &Reading) -> BTreeMap<String, u32> {
    let mut lines = BTreeMap::new();
    for run in reading.runs.iter().filter(|run| run.topic != Topic::Development) {
        let image = run.value.image.as_deref().and_then(ImageName::parse);
        if let Some(image) = image.filter(ImageName::has_namespace) {
            lines.entry(image.repository).or_insert(run.origin.line);
        }
    }
    lines
}

fn is_engine(command: &Command) -> bool {
    matches!(command.program(), "docker" | "podman" | "nerdctl")
}

/// The image of a `docker pull`.
fn pulled(command: &Command) -> Option<ImageName> {
    let at =
        command.words.iter().take(4).position(|word| word.text == "pull").filter(|_| is_engine(command))?;
    command.rest(at + 1).iter().rev().find_map(|word| ImageName::parse(&word.text))
}

/// The images that commands pull, wherever they stand.
fn pulls(reading: &Reading) -> impl Iterator<Item = (&Placed<Command>, ImageName)> {
    reading.commands.iter().filter_map(|placed| Some((placed, pulled(&placed.value)?)))
}

/// The project's own image where it is only pulled, or run to tell of itself.
pub fn only_pulled(reading: &Reading, evidence: &Evidence) -> Option<(ImageName, Origin)> {
    let is_own = |image: &ImageName| {
        image.has_namespace()
            && reading.identity.owns_image(image) >= 3
            && is_pullable(reading, evidence, image)
    };
    let pulls = pulls(reading).filter(|(placed, _)| placed.topic != Topic::Elsewhere);
    let pulls = pulls.map(|(placed, image)| (image, &placed.origin));
    let runs = reading.runs.iter().filter(|run| !matches!(run.topic, Topic::Elsewhere | Topic::Kubernetes));
    let runs = runs.filter_map(|run| Some((ImageName::parse(run.value.image.as_deref()?)?, &run.origin)));
    let found = pulls.chain(runs).find(|(image, _)| is_own(image));
    found.map(|(image, origin)| (image, origin.clone()))
}

const PLACEHOLDERS: [&str; 17] = [
    "docker_image",
    "docker_image_name",
    "docker-image-name",
    "my-image",
    "myimage",
    "my-app",
    "image",
    "image-name",
    "imagename",
    "image_name",
    "your-image",
    "test",
    "local",
    "dev",
    "myapp",
    "username",
    "your-username",
];

/// Whether a name of an image is one to be replaced.
pub fn is_placeholder(part: &str) -> bool {
    PLACEHOLDERS.contains(&part) || is_of_the_reader(part) || part.starts_with("my-")
}

/// Whether an image can be pulled, as far as the text tells.
pub fn is_pullable(reading: &Reading, evidence: &Evidence, image: &ImageName) -> bool {
    // An owner may well be called like a gap to fill.
    let owner = reading.identity.owner.to_lowercase();
    let mut parts = image.repository.split('/').map(str::to_lowercase).filter(|part| *part != owner);
    if parts.any(|part| is_placeholder(&part)) || image.repository.starts_with("localhost") {
        return false;
    }
    if evidence.is_published(image) {
        return true;
    }
    if evidence.is_built(image) {
        return false;
    }
    // A bare name is one of the official images, or a local one that the text does not build.
    if !image.has_namespace() && reading.identity.owns_image(image) > 0 {
        let is_said_official = reading.document.blocks.iter().take(400).any(|block| {
            block.rich.text.contains("hub.docker.com/_/")
                || block.rich.links().any(|(_, url)| url.contains("hub.docker.com/_/"))
        });
        let is_built_anywhere = reading.commands.iter().any(|command| {
            matches!(command.value.program(), "docker" | "podman")
                && (command.value.word(1) == "build" || command.value.word(1) == "buildx")
        });
        return is_said_official || !is_built_anywhere;
    }
    true
}

/// "your-registry", "yourname": to be replaced, unlike a name that happens to begin so.
fn is_of_the_reader(part: &str) -> bool {
    let Some(rest) = part.strip_prefix("your") else { return false };
    let what = rest.trim_start_matches(['-', '_', '.']);
    what.is_empty()
        || what.len() < rest.len()
        || [
            "name", "user", "org", "company", "app", "image", "repo", "domain", "account", "registry",
            "project", "docker", "hub", "tag", "id", "host", "server", "team", "self",
        ]
        .iter()
        .any(|word| what.starts_with(word))
}

/// Whether an image is only run beside that of the project: of no name that the project has, where a badge shows the
/// page of another that is run too.
pub fn is_companion(reading: &Reading, evidence: &Evidence, image: &ImageName) -> bool {
    let owned = reading.identity.owns_image(image);
    let runs =
        || reading.runs.iter().filter_map(|run| run.value.image.as_deref()).filter_map(ImageName::parse);
    // Of images that the owner has, the one with the project's name is the project.
    if owned == 2 && runs().any(|other| reading.identity.owns_image(&other) > 2) {
        return true;
    }
    if owned > 1 || evidence.is_published(image) {
        return false;
    }
    let badges = evidence.linked.iter().filter(|link| link.is_badge);
    let shown: BTreeSet<String> = badges.map(|link| ImageName::canonical(&link.repository)).collect();
    !shown.is_empty() && runs().any(|other| shown.contains(&ImageName::canonical(&other.repository)))
}

/// The repository behind a link to a registry's page.
pub fn registry_link(url: &str) -> Option<String> {
    let rest = url.split("://").nth(1).unwrap_or(url).split(['?', '#']).next().unwrap_or_default();
    let rest = rest.trim_end_matches('/');
    let mut parts = rest.split('/');
    let host = parts.next()?.to_ascii_lowercase();
    let parts: Vec<&str> = parts.collect();
    let found = match (host.as_str(), parts.as_slice()) {
        ("hub.docker.com" | "registry.hub.docker.com", ["r" | "u", owner, name, ..]) => {
            format!("{owner}/{name}")
        }
        ("quay.io", ["repository", owner, name, ..]) => format!("quay.io/{owner}/{name}"),
        ("hub.docker.com", ["_", name, ..]) => (*name).to_owned(),
        ("microbadger.com" | "images.microbadger.com", [_, owner, name, ..]) => {
            format!("{owner}/{}", name.split(':').next().unwrap_or(name))
        }
        ("ghcr.io", [owner, name, ..]) => format!("ghcr.io/{owner}/{name}"),
        ("github.com", [owner, _, "pkgs", "container", name, ..]) => {
            format!("ghcr.io/{}/{}", owner.to_lowercase(), name.replace("%2F", "/").to_lowercase())
        }
        ("github.com", ["users" | "orgs", owner, "packages", "container", rest @ ..]) => {
            let name = rest.iter().find(|part| !matches!(**part, "package"))?;
            format!("ghcr.io/{}/{}", owner.to_lowercase(), name.replace("%2F", "/").to_lowercase())
        }
        ("gallery.ecr.aws", [owner, name, ..]) => format!("public.ecr.aws/{owner}/{name}"),
        _ => return None,
    };
    ImageName::parse(&found).map(|_| found)
}

/// `img.shields.io/docker/pulls/owner/name`.
fn badge_image(url: &str) -> Option<String> {
    let rest = url.split_once("/docker/")?.1;
    let mut parts = rest.split(['?', '#']).next()?.split('/');
    let what = parts.next()?;
    if !["pulls", "v", "image-size", "stars", "automated", "cloud", "build"].contains(&what) {
        return None;
    }
    let (owner, name) = (parts.next()?, parts.next()?.trim_end_matches(".svg"));
    let repository =
        if owner == "_" || owner == "library" { name.to_owned() } else { format!("{owner}/{name}") };
    ImageName::parse(&repository).map(|image| image.repository)
}

static OFFERS: WordList = WordList::new(&[
    "image",
    "available",
    "docker",
    "container",
    "pull",
    "镜像",
    "イメージ",
    "abbild",
    "imagen",
    "imagem",
    "образ",
    "이미지",
    "registry",
    "hub",
    "ghcr",
    "quay",
]);

/// Words that tell a name of two parts to be one of an image, not of a repository of code.
pub static HUB: WordList = WordList::new(&[
    "docker hub",
    "dockerhub",
    "docker image",
    "docker-image",
    "container image",
    "镜像",
    "イメージ",
]);

/// Images that the text offers by name or link, where no command runs one.
pub fn named(reading: &Reading, evidence: &Evidence, known: &[Route]) -> Vec<Route> {
    if known.iter().any(|route| {
        matches!(route.method, Method::DockerRun)
            || route.compose.is_some() && route.container.as_ref().is_some_and(|c| c.image.is_some())
    }) {
        return Vec::new();
    }
    let mut routes: Vec<Route> = Vec::new();
    for (command, image) in pulls(reading).filter(|(_, image)| reading.identity.owns_image(image) > 0) {
        routes.push(route(command, &image.to_string()));
    }
    // `docker compose up` with a file that is not at hand: the badge tells the image.
    let starts = |command: &&Placed<Command>| {
        super::is_up(&command.value)
            && !matches!(command.topic, Topic::Development | Topic::Upkeep | Topic::Elsewhere)
    };
    let unknown_compose = reading.commands.iter().find(starts).filter(|_| reading.composes.is_empty());
    for link in &evidence.linked {
        let block = &reading.document.blocks[link.block];
        let text = block.rich.lower();
        if !link.is_badge
            && is_own(reading, &link.repository, reading.topic_of(block))
            && OFFERS.is_in(text)
            && text.len() > 20
        {
            routes.push(route(&placed(reading, block), &link.repository));
        } else if let Some(up) = unknown_compose
            && link.is_badge
            && is_own(reading, &link.repository, Topic::Install)
        {
            let route = route(&placed(reading, block), &link.repository);
            routes.push(Route { method: Method::Compose, command: up.value.text.clone(), ..route });
        }
    }
    for block in reading.prose() {
        for (_, code) in block.rich.code() {
            let says = || block.rich.has(&HUB);
            let is_offered = |image: &ImageName| {
                let owned = reading.identity.owns_image(image);
                let is_registry = image.has_registry() && (is_known_registry(&image.repository) || says());
                is_registry && owned >= 2 || image.has_namespace() && owned >= 3 && says()
            };
            let Some(image) = ImageName::parse(code).filter(is_offered) else { continue };
            routes.push(route(&placed(reading, block), &image.to_string()));
        }
    }
    routes.retain(|route| !matches!(route.topic, Topic::Development | Topic::Elsewhere | Topic::Kubernetes));
    routes.sort_by_key(|route| route.origin.line);
    routes.truncate(1);
    routes
}

/// Hosts of images; what else has a dot before its first slash may be a name of something in a cluster.
fn is_known_registry(repository: &str) -> bool {
    let host = repository.split('/').next().unwrap_or_default();
    [
        "docker.io",
        "ghcr.io",
        "quay.io",
        "gcr.io",
        "lscr.io",
        "ecr.aws",
        "amazonaws.com",
        "azurecr.io",
        "mcr.microsoft.com",
    ]
    .iter()
    .any(|known| host.ends_with(known))
        || host.contains("registry")
}

/// Whether a linked image is the project: by its name, or its owner's where the text is about installing.
fn is_own(reading: &Reading, repository: &str, topic: Topic) -> bool {
    let least = if topic == Topic::Install { 2 } else { 3 };
    ImageName::parse(repository).is_some_and(|image| reading.identity.owns_image(&image) >= least)
}

fn placed(reading: &Reading, block: &Block) -> Placed<()> {
    Placed {
        value: (),
        origin: reading.origin(block.line),
        topic: reading.topic_of(block),
        block: None,
        is_inline: false,
    }
}

fn route<T>(placed: &Placed<T>, image: &str) -> Route {
    let mut route = Route::new(Method::ImageName, placed, "");
    route.container =
        Some(Container { image: Some(image.to_owned()), line: placed.origin.line, ..Container::default() });
    route.is_partial = true;
    route
}
