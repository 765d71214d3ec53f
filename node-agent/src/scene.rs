//! Everything one candidate needs on this node, with all references resolved: folders, ports, environment,
//! rendered texts. Made anew for each start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use modules::template::{self, TemplateError};
use proto::ids::{InstanceId, NodeName};
use proto::v1::port::Protocol;
use proto::v1::{ContainerGroup, InstanceSpec, ProcessRuntime, health, instance_spec};

use crate::config::DataDir;
use crate::content::Candidate;
use crate::disk::{self, DiskError, Durability};
use crate::health::Probe;
use crate::lane::Lane;
use crate::logs;
use crate::ports::PortBook;
use crate::runtime::account::Account;
use crate::runtime::kill::{self, TOKEN_VARIABLE};
use crate::runtime::spawn::Launch;

mod binding;
mod containers;
mod environment;
mod owner;
mod templates;
#[cfg(test)]
mod tests;
mod unit;

/// Why a candidate cannot be started as it is.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    #[error("{what}: {cause}")]
    Template { what: String, cause: TemplateError },
    #[error("port {name}: {found:?} is not a port number")]
    Port { name: String, found: String },
    #[error("port {name}: no free port is left")]
    NoPort { name: String },
    #[error("the health check speaks of port {0:?}, which the module does not have")]
    UnknownPort(String),
    #[error("there is no user {0:?} on this node")]
    UnknownUser(String),
    #[error("volume {name}: {path:?} leaves the volume folder")]
    Volume { name: String, path: String },
    #[error(
        "service {service} mounts {} of a volume that service {other} may write to, and could be led out of it by a link; \
         mount it read-only in {other}, mount all of it in {service}, or make a volume of its own of that part",
        path.display()
    )]
    Part { service: String, path: PathBuf, other: String },
    #[error("template {} is not UTF-8", .0.display())]
    NotText(PathBuf),
    #[error("no runtime that this agent knows")]
    Runtime,
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl SceneError {
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_full())
    }
}

/// What the node adds to every instance.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    pub data: &'a DataDir,
    pub node: &'a NodeName,
    /// The agent's for the lane.
    pub token: &'a str,
    pub lane: Lane,
    pub ports: &'a PortBook,
}

/// Ports by name.
pub type Ports = BTreeMap<String, (u16, Protocol)>;

/// One candidate on this node.
#[derive(Debug)]
pub struct Scene {
    pub id: InstanceId,
    pub release_dir: PathBuf,
    pub instance_dir: PathBuf,
    /// For what nobody but the agent may change.
    records: PathBuf,
    pub ports: Ports,
    /// Those of the ports that were `auto`.
    pub automatic: BTreeMap<String, u16>,
    pub account: Option<Account>,
    volume_root: PathBuf,
    volumes: BTreeMap<String, PathBuf>,
    config: BTreeMap<String, String>,
    depends: BTreeMap<String, String>,
    env: Vec<(String, String)>,
    /// Empty for what is no process.
    process: ProcessRuntime,
    containers: Option<ContainerGroup>,
    limits: Vec<(i32, u64)>,
    node: String,
    node_name: NodeName,
    token: String,
    log: PathBuf,
}

impl Scene {
    /// Resolves everything; `kept` are the automatic ports of before.
    ///
    /// # Errors
    /// When a reference, a port, a volume or the user cannot be resolved.
    pub fn resolve(
        ground: Ground<'_>,
        id: &InstanceId,
        spec: &InstanceSpec,
        kept: &BTreeMap<String, u16>,
    ) -> Result<Self, SceneError> {
        let mut scene = Self::draft(ground, id, spec, kept)?;
        let needs_low_port = scene.ports.values().any(|(port, _)| *port < 1024);
        let account = owner::account(&scene.render("user", &scene.process.user)?)?;
        scene.account = account.map(|account| Account { binds_low_ports: needs_low_port, ..account });
        Ok(scene)
    }

    /// As `resolve`, but for the user, whom the install steps may have yet to make.
    ///
    /// # Errors
    /// When a reference, a port or a volume cannot be resolved.
    pub fn draft(
        ground: Ground<'_>,
        id: &InstanceId,
        spec: &InstanceSpec,
        kept: &BTreeMap<String, u16>,
    ) -> Result<Self, SceneError> {
        let (process, containers) = match &spec.runtime {
            Some(instance_spec::Runtime::Process(process)) => (process.clone(), None),
            Some(instance_spec::Runtime::Containers(group)) => {
                (ProcessRuntime::default(), Some(group.clone()))
            }
            Some(instance_spec::Runtime::Systemd(_)) => (ProcessRuntime::default(), None),
            None => return Err(SceneError::Runtime),
        };
        let digest = spec.release.as_ref().map_or("", |release| &release.digest);
        let mut config = spec.config.clone();
        config.extend(spec.secrets.clone());
        let mut scene = Self {
            id: id.clone(),
            release_dir: ground.data.release(digest),
            instance_dir: ground.lane.dir(ground.data, id),
            records: ground.lane.records(ground.data, id),
            ports: Ports::new(),
            automatic: BTreeMap::new(),
            account: None,
            volume_root: ground.data.volume_root(id),
            volumes: BTreeMap::new(),
            config,
            depends: spec.depends.clone(),
            env: Vec::new(),
            process,
            containers,
            limits: limits(spec),
            node: ground.node.to_string(),
            node_name: ground.node.clone(),
            token: ground.token.to_owned(),
            log: ground.data.instance_log(id),
        };
        scene.bind_ports(ground.ports, spec, kept)?;
        scene.place_volumes(spec)?;
        scene.env = scene.environment(ground.token)?;
        Ok(scene)
    }

    /// # Errors
    /// When a reference in the text is unknown; `what` names the text.
    pub fn render(&self, what: &str, text: &str) -> Result<String, SceneError> {
        template::render(text, &|name| self.lookup(name))
            .map_err(|cause| SceneError::Template { what: what.to_owned(), cause })
    }

    /// The value of an environment variable. Nothing where it is but a reference to a setting that nobody made: most
    /// programs take an empty variable for a value.
    ///
    /// # Errors
    /// As [`Scene::render`].
    pub fn render_variable(&self, what: &str, text: &str) -> Result<Option<String>, SceneError> {
        let value = self.render(what, text)?;
        let name = text.strip_prefix("${config.").and_then(|rest| rest.strip_suffix('}'));
        let is_unset = value.is_empty() && name.is_some_and(|name| !name.contains('$'));
        Ok((!is_unset).then_some(value))
    }

    /// Makes the instance's folders and renders the package's templates into its own.
    ///
    /// # Errors
    /// When the disk refuses or a template has an unknown reference.
    pub fn furnish(&self) -> Result<(), SceneError> {
        self.make_folders()?;
        owner::furnish_home(&self.instance_dir, self.account.as_ref())?;
        if let Some(group) = &self.containers {
            for path in self.missing_paths(group) {
                disk::make_dir(&path, 0o755)?;
            }
            // The engine gives a new volume to whom the image says.
            return self.write_templates();
        }
        for path in self.volumes.values() {
            owner::furnish_volume(path, &self.volume_root, self.account.as_ref())?;
        }
        self.write_templates()
    }

    /// # Errors
    /// When the disk refuses.
    pub fn make_folders(&self) -> Result<(), DiskError> {
        disk::make_dir(&self.records, 0o700)?;
        disk::make_dir(&self.instance_dir, 0o700)
    }

    /// Finds out, while the former release still runs, whether this one could be started: everything resolves, and
    /// the disk has room.
    ///
    /// # Errors
    /// What `furnish`, `launch` and `probe` would fail with.
    pub fn rehearse(&self, spec: &InstanceSpec) -> Result<(), SceneError> {
        const ROOM: usize = 64 << 10;
        self.templates()?;
        self.make_folders()?;
        let trial = self.records.join("room.tmp");
        disk::replace(&trial, &vec![0; ROOM], 0o600, Durability::Crash)?;
        fs::remove_file(&trial).map_err(|cause| DiskError::new("remove", &trial, cause))?;
        match &spec.runtime {
            Some(instance_spec::Runtime::Containers(_)) => drop(self.plan(&Candidate::new(spec.clone()))?),
            Some(instance_spec::Runtime::Systemd(_)) => drop(self.unit(spec)?),
            Some(instance_spec::Runtime::Process(_)) | None => drop(self.launch()?),
        }
        self.probe(spec)?;
        Ok(())
    }

    /// The instance's main process.
    ///
    /// # Errors
    /// When a reference is unknown or the log cannot be opened.
    pub fn launch(&self) -> Result<Launch, SceneError> {
        let argv = self.render_all("command", &self.process.command)?;
        let cwd = match self.process.working_dir.as_str() {
            "" => self.release_dir.clone(),
            dir => self.release_dir.join(self.render("working_dir", dir)?),
        };
        let launch = Launch { cwd, limits: self.limits.clone(), ..self.command(argv, &self.log)? };
        // Some programs open /dev/stdout by its name, which takes the file's permission.
        self.hand_over(&self.log)?;
        Ok(launch)
    }

    /// A command beside the main process: same user and environment, run in the release folder.
    ///
    /// # Errors
    /// When the output cannot be opened.
    pub fn command(&self, argv: Vec<String>, output: &Path) -> Result<Launch, SceneError> {
        let open = || logs::open(output).map_err(|cause| DiskError::new("open", output, cause));
        Ok(Launch {
            argv,
            env: self.env.clone(),
            cwd: self.release_dir.clone(),
            stdout: open()?,
            stderr: open()?,
            account: self.account.clone(),
            limits: Vec::new(),
            may_gain_privileges: false,
        })
    }

    /// The health check; none when the module has none.
    ///
    /// # Errors
    /// When it speaks of an unknown port or reference.
    pub fn probe(&self, spec: &InstanceSpec) -> Result<Option<Probe>, SceneError> {
        let check = spec.health.as_ref().and_then(|health| health.check.as_ref());
        Ok(match check {
            None => None,
            Some(health::Check::Tcp(tcp)) if tcp.target > 0 => {
                Some(self.inner_port(spec, &tcp.service, tcp.target, None)?)
            }
            Some(health::Check::Tcp(tcp)) => {
                let port = self.port(&tcp.port)?;
                Some(self.published_port(&tcp.port, port, None).unwrap_or(Probe::Tcp { port }))
            }
            Some(health::Check::Http(http)) if http.target > 0 => {
                let path = self.render("health path", &http.path)?;
                Some(self.inner_port(spec, &http.service, http.target, Some(path))?)
            }
            Some(health::Check::Http(http)) => {
                let port = self.port(&http.port)?;
                let path = self.render("health path", &http.path)?;
                let published = self.published_port(&http.port, port, Some(path.clone()));
                Some(published.unwrap_or(Probe::Http { port, path }))
            }
            Some(health::Check::Exec(command)) => {
                let argv = self.render_all("health command", &command.argv)?;
                if self.containers.is_some() {
                    return Ok(Some(Probe::Inside { service: self.front(spec), command: argv }));
                }
                Some(Probe::Exec(self.command(argv, Path::new("/dev/null"))?))
            }
        })
    }

    /// As `render_all`, where the texts may also refer to `${args.<name>}`.
    ///
    /// # Errors
    /// When a reference in one of the texts is unknown.
    pub fn render_with(
        &self,
        what: &str,
        texts: &[String],
        args: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, SceneError> {
        let lookup = |name: &str| match name.strip_prefix("args.") {
            Some(name) => args.get(name).cloned(),
            None => self.lookup(name),
        };
        let rendered = texts.iter().map(|text| template::render(text, &lookup));
        let wrong = |cause| SceneError::Template { what: what.to_owned(), cause };
        rendered.collect::<Result<_, _>>().map_err(wrong)
    }

    /// The service that a command of the module is for: the one that has its first port.
    pub fn front(&self, spec: &InstanceSpec) -> Option<String> {
        let named = spec.ports.iter().map(|port| &port.service).find(|service| !service.is_empty());
        let last = self.containers.as_ref().and_then(|group| group.services.last());
        named.or(last.map(|service| &service.name)).cloned()
    }

    /// # Errors
    /// When a reference in one of the texts is unknown.
    pub fn render_all(&self, what: &str, texts: &[String]) -> Result<Vec<String>, SceneError> {
        texts.iter().map(|text| self.render(what, text)).collect()
    }

    /// By which the commands of an installation are known.
    pub fn install_mark(&self) -> Option<String> {
        let (_, token) = self.env.iter().find(|(name, _)| name == TOKEN_VARIABLE)?;
        Some(kill::install_token(token))
    }

    fn port(&self, name: &str) -> Result<u16, SceneError> {
        let port = self.ports.get(name).ok_or_else(|| SceneError::UnknownPort(name.to_owned()))?;
        Ok(port.0)
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        match name {
            "instance" => return Some(self.id.to_string()),
            "instance.dir" => return Some(text(&self.instance_dir)),
            "instance.index" => return Some(self.id.index.to_string()),
            "node" => return Some(self.node.clone()),
            "release.dir" => return Some(text(&self.release_dir)),
            _ => {}
        }
        match name.split_once('.')? {
            ("config", key) => self.config.get(key).cloned(),
            ("port", key) => self.ports.get(key).map(|(port, _)| port.to_string()),
            ("volume", key) => self.volumes.get(key).map(|path| text(path)),
            ("depends", key) => self.depends.get(key).cloned(),
            _ => None,
        }
    }

    /// Gives a file to the user that the process runs as.
    fn hand_over(&self, path: &Path) -> Result<(), SceneError> {
        self.account.as_ref().map_or(Ok(()), |account| Ok(owner::hand_over(path, account)?))
    }
}

fn limits(spec: &InstanceSpec) -> Vec<(i32, u64)> {
    let given = spec.limits.unwrap_or_default();
    // The C libraries disagree on the sign of these numbers.
    let numbers = [
        // RLIMIT_AS would count what is only reserved, which Go and Node do by the gigabyte.
        (libc::RLIMIT_DATA as i32, given.memory_bytes),
        (libc::RLIMIT_NOFILE as i32, u64::from(given.open_files)),
        (libc::RLIMIT_NPROC as i32, u64::from(given.processes)),
    ];
    let set = numbers.into_iter().filter(|(_, most)| *most > 0);
    set.chain([(libc::RLIMIT_CORE as i32, 0)]).collect()
}
