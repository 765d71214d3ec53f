//! Starts ssh masters: background processes that hold one authenticated connection each, found again by the
//! path of their control socket. They end by themselves when idle, so a killed coordinator leaves none behind.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::ssh::attempt::{self, Attempt};
use crate::ssh::diagnosis::{self, ConnectFailure, Finding, KnownKey};
use crate::ssh::{Contact, HostError, NewHostKeys};

/// Handshakes are what costs CPU on both ends; more at once only makes each slower.
const HANDSHAKES: usize = 16;

/// Longest folder that leaves room for `/<key>.<pid>.<n>` and ssh's own suffix of 17 in the 108 bytes of a socket's path.
const MAX_DIR: usize = 58;

/// How patient we are with a link. Tests are less so.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the connection and the exchange of keys, each.
    pub connect: Duration,
    /// A silent link is probed this often, and given up after three probes.
    pub alive: Duration,
    /// How long an idle connection is kept for the next command.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            alive: Duration::from_secs(5),
            idle: Duration::from_secs(60),
        }
    }
}

/// The ssh program and where its masters are found.
pub struct Client {
    sockets: PathBuf,
    /// Instead of `~/.ssh/config`.
    config: Option<PathBuf>,
    patience: Patience,
    handshakes: Semaphore,
    started: AtomicU64,
}

impl Client {
    /// # Errors
    /// When no private folder for the control sockets can be made.
    pub fn new(data_dir: &Path, config: Option<PathBuf>, patience: Patience) -> io::Result<Self> {
        Ok(Self {
            sockets: socket_dir(data_dir)?,
            config,
            patience,
            handshakes: Semaphore::new(HANDSHAKES),
            started: AtomicU64::new(0),
        })
    }

    /// Where the master for this contact listens, if there is one.
    pub fn socket(&self, contact: &Contact) -> PathBuf {
        let key = format!("{contact:?} {:?}", self.config);
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        let name: String = digest.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        self.sockets.join(name)
    }

    /// Connects and logs in; afterwards a master listens at `socket(contact)`. An attempt goes on when its process ends
    /// before, so that on a slow link the next command finds what this one had no patience for.
    pub async fn connect(&self, contact: &Contact, new_keys: NewHostKeys) -> Result<(), HostError> {
        let socket = self.socket(contact);
        if attempt::is_finished_by_another(&socket, self.limit()).await {
            return Ok(());
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let fresh = socket.with_extension(format!("{}.{number}", std::process::id()));
        let _permit = self.handshakes.acquire().await.expect("the semaphore is never closed");
        self.launch(contact, new_keys, &fresh, &socket).await?;
        self.sweep();
        Ok(())
    }

    /// For one connection in all.
    fn limit(&self) -> Duration {
        self.patience.connect * 3
    }

    /// Where the machine's other ports are reached: the host name behind an alias of `~/.ssh/config`.
    pub async fn address(&self, contact: &Contact) -> Option<String> {
        let Contact::Ssh { destination, .. } = contact else { return None };
        let mut ssh = Command::new("ssh");
        if let Some(config) = &self.config {
            ssh.arg("-F").arg(config);
        }
        // Reads the configuration only; nothing is connected to.
        let asked = ssh.args(["-G", "--", destination]).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(self.patience.connect, asked).await.ok()?.ok()?;
        let settings = String::from_utf8_lossy(&output.stdout).into_owned();
        settings.lines().find_map(|line| line.strip_prefix("hostname ")).map(str::to_owned)
    }

    async fn launch(
        &self,
        contact: &Contact,
        new_keys: NewHostKeys,
        fresh: &Path,
        socket: &Path,
    ) -> Result<(), HostError> {
        let arguments = self.arguments(contact, new_keys, fresh)?;
        let failed = |cause: io::Error| HostError::Connect {
            host: contact.to_string(),
            cause: ConnectFailure::NoClient(cause.to_string()),
        };
        let mut attempt = Attempt::start(&arguments, fresh, socket).map_err(failed)?;
        let limit = self.limit();
        let (status, log) = match tokio::time::timeout(limit, attempt.end()).await {
            Ok(ended) => ended.map_err(failed)?,
            Err(_) => {
                attempt.give_up();
                return Err(HostError::TimedOut { host: contact.to_string(), after: limit });
            }
        };
        match status.code() {
            Some(0) => Ok(()),
            Some(attempt::NOT_KEPT) => {
                Err(other(contact, format!("could not keep its control socket: {log}")))
            }
            Some(attempt::NO_SSH) => Err(failed(io::Error::from(io::ErrorKind::NotFound))),
            Some(_) | None => Err(explain(contact, &log).await),
        }
    }

    fn arguments(
        &self,
        contact: &Contact,
        new_keys: NewHostKeys,
        socket: &Path,
    ) -> Result<Vec<OsString>, HostError> {
        let Contact::Ssh { destination, port, identity } = contact else {
            return Err(bad_destination(contact, "this machine is not reached over SSH"));
        };
        if destination.is_empty() || destination.starts_with('-') {
            return Err(bad_destination(contact, "this is not a destination"));
        }
        let mut arguments: Vec<OsString> = ["-M", "-N", "-f", "-S"].map(OsString::from).to_vec();
        arguments.push(socket.into());
        // The log level makes ssh name the host key and the keys it offers, also through jump hosts.
        let mut options = vec![
            "BatchMode=yes".to_owned(),
            "LogLevel=DEBUG1".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            format!("ControlPersist={}", self.patience.idle.as_secs()),
            format!("ConnectTimeout={}", self.patience.connect.as_secs()),
            format!("ServerAliveInterval={}", self.patience.alive.as_secs()),
            "ServerAliveCountMax=3".to_owned(),
        ];
        match new_keys {
            NewHostKeys::AsConfigured => {}
            NewHostKeys::Accept => options.push("StrictHostKeyChecking=accept-new".to_owned()),
        }
        if let Some(identity) = identity {
            options.push("IdentitiesOnly=yes".to_owned());
            arguments.extend(["-i".into(), identity.into()]);
        }
        if let Some(port) = port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(config) = &self.config {
            arguments.extend(["-F".into(), config.into()]);
        }
        for option in options {
            arguments.extend(["-o".into(), option.into()]);
        }
        arguments.extend(["--".into(), destination.into()]);
        Ok(arguments)
    }

    /// Removes the sockets of masters that have ended.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.sockets) else { return };
        for entry in entries.flatten() {
            let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
            let is_dead = || {
                UnixStream::connect(entry.path()).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
            };
            if is_socket && is_dead() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn other(contact: &Contact, said: String) -> HostError {
    HostError::Connect { host: contact.to_string(), cause: ConnectFailure::Other(said) }
}

fn bad_destination(contact: &Contact, reason: &str) -> HostError {
    let cause = ConnectFailure::BadDestination(reason.to_owned());
    HostError::Connect { host: contact.to_string(), cause }
}

async fn explain(contact: &Contact, log: &str) -> HostError {
    tracing::debug!(%contact, log, "ssh did not connect");
    let host = contact.to_string();
    match diagnosis::read(log) {
        Finding::UnknownHostKey { offered } => HostError::UnknownHostKey { host, offered },
        Finding::ChangedHostKey { offered, known } => {
            let known = known_fingerprint(known, &offered).await;
            HostError::ChangedHostKey { host, known, offered }
        }
        Finding::Refused(cause) => HostError::KeyRefused { host, cause },
        Finding::Failed(cause) => HostError::Connect { host, cause },
    }
}

async fn known_fingerprint(known: KnownKey, offered: &str) -> String {
    let (file, line, name) = match known {
        KnownKey::Fingerprint(fingerprint) => return fingerprint,
        KnownKey::Unsaid => return "another key".to_owned(),
        KnownKey::At { file, line, name } => (file, line, name),
    };
    let place = format!("{file}:{line}");
    let Some(name) = name else { return format!("the key in {place}") };
    // ssh names the last of the machine's keys; the one of the offered kind is what people compare with.
    let keys = known_keys(&file, &name).await;
    let kind = offered.split(' ').next().unwrap_or_default();
    let same_kind = keys.iter().find(|(_, key)| key.starts_with(kind));
    match same_kind.or_else(|| keys.iter().find(|(at, _)| *at == line)) {
        Some((at, key)) => format!("{key} ({file}:{at})"),
        None => format!("the key in {place}"),
    }
}

/// The lines of a known_hosts file that are about a machine, each as `ED25519 SHA256:…`.
async fn known_keys(file: &str, name: &str) -> Vec<(usize, String)> {
    let listing = Command::new("ssh-keygen").args(["-l", "-F", name, "-f", file]).kill_on_drop(true).output();
    let Ok(Ok(output)) = tokio::time::timeout(Duration::from_secs(5), listing).await else {
        return Vec::new();
    };
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut line = 0;
    let mut keys = Vec::new();
    for said in listed.lines() {
        if let Some((_, number)) = said.split_once(" found: line ") {
            line = number.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        } else if let [_, kind, fingerprint, ..] = said.split_whitespace().collect::<Vec<_>>()[..] {
            keys.push((line, format!("{kind} {fingerprint}")));
        }
    }
    keys
}

/// The first private folder whose path is short and plain enough for ssh.
fn socket_dir(data_dir: &Path) -> io::Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("orchestrator-ssh"));
    let mut candidates = vec![std::path::absolute(data_dir.join("ssh"))?];
    candidates.extend(runtime);
    candidates.push(PathBuf::from(format!("/tmp/orchestrator-ssh-{uid}")));
    let mut refused = io::Error::other("no folder is fit for SSH control sockets");
    for dir in candidates {
        let text = dir.to_string_lossy();
        if text.len() > MAX_DIR || text.contains(['%', '$', '\u{fffd}']) {
            continue;
        }
        match private_dir(&dir, uid) {
            Ok(()) => return Ok(dir),
            Err(error) => refused = io::Error::new(error.kind(), format!("{}: {error}", dir.display())),
        }
    }
    Err(refused)
}

fn private_dir(dir: &Path, uid: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let found = fs::symlink_metadata(dir)?;
    if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may use this folder"))
}
