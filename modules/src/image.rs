//! Names of container images: `[registry/]repository[:tag][@sha256:…]`, as Docker and Podman read them.

use std::fmt;

use crate::digest::Digest;

pub mod archive;
pub mod platform;

/// Where an image without a registry comes from.
pub const DOCKER_HUB: &str = "docker.io";

const MAX: usize = 512;

/// A parsed image name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// The registry, if one is written: a host name, perhaps with a port.
    pub registry: Option<String>,
    /// Lower-case words between slashes, such as `library/redis` or `redis`.
    pub repository: String,
    pub tag: Option<String>,
    /// `sha256:…`, which pins the image for ever.
    pub digest: Option<String>,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("an image name is empty")]
    Empty,
    #[error("an image name of {length} bytes is too long; at most {MAX}")]
    TooLong { length: usize },
    #[error("{found:?} is no registry: a host name, perhaps with a port")]
    Registry { found: String },
    #[error("{found:?} is no repository: lower-case letters and digits, parted by . _ - or /")]
    Repository { found: String },
    #[error("{found:?} is no tag: letters, digits, . _ -, at most 128 of them")]
    Tag { found: String },
    #[error("{found:?} is no digest: sha256: and 64 hexadecimal digits")]
    Digest { found: String },
}

impl ImageName {
    /// # Errors
    /// When the text is not `[registry/]repository[:tag][@digest]`.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if text.is_empty() {
            return Err(ImageError::Empty);
        }
        if text.len() > MAX {
            return Err(ImageError::TooLong { length: text.len() });
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest.filter(|digest| Digest::parse(digest).is_err()) {
            return Err(ImageError::Digest { found: digest.to_owned() });
        }
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            Some(_) | None => (name, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ImageError::Tag { found: tag.to_owned() });
        }
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first), rest),
            Some(_) | None => (None, name),
        };
        if let Some(registry) = registry.filter(|registry| !is_registry(registry)) {
            return Err(ImageError::Registry { found: registry.to_owned() });
        }
        if !repository.split('/').all(is_component) {
            return Err(ImageError::Repository { found: repository.to_owned() });
        }
        Ok(Self {
            registry: registry.map(str::to_owned),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The registry it is pulled from.
    pub fn registry_or_hub(&self) -> &str {
        self.registry.as_deref().unwrap_or(DOCKER_HUB)
    }

    /// Whether the same name may mean another image tomorrow: no digest, and no tag or `latest`.
    pub fn is_unpinned(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }

    /// The name with its registry, `library/` and tag written out, as Podman wants it.
    pub fn canonical(&self) -> String {
        let registry = self.registry_or_hub();
        let is_official = registry == DOCKER_HUB && !self.repository.contains('/');
        let library = if is_official { "library/" } else { "" };
        let mut name = format!("{registry}/{library}{}", self.repository);
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => name.push_str(&format!("@{digest}")),
            (Some(tag), None) => name.push_str(&format!(":{tag}")),
            (None, None) => name.push_str(":latest"),
        }
        name
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Whether the first part of a name is a registry rather than a part of the repository.
fn is_host(text: &str) -> bool {
    text == "localhost" || text.contains(['.', ':']) || text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(plain)
        }),
    };
    fits && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = text;
    loop {
        let word = rest.trim_start_matches(plain);
        if word.len() == rest.len() {
            return false;
        }
        let separator = &word[..word.len() - word.trim_start_matches(['.', '_', '-']).len()];
        rest = &word[separator.len()..];
        match separator {
            "" => return rest.is_empty(),
            "." | "_" | "__" => {}
            dashes if dashes.bytes().all(|byte| byte == b'-') => {}
            _ => return false,
        }
    }
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let cases = [
            ("redis", "docker.io/library/redis:latest"),
            ("redis:7-alpine", "docker.io/library/redis:7-alpine"),
            ("eclipse/mosquitto", "docker.io/eclipse/mosquitto:latest"),
            ("ghcr.io/a/b.c__d--e:V1.2_x", "ghcr.io/a/b.c__d--e:V1.2_x"),
            ("localhost/x", "localhost/x:latest"),
            ("10.0.0.1:5000/x", "10.0.0.1:5000/x:latest"),
            ("[::1]:5000/x:1", "[::1]:5000/x:1"),
        ];
        for (text, canonical) in cases {
            let name = ImageName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((name.canonical().as_str(), name.to_string().as_str()), (canonical, text));
        }
        let pinned = ImageName::parse(&format!("redis:7@{digest}")).expect("valid");
        assert_eq!(pinned.canonical(), format!("docker.io/library/redis@{digest}"));
        assert!(!pinned.is_unpinned() && ImageName::parse("a:latest").expect("valid").is_unpinned());
    }

    #[test]
    fn what_docker_would_refuse_is_refused() {
        let long = "a".repeat(600);
        let bad = [
            "",
            " ",
            "Redis",
            "a b",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a/",
            "/a",
            "a//b",
            "a:",
            "a:-x",
            "a:b:c",
            "a@",
            "a@sha256:12",
            "a@md5:1",
            "https://x.y/z",
            "x.y:99999/z",
            "x..y/z",
            "${x}",
            "a\n",
            &long,
        ];
        for text in bad {
            assert!(ImageName::parse(text).is_err(), "{text:?}");
        }
    }
}
