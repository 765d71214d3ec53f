//! What an instance's containers are made of, with everything resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use proto::ids::{InstanceId, NodeName};
use proto::v1::container_service::RestartPolicy;
use proto::v1::network_options::Pool;
use proto::v1::{DependsOn, Health, NetworkOptions};
use serde_json::{Map, Value, json};

use crate::content::Content;
use crate::lane::Lane;
use crate::runtime::engine::images::Wanted;

pub const OWNER: &str = "orchestrator.agent";
pub const INSTANCE: &str = "orchestrator.instance";
pub const SERVICE: &str = "orchestrator.service";
pub const CONTENT: &str = "orchestrator.content";
/// By what the container was made, besides its content.
pub const BODY: &str = "orchestrator.body";
/// On networks that the file describes: by what they were made.
pub const OPTIONS: &str = "orchestrator.options";
const NODE: &str = "orchestrator.node";
const DIGEST: &str = "orchestrator.digest";

/// Whose containers they are. By these labels they are found again, whatever happened to the agent.
#[derive(Debug, Clone)]
pub struct Owner {
    pub token: String,
    pub node: NodeName,
    pub id: InstanceId,
}

impl Owner {
    /// Filters for all that belongs to the instance.
    pub fn filters(&self) -> Vec<String> {
        vec![format!("{OWNER}={}", self.token), format!("{INSTANCE}={}", self.id)]
    }

    /// A name for something of the instance: readable first, unique by its end.
    pub fn name(&self, what: &str) -> String {
        let (agent, lane) = self
            .token
            .split_once('-')
            .map_or((&*self.token, ""), |(agent, _)| (agent, Lane::Second.suffix()));
        format!("{}.{what}-{}{lane}", self.id.file_name(), &agent[..agent.len().min(6)])
    }

    pub fn labels(&self) -> Map<String, Value> {
        let labels =
            [(OWNER, self.token.clone()), (NODE, self.node.to_string()), (INSTANCE, self.id.to_string())];
        labels.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

/// All containers of one instance.
pub struct Plan {
    pub owner: Owner,
    pub content: Content,
    pub digest: String,
    /// In start order.
    pub services: Vec<ServicePlan>,
    /// The group's networks by their names in the engine; the default one is among them where it is used.
    pub networks: Vec<NetworkPlan>,
}

pub struct NetworkPlan {
    pub name: String,
    pub options: NetworkOptions,
}

/// One container.
#[derive(Default)]
pub struct ServicePlan {
    pub name: String,
    pub image: String,
    pub archive: Option<PathBuf>,
    /// All images that the group wants from that archive.
    pub archived: Vec<String>,
    pub login: String,
    pub platform: String,
    pub depends_on: Vec<DependsOn>,
    pub restart: RestartPolicy,
    /// Others wait until it has ended.
    pub is_one_shot: bool,
    /// Something is to reach it as long as it runs: it publishes a port, or has a check.
    pub serves: bool,
    pub has_terminal: bool,
    pub stop_timeout: Duration,
    pub health: Option<Health>,
    pub uses_image_health: bool,
    /// The service whose network it shares.
    pub shares_network_of: Option<String>,
    pub networks: Vec<Joined>,
    /// Below it are the volumes that are kept for the instance.
    pub volume_root: PathBuf,
    /// Volumes it mounts: their names in the engine, and the folders behind them.
    pub volumes: Vec<(String, PathBuf)>,
    /// Folders inside of other folders, which the containers may fill as they like.
    pub subfolders: Vec<(PathBuf, String)>,
    /// Files that are made for it.
    pub texts: Vec<TextFile>,
    /// What the engine is asked to make, but for the image, the labels and the networks.
    pub body: Value,
}

impl ServicePlan {
    /// The services whose network, processes or memory its container is inside of.
    pub fn shares(&self) -> impl Iterator<Item = &str> {
        let modes =
            ["PidMode", "IpcMode"].into_iter().filter_map(|key| self.body["HostConfig"][key].as_str());
        modes.filter_map(|mode| mode.strip_prefix("service:")).chain(self.shares_network_of.as_deref())
    }
}

/// A network that a container joins.
pub struct Joined {
    /// In the engine.
    pub network: String,
    /// Its names there.
    pub names: Vec<String>,
    /// Its own addresses there; empty where the engine chooses.
    pub ipv4: String,
    pub ipv6: String,
}

impl Joined {
    pub fn endpoint(&self) -> Value {
        let mut endpoint = json!({ "Aliases": self.names });
        for (key, address) in [("IPv4Address", &self.ipv4), ("IPv6Address", &self.ipv6)] {
            if !address.is_empty() {
                endpoint["IPAMConfig"][key] = json!(address);
            }
        }
        endpoint
    }
}

/// A file that a container sees, such as a secret.
pub struct TextFile {
    pub path: PathBuf,
    pub content: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl ServicePlan {
    /// Its image, as it is asked for.
    pub fn wanted(&self) -> Wanted<'_> {
        let Self { image, archive, archived, platform, login, .. } = self;
        Wanted { image, archive: archive.as_deref(), archived, platform, login }
    }
}

/// Tells each service what else is wanted from the archive that its image is in.
pub fn share_archives(services: &mut [ServicePlan]) {
    let mut wanted: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for service in services.iter() {
        if let Some(archive) = &service.archive {
            wanted.entry(archive.clone()).or_default().insert(service.image.clone());
        }
    }
    for service in services {
        let images = service.archive.as_ref().and_then(|archive| wanted.get(archive));
        service.archived = images.into_iter().flatten().cloned().collect();
    }
}

fn pool(pool: &Pool) -> Value {
    let mut config = json!({ "Subnet": pool.subnet });
    for (key, text) in [("Gateway", &pool.gateway), ("IPRange", &pool.range)] {
        if !text.is_empty() {
            config[key] = json!(text);
        }
    }
    if !pool.taken.is_empty() {
        config["AuxiliaryAddresses"] = json!(pool.taken);
    }
    config
}

impl Plan {
    /// What the engine is asked to make for a service, from this image.
    pub fn body(&self, service: &ServicePlan, image: &str, shared_network: Option<&str>) -> Value {
        let mut body = service.body.clone();
        body["Image"] = json!(image);
        let mut labels = body["Labels"].as_object().cloned().unwrap_or_default();
        labels.extend(self.owner.labels());
        labels.insert(SERVICE.to_owned(), service.name.as_str().into());
        labels.insert(DIGEST.to_owned(), self.digest.as_str().into());
        labels.insert(CONTENT.to_owned(), self.content.hex().into());
        body["Labels"] = labels.into();
        if let Some(container) = shared_network {
            body["HostConfig"]["NetworkMode"] = json!(format!("container:{container}"));
        } else if let Some(joined) = service.networks.first() {
            let network = &joined.network;
            body["HostConfig"]["NetworkMode"] = json!(network);
            body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: joined.endpoint() } });
        }
        body
    }

    /// With `own_addresses`, what the network gives out has no bounds but the subnet: an engine that holds addresses
    /// which services ask for to the range as well would refuse them.
    pub fn network_body(&self, network: &NetworkPlan, own_addresses: bool) -> Value {
        let options = &network.options;
        let driver = if options.driver.is_empty() { "bridge" } else { &options.driver };
        let mut body = json!({
            "Name": network.name,
            "Driver": driver,
            "CheckDuplicate": true,
            "Internal": options.internal,
            "Labels": self.owner.labels(),
        });
        if !options.driver_options.is_empty() {
            body["Options"] = json!(options.driver_options);
        }
        if options.ipv6 {
            body["EnableIPv6"] = json!(true);
        }
        let plain = Pool { subnet: options.subnet.clone(), ..Pool::default() };
        let pools = match &options.pools[..] {
            [] if options.subnet.is_empty() => &[],
            [] => std::slice::from_ref(&plain),
            pools => pools,
        };
        if !pools.is_empty() {
            let pool = |pool: &Pool| {
                let range = if own_addresses { String::new() } else { pool.range.clone() };
                self::pool(&Pool { range, ..pool.clone() })
            };
            body["IPAM"] = json!({ "Config": pools.iter().map(pool).collect::<Vec<_>>() });
        }
        let plain = NetworkOptions { internal: options.internal, ..NetworkOptions::default() };
        if *options != plain {
            body["Labels"][OPTIONS] = json!(body.to_string());
        }
        body
    }

    /// Whether a service asks for an address of its own in this network.
    pub fn has_own_addresses(&self, network: &str) -> bool {
        let mut joined = self.services.iter().flat_map(|service| &service.networks);
        joined.any(|joined| joined.network == network && !(joined.ipv4.is_empty() && joined.ipv6.is_empty()))
    }

    /// Whether a module's only container ends with the instance.
    pub fn is_single(&self) -> bool {
        self.services.len() == 1
    }
}
