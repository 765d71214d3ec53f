//! Where the images of a compose file come from: an archive of the package, and registries with their logins.

use std::collections::BTreeSet;

use super::manifest;
use crate::compose::model::Project;
use crate::image::{DOCKER_HUB, ImageName};
use crate::spec::error::SpecError;
use crate::spec::runtime::{Compose, PullSecret};
use crate::suggest::closest;

/// The registry of an image; where a reference says which it is, that reference.
pub fn registry_of(image: &str) -> String {
    let first = image.split('/').next().unwrap_or_default();
    let is_told_later = first.starts_with("${") || first.contains("${") && image.contains('/');
    if is_told_later {
        return first.to_owned();
    }
    let (name, _) = image.split_once("${").unwrap_or((image, ""));
    let name = name.trim_end_matches([':', '@', '/']);
    ImageName::parse(name).map_or_else(|_| DOCKER_HUB.to_owned(), |name| name.registry_or_hub().to_owned())
}

/// What `load` and `pull_secret` say that is not so.
pub(super) fn misfits(compose: &Compose, project: &Project, paths: &BTreeSet<String>) -> Vec<SpecError> {
    let load = compose.load.as_ref().filter(|load| !paths.contains(*load)).map(|load| {
        let found = format!("{load:?}, which is not in the package");
        let hint = format!("add it: docker save -o {load} IMAGE…");
        manifest("runtime.compose.load", found, "a file of the package", Some(hint))
    });
    let images = project.services.iter().filter_map(|service| service.image.as_deref());
    let registries: BTreeSet<String> = images.map(registry_of).collect();
    let registries: Vec<&str> = registries.iter().map(String::as_str).collect();
    load.into_iter().chain(logins(compose, &registries)).collect()
}

/// A login goes to its own registry and to no other.
fn logins(compose: &Compose, registries: &[&str]) -> Vec<SpecError> {
    let all = registries.join(", ");
    match &compose.pull_secret {
        None => Vec::new(),
        Some(PullSecret::One(_)) if registries.len() < 2 => Vec::new(),
        Some(PullSecret::One(secret)) => {
            let found = format!("one login for images of {all}");
            let hint = format!("name the registry that it is for: {{{}: {secret}}}", registries[0]);
            let expected = "the registry of each login";
            vec![manifest("runtime.compose.pull_secret", found, expected, Some(hint))]
        }
        Some(PullSecret::Of(secrets)) => {
            let unknown = secrets.keys().filter(|registry| !registries.contains(&registry.as_str()));
            let error = |registry: &String| {
                let hint = closest(registry, registries.iter().copied());
                let hint = hint.map(|known| format!("did you mean {known:?}?"));
                let field = format!("runtime.compose.pull_secret.{registry}");
                manifest(&field, "a registry that no image is of".to_owned(), &format!("one of {all}"), hint)
            };
            unknown.map(error).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_of_the_registry_that_it_names() {
        for (image, registry) in [
            ("redis:7", "docker.io"),
            ("kettle/web", "docker.io"),
            ("ghcr.io/kettle/web:1", "ghcr.io"),
            ("localhost:5000/web", "localhost:5000"),
            ("ghcr.io/kettle/web:${config.version}", "ghcr.io"),
            ("redis:${config.version}", "docker.io"),
            ("${config.registry}/kettle/web:1", "${config.registry}"),
            ("${config.image}", "${config.image}"),
            ("${config.host}:5000/web", "${config.host}:5000"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }
}
