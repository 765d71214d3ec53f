//! The name of an image: registry, repository, tag, digest.

use std::borrow::Cow;

/// An image as written, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// Registry and repository as written, without tag and digest.
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl ImageName {
    /// Reads `[registry/]repository[:tag][@digest]`; none where it is something else or has a gap to fill.
    pub fn parse(text: &str) -> Option<Self> {
        let text = &with_defaults(text);
        let text = text.trim().trim_matches(['"', '\'', ',']);
        // `lantern[:tag]`: it may be left out.
        let text = match text.strip_suffix(']').and_then(|text| text.split_once("[:")) {
            Some((name, _)) => name,
            None => text,
        };
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) if digest.starts_with("sha256:") => (text, Some(digest.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        let (repository, tag) = split_tag(text);
        let fits = !repository.is_empty()
            && repository.len() < 200
            && repository.split('/').all(is_component)
            && repository.starts_with(|c: char| c.is_ascii_alphanumeric())
            && repository.chars().any(|c| c.is_ascii_alphabetic());
        let tag = tag.and_then(clean_tag);
        fits.then(|| Self { repository: repository.to_owned(), tag, digest })
    }

    /// What Docker Hub calls it: `docker.io/library/x`, `index.docker.io/x` and `x` are one.
    pub fn canonical(repository: &str) -> String {
        let lower = repository.to_ascii_lowercase();
        let short = ["docker.io/", "index.docker.io/", "registry.hub.docker.com/", "registry-1.docker.io/"]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix))
            .unwrap_or(&lower);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    }

    /// The last part of the repository.
    pub fn short(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    pub fn has_registry(&self) -> bool {
        let first = self.repository.split('/').next().unwrap_or_default();
        self.repository.contains('/') && (first.contains('.') || first.contains(':') || first == "localhost")
    }

    pub fn has_namespace(&self) -> bool {
        self.repository.contains('/')
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// `${REGISTRY:-ghcr.io}/owner/lantern` with its defaults; a variable without one stays.
fn with_defaults(text: &str) -> Cow<'_, str> {
    if !text.contains("${") {
        return Cow::Borrowed(text);
    }
    let (mut whole, mut rest) = (String::new(), text);
    while let Some((before, variable)) = rest.split_once("${") {
        let Some((inner, after)) = variable.split_once('}') else { break };
        let default = inner.split_once(":-").or_else(|| inner.split_once('-')).map(|(_, default)| default);
        whole.push_str(before);
        match default.filter(|default| !default.is_empty()) {
            Some(default) => whole.push_str(default),
            None => whole.extend(["${", inner, "}"]),
        }
        rest = after;
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

/// The tag is behind the last colon after the last slash.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    // In `name:${TAG:-latest}` the first colon after the name counts.
    let (head, variable) = match text.find(['$', '<', '{']) {
        Some(at) if at > 0 => (&text[..at], Some(&text[at..])),
        Some(_) | None => (text, None),
    };
    let slash = head.rfind('/').map_or(0, |at| at + 1);
    match head[slash..].find(':') {
        Some(colon) => {
            let end = slash + colon;
            (&head[..end], Some(&text[end + 1..]))
        }
        None if variable.is_some() => ("", None),
        None => (head, None),
    }
}

/// A tag that is a gap to fill has a default or is none.
fn clean_tag(tag: &str) -> Option<String> {
    if let Some(inner) = tag.strip_prefix("${").and_then(|tag| tag.split('}').next()) {
        let default = inner.split_once(":-").or_else(|| inner.split_once('-'))?.1;
        return clean_tag(default);
    }
    let fits = !tag.is_empty()
        && tag.len() <= 128
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && !tag.starts_with(['-', '.']);
    fits.then(|| tag.to_owned())
}

fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    !part.is_empty()
        && part.chars().all(plain)
        && !part.starts_with(['.', '-', '_'])
        && !part.ends_with(['.', '-', '_', ':'])
}
