//! Which engines this node has: looked for at start, and again whenever one may have appeared or gone.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Engine, Kind};

/// Between looks at the sockets' files.
const ROUND: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// A socket's file: another one means another engine, or the same one restarted.
type Mark = (u64, u64, i64);

/// Who answers at which socket, if anybody.
type Found = BTreeMap<PathBuf, (Mark, Option<Arc<Engine>>)>;

/// The engines of this node.
pub struct Engines {
    sockets: Vec<PathBuf>,
    found: Mutex<Found>,
    changes: watch::Sender<u64>,
}

impl Default for Engines {
    fn default() -> Self {
        Self { sockets: sockets(), found: Mutex::default(), changes: watch::Sender::new(0) }
    }
}

impl Engines {
    /// The one for new containers: Docker where there are both.
    pub fn preferred(&self) -> Option<Arc<Engine>> {
        self.of(Kind::Docker).or_else(|| self.of(Kind::Podman))
    }

    /// The one for the containers of an instance: where it has some, no other, so that there are never two of them.
    pub fn for_start(&self, held: Option<Kind>) -> Option<Arc<Engine>> {
        held.map_or_else(|| self.preferred(), |kind| self.of(kind))
    }

    pub fn of(&self, kind: Kind) -> Option<Arc<Engine>> {
        let found = self.found();
        found.values().filter_map(|(_, engine)| engine.clone()).find(|engine| engine.kind == kind)
    }

    /// Waits for the engine of this kind, or any.
    pub async fn wait(&self, kind: Option<Kind>) -> Arc<Engine> {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let engine = self.for_start(kind);
            if let Some(engine) = engine {
                return engine;
            }
            // The sender lives as long as self.
            let _ = changes.changed().await;
        }
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the node offers by them.
    pub fn capabilities(&self) -> Vec<&'static str> {
        let docker = self.of(Kind::Docker).map(|_| "docker");
        let podman = self.of(Kind::Podman).map(|_| "podman");
        let any = docker.or(podman).map(|_| ["compose", "container"]);
        any.into_iter().flatten().chain(docker).chain(podman).collect()
    }

    /// Looks again and again, as long as the agent runs.
    pub async fn keep_looking(self: Arc<Self>) {
        loop {
            self.look().await;
            sleep(ROUND).await;
        }
    }

    /// Asks who is there wherever a socket's file changed. A socket that systemd holds for Podman is not
    /// touched again: each touch would start it.
    pub async fn look(&self) {
        for socket in &self.sockets {
            let before = self.found().get(socket).cloned();
            let Some(mark) = mark(socket) else {
                if before.is_some() {
                    self.found().remove(socket);
                    self.tell();
                }
                continue;
            };
            let is_same = before.as_ref().is_some_and(|(known, _)| *known == mark);
            if is_same
                && !self.is_to_be_asked(socket, before.as_ref().and_then(|(_, engine)| engine.as_ref())).await
            {
                continue;
            }
            let engine = timeout(ANSWER, Engine::at(socket)).await.ok().and_then(Result::ok).map(Arc::new);
            let known = before.and_then(|(_, engine)| engine);
            let has_changed = known != engine || !is_same;
            self.found().insert(socket.clone(), (mark, engine));
            if has_changed {
                self.tell();
            }
        }
    }

    /// A killed engine leaves its socket behind, where nobody answers any more.
    async fn is_to_be_asked(&self, socket: &Path, engine: Option<&Arc<Engine>>) -> bool {
        match engine {
            None => true,
            Some(engine) if engine.kind == Kind::Podman => false,
            Some(_) => UnixStream::connect(socket).await.is_err(),
        }
    }

    fn tell(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(socket: &Path) -> Option<Mark> {
    socket.metadata().ok().map(|meta| (meta.dev(), meta.ino(), meta.ctime()))
}

fn sockets() -> Vec<PathBuf> {
    let named = std::env::var("DOCKER_HOST").ok();
    let named = named.as_deref().and_then(|host| host.strip_prefix("unix://")).map(PathBuf::from);
    // Told by a session; whoever starts the agent after a reboot, such as cron, may not.
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual_own = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
    let own = [told, Some(usual_own)];
    let own = own.iter().flatten().flat_map(|dir| [dir.join("docker.sock"), dir.join("podman/podman.sock")]);
    let usual = ["/var/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from);
    let mut sockets = Vec::new();
    for socket in named.into_iter().chain(usual).chain(own.collect::<Vec<_>>()) {
        if !sockets.contains(&socket) {
            sockets.push(socket);
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::engine::stub::Stub;

    #[test]
    fn what_has_containers_in_an_engine_waits_for_that_one() {
        let stub = Stub::answering(&[]);
        let engines = |kinds: &[Kind]| {
            let found = kinds.iter().map(|kind| {
                (PathBuf::from(kind.to_string()), ((0, 0, 0), Some(Arc::new(stub.engine(*kind)))))
            });
            Engines {
                sockets: Vec::new(),
                found: Mutex::new(found.collect()),
                changes: watch::Sender::new(0),
            }
        };
        let (both, podman) = (engines(&[Kind::Docker, Kind::Podman]), engines(&[Kind::Podman]));
        for (engines, held, expected) in [
            (&both, None, Some(Kind::Docker)),
            (&both, Some(Kind::Podman), Some(Kind::Podman)),
            (&podman, None, Some(Kind::Podman)),
            (&podman, Some(Kind::Docker), None),
        ] {
            assert_eq!(engines.for_start(held).map(|engine| engine.kind), expected, "{held:?}");
        }
    }
}
