//! Runtime `container`: one container of Docker or Podman.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::{Fields, Spot};
use super::requires::read_size;
use super::runtime::{STOP_TIMEOUT, read_stop_timeout, stop_timeout};
use super::schema::{DurationText, Scalar};
use crate::image::ImageName;
use crate::item_name::ItemName;
use crate::units::{self, ByteSize};

/// A container of Docker or Podman.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The image: `[registry/]repository[:tag][@sha256:…]`, such as `eclipse-mosquitto:2`.
    pub image: String,
    /// An archive of the image in the package (`docker save`, or OCI), loaded instead of pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// The program, in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Scalar>")]
    pub entrypoint: Vec<String>,
    /// Arguments in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Scalar>")]
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub env: BTreeMap<String, String>,
    /// The user it runs as, `name` or `uid[:gid]`, if not the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where it runs, if not in the image's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Its host name, if not one of the agent's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(default, skip_serializing_if = "ContainerNetwork::is_bridge")]
    pub network: ContainerNetwork,
    /// Kernel capabilities besides the usual ones, such as `NET_ADMIN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    /// Kernel capabilities it does without, or `ALL`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    /// Kernel settings of its namespaces.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub sysctls: BTreeMap<String, String>,
    /// Folders in memory, `/path[:options]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs: Vec<String>,
    /// The size of /dev/shm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<ByteSize>,
    /// A first process that reaps the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub init: bool,
    /// Whether it cannot write to the image's files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// More names it knows, `name:address`; the address may be `host-gateway`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    /// The secret config item that holds `user:password` for the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<ItemName>,
    /// How long it has to end by itself before it is killed.
    #[serde(default = "stop_timeout", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub stop_timeout: Duration,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            image: String::new(),
            load: None,
            entrypoint: Vec::new(),
            command: Vec::new(),
            env: BTreeMap::new(),
            user: None,
            working_dir: None,
            hostname: None,
            network: ContainerNetwork::default(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            sysctls: BTreeMap::new(),
            tmpfs: Vec::new(),
            shm_size: None,
            init: false,
            read_only: false,
            extra_hosts: Vec::new(),
            pull_secret: None,
            stop_timeout: STOP_TIMEOUT,
        }
    }
}

/// Which network a container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContainerNetwork {
    /// A network of its own; its ports are published on the node.
    #[default]
    Bridge,
    /// The node's own network.
    Host,
    /// No network.
    None,
}

impl ContainerNetwork {
    pub fn as_str(self) -> &'static str {
        match self {
            ContainerNetwork::Bridge => "bridge",
            ContainerNetwork::Host => "host",
            ContainerNetwork::None => "none",
        }
    }

    fn is_bridge(&self) -> bool {
        *self == ContainerNetwork::Bridge
    }
}

const NETWORKS: [(&str, ContainerNetwork); 3] = [
    ("bridge", ContainerNetwork::Bridge),
    ("host", ContainerNetwork::Host),
    ("none", ContainerNetwork::None),
];

impl Container {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a container, such as {image: eclipse-mosquitto:2}")?;
        let image = fields.required(report, "image").and_then(|spot| read_image(report, &spot));
        let mut container = Self { image: image.unwrap_or_default(), ..Self::default() };
        container.read_program(report, &mut fields);
        container.read_rights(report, &mut fields);
        container.read_surroundings(report, &mut fields);
        fields.finish(report);
        (!container.image.is_empty()).then_some(container)
    }

    fn read_program(&mut self, report: &mut Report, fields: &mut Fields<'_>) {
        self.load = fields.get(report, "load").and_then(|spot| report.short_text(&spot, 1024));
        let entrypoint = fields.get(report, "entrypoint").and_then(|spot| report.command(&spot));
        self.entrypoint = entrypoint.unwrap_or_default();
        let command = fields.get(report, "command").and_then(|spot| report.command(&spot));
        self.command = command.unwrap_or_default();
        let env = fields.get(report, "env").and_then(|spot| report.map(&spot, env_key, Report::text));
        self.env = env.unwrap_or_default();
        self.user = fields.get(report, "user").and_then(|spot| report.short_text(&spot, 64));
        self.working_dir = fields.get(report, "working_dir").and_then(|spot| report.short_text(&spot, 1024));
        self.hostname = fields.get(report, "hostname").and_then(|spot| report.short_text(&spot, 63));
        self.stop_timeout = read_stop_timeout(report, fields);
    }

    fn read_rights(&mut self, report: &mut Report, fields: &mut Fields<'_>) {
        let network = fields.get(report, "network").and_then(|spot| report.choice(&spot, &NETWORKS));
        self.network = network.unwrap_or_default();
        let added = fields.get(report, "cap_add").and_then(|spot| report.list(&spot, read_kernel_capability));
        self.cap_add = added.unwrap_or_default();
        let dropped =
            fields.get(report, "cap_drop").and_then(|spot| report.list(&spot, read_kernel_capability));
        self.cap_drop = dropped.unwrap_or_default();
        let sysctls =
            fields.get(report, "sysctls").and_then(|spot| report.map(&spot, sysctl_key, Report::text));
        self.sysctls = sysctls.unwrap_or_default();
        let read_only = fields.get(report, "read_only").and_then(|spot| report.flag(&spot));
        self.read_only = read_only.unwrap_or_default();
    }

    fn read_surroundings(&mut self, report: &mut Report, fields: &mut Fields<'_>) {
        let tmpfs = fields.get(report, "tmpfs").and_then(|spot| report.list(&spot, read_tmpfs));
        self.tmpfs = tmpfs.unwrap_or_default();
        self.shm_size = fields.get(report, "shm_size").and_then(|spot| read_size(report, &spot));
        self.init = fields.get(report, "init").and_then(|spot| report.flag(&spot)).unwrap_or_default();
        let hosts = fields.get(report, "extra_hosts").and_then(|spot| report.list(&spot, read_extra_host));
        self.extra_hosts = hosts.unwrap_or_default();
        self.pull_secret = fields.get(report, "pull_secret").and_then(|spot| report.item_name(&spot));
    }
}

fn read_image(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| ImageName::parse(text).map(|_| text.to_owned());
    report.parsed(spot, "an image such as name:tag", parse)
}

/// Programs in containers read variables that no shell could name, such as `discovery.type`.
fn env_key(key: &str) -> Result<String, String> {
    let wrong = |c: char| c == '=' || c.is_whitespace() || c.is_control();
    if key.is_empty() || key.contains(wrong) {
        return Err("a variable's name: no '=' and no space in it".to_owned());
    }
    Ok(key.to_owned())
}

fn sysctl_key(key: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let fits = key.contains('.') && key.chars().all(plain);
    if fits { Ok(key.to_owned()) } else { Err("a kernel setting such as net.ipv4.ip_forward".to_owned()) }
}

fn read_kernel_capability(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| {
        let bare = text.strip_prefix("CAP_").unwrap_or(text);
        let plain = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
        let fits = bare.starts_with(|c: char| c.is_ascii_uppercase()) && bare.chars().all(plain);
        fits.then(|| bare.to_owned()).ok_or("kernel capabilities are written in capitals")
    };
    report.parsed(spot, "a kernel capability such as NET_ADMIN", parse)
}

fn read_tmpfs(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| {
        let path = text.split_once(':').map_or(text, |(path, _)| path);
        let fits = path.starts_with('/') && path != "/" && !path.split('/').any(|part| part == "..");
        fits.then(|| text.to_owned()).ok_or("it begins with / and has no ..")
    };
    report.parsed(spot, "a folder in the container such as /run or /run:size=16m", parse)
}

fn read_extra_host(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| {
        let (name, address) = text.split_once([':', '=']).unwrap_or((text, ""));
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = !name.is_empty()
            && name.chars().all(plain)
            && (address == "host-gateway" || address.parse::<std::net::IpAddr>().is_ok());
        fits.then(|| format!("{name}:{address}")).ok_or("the address is an IP address or host-gateway")
    };
    report.parsed(spot, "a name and its address such as nas:192.168.1.5", parse)
}
