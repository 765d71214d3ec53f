//! Puts the facts together from what the rules find.

use super::compose_file::ComposeFile;
use super::container::{Container, MountMap};
use super::facts::{Confidence, Facts, Found, Kind, Origin, PortFact, ServiceFact, VolumeFact};
use super::fields::{self, danger, env, health, ports};
use super::image::ImageName;
use super::parallel::both;
use super::reading::{Placed, Reading, mounts_sources};
use super::routes::{self, Evidence, Method, Route};
use super::supplement;
use super::told::Told;
use super::words::Topic;
use super::{Files, Source};

/// The facts, and the routes they come from.
pub struct Assembled {
    pub facts: Facts,
    pub routes: Vec<Route>,
    pub primary: Option<usize>,
    pub evidence: Evidence,
}

pub fn facts(reading: &Reading, files: &Files, source: &Source) -> Assembled {
    let blocks = reading.document.blocks.len();
    let ways = || {
        let evidence = Evidence::gather(reading);
        let routes = routes::find(reading, &evidence);
        (evidence, routes)
    };
    let (told, (evidence, routes)) = both(blocks, || Told::find(reading, files, source), ways);
    let primary = primary(&routes);
    let route = primary.map(|index| &routes[index]);
    let examples = examples(&routes, route);
    let stack =
        route.and_then(|route| route.compose).or_else(|| routes.iter().find_map(|route| route.compose));
    let whole = stack.and_then(|index| whole_of(reading, index)).or(stack);
    let services = whole.map_or_else(Vec::new, |index| services(reading, index));
    let kind = route.map_or(Kind::Other, |route| route.method.kind());
    let mut other_kinds: Vec<Kind> = Vec::new();
    for route in &routes {
        let other = route.method.kind();
        if other != kind && !other_kinds.contains(&other) {
            other_kinds.push(other);
        }
    }
    let mut install: Vec<Method> = Vec::new();
    for route in &routes {
        if !install.contains(&route.method) {
            install.push(route.method);
        }
    }
    let image = image(reading, &evidence, &routes, route);
    // An image alone shows nothing of how it runs.
    let says_nothing = |(container, _): &(&Container, &str)| {
        container.ports.is_empty() && container.mounts.is_empty() && container.env.is_empty()
    };
    let built = if examples.iter().all(says_nothing) { built_here(reading) } else { Vec::new() };
    let shown: Vec<_> = examples.iter().chain(&built).copied().collect();
    let volumes = volumes(reading, if image.is_some() { &shown } else { &examples });
    let variables = env::find(reading, &shown);
    let dangerous: Vec<_> = dangerous(reading, route, stack, &examples).into_iter().chain(built).collect();
    let mut ports = published(reading, &examples, in_front(reading, route));
    if ports.is_empty() {
        ports = published(reading, &shown, None);
    }
    let mut facts = Facts {
        name: told.name,
        description: told.description,
        kind: match route {
            Some(route) => Found::read(kind, route.origin.clone()),
            None => Found::assumed(kind),
        },
        other_kinds,
        install,
        start: route
            .filter(|route| !route.command.is_empty())
            .map(|route| Found::read(route.command.clone(), route.origin.clone())),
        package: package(&routes, route),
        tag: image.as_ref().and_then(|(image, _)| image.tag.clone()),
        image: image.map(|(image, origin)| Found::read(image.repository, origin)),
        version: None,
        ports,
        volumes,
        arch: told.arch,
        memory: told.memory,
        services,
        health_path: told.health_path.or_else(|| checked_path(&examples)),
        health_command: health_command(&examples),
        license: told.license,
        homepage: told.homepage,
        danger: danger::find(reading, &dangerous, &routes, &variables),
        env: variables,
        is_unmaintained: told.is_unmaintained,
    };
    let own = route.and_then(|route| route.container.as_ref());
    supplement::of_container(&mut facts, files, own);
    Assembled { facts, routes, primary, evidence }
}

/// The route to take: the first packaged one of the text, unless it recommends another or the first says too little.
fn primary(routes: &[Route]) -> Option<usize> {
    let rank = |index: &usize| {
        let route = &routes[*index];
        let is_weak =
            matches!(route.method, Method::Brew | Method::Package | Method::GoInstall | Method::ImageName)
                || route.is_partial
                || route.method == Method::BinaryDownload && !route.command.contains("://")
                || route.method == Method::Script && route.is_root;
        let is_library = route.is_library_like && matches!(route.method, Method::Npm);
        let is_file = route.compose.is_some() && route.method == Method::ComposeFileOnly;
        let is_recommended = route.is_recommended && !asks_for_more(route, routes);
        (!route.method.is_packaged(), is_library, is_weak, is_file, !is_recommended, *index)
    };
    (0..routes.len()).min_by_key(rank)
}

/// Whether a route asks the node for what another with the same image does without.
fn asks_for_more(route: &Route, routes: &[Route]) -> bool {
    let is_demanding = |container: &Container| {
        let is_host = |name: &Option<String>| name.as_deref() == Some("host");
        container.is_privileged || is_host(&container.network) || is_host(&container.pid)
    };
    let Some(own) = route.container.as_ref().filter(|own| is_demanding(own)) else { return false };
    let others = routes.iter().filter_map(|route| route.container.as_ref());
    others.filter(|other| other.image.is_some() && other.image == own.image).any(|other| !is_demanding(other))
}

/// The containers that show how the project itself runs, the primary one first, with their files.
fn examples<'r>(routes: &'r [Route], route: Option<&'r Route>) -> Vec<(&'r Container, &'r str)> {
    fn shown(route: &Route) -> Option<(&Container, &str)> {
        Some((route.container.as_ref()?, route.origin.file.as_str()))
    }
    let Some(first) = route.and_then(shown).or_else(|| routes.iter().find_map(shown)) else {
        return Vec::new();
    };
    let repository = |container: &Container| {
        let image = container.image.as_deref().and_then(ImageName::parse);
        image.map(|image| image.short().to_ascii_lowercase())
    };
    let own = repository(first.0);
    let is_other =
        |(other, _): &(&Container, &str)| !std::ptr::eq(*other, first.0) && repository(other) == own;
    std::iter::once(first).chain(routes.iter().filter_map(shown).filter(is_other)).collect()
}

/// Containers of the project's own name, or of a gap to fill, that the text shows and that no route starts, as their
/// image is built first: they tell what can be set all the same.
fn built_here(reading: &Reading) -> Vec<(&Container, &str)> {
    let is_for_use = |topic: Topic| !matches!(topic, Topic::Development | Topic::Elsewhere | Topic::Upkeep);
    let is_own = |container: &&Container| {
        let image = container.image.as_deref().and_then(ImageName::parse);
        image.is_some_and(|image| {
            reading.identity.owns_image(&image) >= 3 || routes::is_placeholder(&image.repository)
        })
    };
    let runs = reading.runs.iter().filter(|run| is_for_use(run.topic)).map(|run| &run.value);
    let files = reading.composes.iter().filter(|file| file.block.is_some() && is_for_use(file.topic));
    let services = files.flat_map(|file| &file.value.services);
    runs.chain(services).filter(is_own).map(|container| (container, reading.path.as_str())).collect()
}

/// The file of the repository that a piece of the text with one service is of.
fn whole_of(reading: &Reading, index: usize) -> Option<usize> {
    let piece = &reading.composes[index];
    let [service] = piece.value.services.as_slice() else { return None };
    let repository = |container: &Container| {
        let image = container.image.as_deref().and_then(ImageName::parse);
        image.map(|image| image.repository)
    };
    let has_it = |other: &Container| other.name == service.name && repository(other) == repository(service);
    let is_whole = |file: &Placed<ComposeFile>| {
        file.block.is_none() && file.topic != Topic::Development && file.value.services.iter().any(has_it)
    };
    piece.block.and_then(|_| reading.composes.iter().position(is_whole))
}

/// The services of a compose file that has several.
pub fn services(reading: &Reading, index: usize) -> Vec<Found<ServiceFact>> {
    let placed = &reading.composes[index];
    if placed.value.services.len() < 2 {
        return Vec::new();
    }
    let service = |service: &Container| {
        let image = service.image.as_deref().and_then(ImageName::parse);
        // A bare name beside `build` is only what the result is called.
        let image =
            image.filter(|image| !service.is_built || image.has_namespace()).map(|image| image.repository);
        let fact = ServiceFact { name: service.name.clone(), image, is_built: service.is_built };
        Found::read(fact, Origin { file: placed.origin.file.clone(), line: service.line })
    };
    placed.value.services.iter().map(service).collect()
}

/// The containers whose demands are those of an installation: of the primary example, with all its services.
fn dangerous<'r>(
    reading: &'r Reading,
    route: Option<&'r Route>,
    stack: Option<usize>,
    examples: &[(&'r Container, &'r str)],
) -> Vec<(&'r Container, &'r str)> {
    let stack = if route.is_some_and(|route| route.container.is_none()) { stack } else { None };
    match route.and_then(|route| route.compose).or(stack) {
        Some(index) => {
            let placed = &reading.composes[index];
            placed.value.services.iter().map(|service| (service, placed.origin.file.as_str())).collect()
        }
        None => examples.iter().take(1).copied().collect(),
    }
}

fn image(
    reading: &Reading,
    evidence: &Evidence,
    routes: &[Route],
    route: Option<&Route>,
) -> Option<(ImageName, Origin)> {
    let with_image = |route: &&Route| {
        route.container.as_ref().is_some_and(|container| {
            container.image.is_some() && !routes::is_local(reading, evidence, container)
        })
    };
    let Some(route) = route.filter(with_image).or_else(|| routes.iter().find(with_image)) else {
        let is_for_a_node = routes.iter().any(|route| route.method.is_packaged());
        return routes::only_pulled(reading, evidence).filter(|_| is_for_a_node);
    };
    let container = route.container.as_ref()?;
    let image = ImageName::parse(container.image.as_deref()?)?;
    let line = if container.line > 0 { container.line } else { route.origin.line };
    Some((image, Origin { file: route.origin.file.clone(), line }))
}

fn package(routes: &[Route], route: Option<&Route>) -> Option<Found<String>> {
    let with_package = |route: &&Route| {
        route.package.is_some() && !matches!(route.method, Method::Brew | Method::Package | Method::GoInstall)
    };
    let route = route.filter(with_package).or_else(|| routes.iter().find(with_package))?;
    Some(Found::read(route.package.clone()?, route.origin.clone()))
}

/// The proxy of a compose file through which its main service is reached.
fn in_front<'r>(reading: &'r Reading, route: Option<&Route>) -> Option<(&'r Container, &'r str)> {
    let placed = &reading.composes[route?.compose?];
    let is_proxy = |service: &&Container| {
        routes::is_proxy(&service.name) && service.ports.iter().any(|port| !port.is_commented)
    };
    placed.value.services.iter().find(is_proxy).map(|service| (service, placed.origin.file.as_str()))
}

/// The ports of the first example that has any, or of the proxy in front of it; else the one that the text tells.
fn published<'r>(
    reading: &Reading,
    examples: &[(&'r Container, &'r str)],
    in_front: Option<(&'r Container, &'r str)>,
) -> Vec<Found<PortFact>> {
    let first = examples
        .iter()
        .enumerate()
        .find(|(_, (container, _))| container.ports.iter().any(|port| !port.is_commented));
    let in_front = in_front.filter(|_| first.is_none()).map(|found| (examples.len(), found));
    let Some((index, (container, file))) = first.or(in_front.as_ref().map(|(index, found)| (*index, found)))
    else {
        let told = examples.first().and_then(|(container, file)| ports::told_to(container, file));
        return told.map_or_else(|| ports::find(reading), |port| vec![port]);
    };
    let mut found: Vec<Found<PortFact>> = Vec::new();
    for port in container.ports.iter().filter(|port| !port.is_commented) {
        if found.iter().any(|known| known.value.port == port.target && known.value.is_udp == port.is_udp) {
            continue;
        }
        let fact = PortFact {
            port: port.target,
            is_udp: port.is_udp,
            host: port.host,
            address: port.host_address.clone(),
            description: port.comment.clone(),
        };
        let confidence = if index == 0 { Confidence::Read } else { Confidence::Inferred };
        found.push(Found {
            value: fact,
            origin: Origin { file: (*file).to_owned(), line: port.line },
            confidence,
        });
    }
    found
}

fn volumes(reading: &Reading, examples: &[(&Container, &str)]) -> Vec<Found<VolumeFact>> {
    let mounts = |container: &Container| container.mounts.iter().any(|mount| !mount.is_commented);
    // One that only shows how to put a file in tells less than a whole one.
    let is_whole = |container: &Container| {
        let is_kept = |mount: &MountMap| !mount.is_commented && !is_file(&mount.target);
        !container.ports.is_empty() || container.mounts.iter().any(is_kept)
    };
    // Who mounts the sources works on them.
    let is_of_use = |index: usize, container: &Container| index == 0 || !mounts_sources(container);
    let mut all = examples
        .iter()
        .enumerate()
        .filter(|(index, (container, _))| mounts(container) && is_of_use(*index, container));
    let first = all.clone().find(|(_, (container, _))| is_whole(container)).or_else(|| all.next());
    let Some((index, (container, file))) = first else {
        return if examples.is_empty() { Vec::new() } else { fields::volumes::listed(reading) };
    };
    let mut found: Vec<Found<VolumeFact>> = Vec::new();
    for mount in container.mounts.iter().filter(|mount| !mount.is_commented) {
        if found.iter().any(|known| known.value.path == mount.target) {
            continue;
        }
        let fact = VolumeFact {
            path: mount.target.clone(),
            source: mount.source.clone(),
            is_read_only: mount.is_read_only,
            description: mount.comment.clone(),
        };
        let confidence = if index == 0 { Confidence::Read } else { Confidence::Inferred };
        found.push(Found {
            value: fact,
            origin: Origin { file: (*file).to_owned(), line: mount.line },
            confidence,
        });
    }
    found
}

/// Whether a path has the ending of a file that is put in; a socket is none.
fn is_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.')
        .is_some_and(|(stem, ending)| !stem.is_empty() && ending != "sock" && (2..=5).contains(&ending.len()))
}

fn health_command(examples: &[(&Container, &str)]) -> Option<Found<Vec<String>>> {
    examples.iter().find_map(|(container, file)| {
        let command = container.health.clone()?;
        let line = container.health_line.unwrap_or(container.line);
        Some(Found::read(command, Origin { file: (*file).to_owned(), line }))
    })
}

/// The path that the check of a compose file asks for.
fn checked_path(examples: &[(&Container, &str)]) -> Option<Found<String>> {
    let command = health_command(examples)?;
    let path = health::path_of_command(&command.value).filter(|path| path.len() > 1)?;
    Some(Found::read(path, command.origin))
}
