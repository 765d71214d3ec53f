//! Who the project is: its names, and whether an image or a package is its own.

use std::sync::OnceLock;

use super::Source;
use super::image::ImageName;

/// The names that the project goes by, known before anything is read.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    pub owner: String,
    pub repository: String,
    /// Names in the README and in manifests.
    pub aliases: Vec<String>,
    known: OnceLock<Vec<Known>>,
}

/// A name of the project, prepared for comparing.
#[derive(Debug, Clone)]
struct Known {
    squeezed: String,
    tokens: Vec<String>,
}

/// Words in names that tell nothing about whose it is.
const GENERIC: [&str; 40] = [
    "docker",
    "server",
    "app",
    "cli",
    "api",
    "core",
    "lib",
    "python",
    "js",
    "node",
    "go",
    "rust",
    "rs",
    "py",
    "java",
    "client",
    "web",
    "ui",
    "the",
    "for",
    "and",
    "main",
    "project",
    "repo",
    "self",
    "hosted",
    "image",
    "container",
    "compose",
    "addon",
    "addons",
    "home",
    "open",
    "com",
    "linux",
    "service",
    "monorepo",
    "package",
    "tools",
    "baseimage",
];

/// What many projects bring along and none of them is, unless it says so.
const SUPPORT: [&str; 57] = [
    "binfmt",
    "qemu-user-static",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "redis",
    "valkey",
    "mongo",
    "mongodb",
    "influxdb",
    "rabbitmq",
    "nginx",
    "traefik",
    "caddy",
    "memcached",
    "elasticsearch",
    "opensearch",
    "kibana",
    "alpine",
    "ubuntu",
    "debian",
    "busybox",
    "python",
    "node",
    "golang",
    "rust",
    "php",
    "openjdk",
    "hello-world",
    "watchtower",
    "adminer",
    "phpmyadmin",
    "minio",
    "clickhouse-server",
    "zookeeper",
    "kafka",
    "dragonfly",
    "mailhog",
    "mailpit",
    "pgadmin4",
    "etcd",
    "nats",
    "centos",
    "fedora",
    "httpd",
    "postgis",
    "pgvector",
    "swag",
    "nginx-proxy",
    "gluetun",
    "cloudflared",
    "chrome",
    "meilisearch",
    "prometheus",
    "grafana",
    "alertmanager",
];

pub fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    if text.is_ascii() {
        let kept = text.chars().filter(char::is_ascii_alphanumeric);
        squeezed.extend(kept.map(|c| c.to_ascii_lowercase()));
        return squeezed;
    }
    squeezed.extend(text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase));
    squeezed
}

fn tokens(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    parts.filter(|part| part.chars().count() > 2 && !GENERIC.contains(&part.as_str()))
}

impl Identity {
    pub fn new(source: &Source) -> Self {
        let owner = source.owner.clone().unwrap_or_default();
        Self { owner, repository: source.name.clone(), ..Self::default() }
    }

    /// Learns a further name.
    pub fn learn(&mut self, name: String) {
        self.aliases.push(name);
        self.known = OnceLock::new();
    }

    fn known(&self) -> &[Known] {
        let known = |name: &str| Known { squeezed: squeeze(name), tokens: tokens(name).collect() };
        self.known.get_or_init(|| self.names().map(known).collect())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.repository.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Whether a package, program or image of this name is the project's.
    pub fn owns(&self, name: &str) -> bool {
        let squeezed = squeeze(name);
        if squeezed.len() < 2 {
            return false;
        }
        let is_same = |known: &Known| {
            let own = known.squeezed.as_str();
            own == squeezed
                || own.len() > 3 && squeezed.contains(own)
                || squeezed.len() > 3 && own.contains(&squeezed) && !GENERIC.contains(&squeezed.as_str())
        };
        if self.known().iter().any(is_same) {
            return true;
        }
        // Half of the words of both at least.
        let words: Vec<String> = tokens(name).collect();
        self.known().iter().any(|known| {
            let shared = words.iter().filter(|word| known.tokens.contains(word)).count();
            shared > 0 && shared * 2 >= words.len().max(known.tokens.len())
        })
    }

    /// How surely an image is the project's: 0 not at all, 1 perhaps, 2 and more surely.
    pub fn owns_image(&self, image: &ImageName) -> u8 {
        let short = image.short().to_ascii_lowercase();
        let namespace = image.repository.rsplit('/').nth(1).unwrap_or_default();
        // `lantern/docker` is where the image `lantern` comes from.
        let is_of_owner =
            || squeeze(&short) == squeeze(&self.owner) && tokens(&self.repository).next().is_none();
        let is_owner = if namespace.is_empty() { is_of_owner() } else { self.is_namespace(namespace) };
        let named = self.owns(&short);
        // An exporter for a database is not that database, though its name has the other's in it.
        let is_support = SUPPORT.contains(&short.as_str());
        if is_support && !is_owner && !self.known().iter().any(|known| known.squeezed == squeeze(&short)) {
            return 0;
        }
        match (named, is_owner) {
            (true, true) => 4,
            (true, false) => 3,
            (false, true) => 2,
            (false, false) => 1,
        }
    }

    /// Of the owner, or called like the project itself.
    fn is_namespace(&self, namespace: &str) -> bool {
        let namespace = squeeze(namespace);
        let is_project = || namespace.len() > 3 && !SUPPORT.contains(&namespace.as_str());
        namespace == squeeze(&self.owner)
            || is_project() && self.known().iter().any(|known| known.squeezed == namespace)
    }

    /// Whether an address is within the project's own site or repository.
    pub fn owns_url(&self, url: &str) -> bool {
        let lower = url.to_lowercase();
        let repository = format!("/{}/{}", self.owner, self.repository).to_lowercase();
        if lower.contains(&repository) {
            return true;
        }
        let host =
            lower.split("://").nth(1).unwrap_or(&lower).split('/').next().unwrap_or_default().to_owned();
        let is_forge = [
            "github",
            "gitlab",
            "githubusercontent",
            "bitbucket",
            "codeberg",
            "gitee",
            "jsdelivr",
            "ghproxy",
        ]
        .iter()
        .any(|forge| host.contains(forge));
        if is_forge {
            return lower.contains(&format!("/{}/", self.owner.to_lowercase())) && !self.owner.is_empty()
                || self.names().map(squeeze).any(|name| name.len() > 3 && squeeze(&lower).contains(&name));
        }
        self.names()
            .chain([self.owner.as_str()])
            .map(squeeze)
            .any(|name| name.len() > 2 && squeeze(&host).contains(&name))
    }
}
