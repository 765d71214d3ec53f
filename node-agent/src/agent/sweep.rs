//! Keeping house: what crashes left, releases that nothing refers to any more, volumes to be purged, and what
//! the ledger could not write while the disk was full.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use proto::ids::InstanceId;

use crate::agent::Agent;
use crate::clock;
use crate::config::DataDir;
use crate::disk::{self, DiskError, Durability, discard};
use crate::install;
use crate::lane::Lane;
use crate::ledger::Ledger;
use crate::log;
use crate::logs;
use crate::runtime::kill::{self, Marked};
use crate::runtime::process::Process;

/// A release nobody ever spoke of is one whose deploy was given up after the upload.
const FORGOTTEN: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(600);
const ROUND: Duration = Duration::from_secs(600);
const RETRY: Duration = Duration::from_secs(2);

impl Agent {
    /// Runs as long as the agent: when something changed, and now and then.
    pub(super) async fn keep_house(self: Arc<Self>) {
        loop {
            let is_clean = self.write(Ledger::flush).await.is_ok_and(|flushed| flushed.is_ok());
            let pause = if is_clean { ROUND } else { RETRY };
            let _ = tokio::time::timeout(pause, self.sweep.notified()).await;
            self.sweep_uploads();
            self.sweep_releases().await;
            self.images.sweep(&self.engines, |release| self.data.release(release).is_dir()).await;
            self.purge_volumes();
            logs::rotate(&self.data.log());
        }
    }

    /// Before anything runs: temporary files and half-deleted folders.
    pub(super) fn sweep_leftovers(&self) {
        install::sweep();
        for dir in [self.data.0.clone(), self.data.instances()] {
            for path in entries(&dir) {
                if path.extension().is_some_and(|extension| extension == "tmp") {
                    let _ = fs::remove_file(path);
                }
            }
        }
        for dir in [self.data.0.clone(), self.data.releases(), self.data.volumes()] {
            discard::sweep(&dir);
        }
        self.sweep_uploads();
    }

    /// Uploads that were killed; those under way are left alone.
    fn sweep_uploads(&self) {
        if let Err(error) = modules::unpack::sweep(&self.data.releases()) {
            tracing::warn!(%error, "interrupted uploads could not be removed");
        }
    }

    /// Ends processes with our mark that no record names: of instances that are not wished for, and installs.
    pub(super) fn end_strangers(&self, marked: &[Marked]) {
        let mut known = BTreeSet::new();
        for id in left_instances(&self.data) {
            for lane in Lane::BOTH {
                if Process::adopt(&lane.records(&self.data, &id)).is_some() {
                    known.insert((lane, id.clone()));
                }
            }
        }
        let is_stranger = |process: &Marked| {
            Lane::BOTH.into_iter().any(|lane| {
                let token = self.token(lane);
                let is_known = |id: &InstanceId| known.contains(&(lane, id.clone()));
                process.token == kill::install_token(token)
                    || process.token == token && process.instance.as_ref().is_some_and(|id| !is_known(id))
            })
        };
        for Marked { pid, instance, .. } in marked.iter().filter(|process| is_stranger(process)) {
            let instance = instance.as_ref().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(pid, instance, "ending a process that is on no record");
            kill::signal(*pid, libc::SIGKILL);
        }
    }

    /// Removes what an instance leaves behind, but for its volumes. The records come last: while they are there, the
    /// next agent goes on with it.
    pub(super) fn remove_traces(&self, id: &InstanceId) {
        let dirs = Lane::BOTH.map(|lane| lane.dir(&self.data, id));
        let records = Lane::BOTH.map(|lane| lane.records(&self.data, id));
        for dir in dirs.into_iter().chain(records) {
            if let Err(error) = discard::discard(&dir, &self.data.0) {
                tracing::warn!(instance = %id, error = log::chain(&error), "instance folder stays");
            }
        }
        for log in [self.data.instance_log(id), self.data.instance_agent_log(id)] {
            for file in [logs::previous(&log), log] {
                let _ = fs::remove_file(logs::times::path(&file));
                let _ = fs::remove_file(file);
            }
        }
    }

    /// Of releases that are wished for by now. Also when a spec brought nothing new: where several commands change a
    /// node at once, one may bring a release again that another's spec already names.
    pub(super) fn end_leases(&self) {
        let spec = self.ledger().spec().clone();
        for release in spec.instances.iter().filter_map(|instance| instance.release.as_ref()) {
            let _ = fs::remove_file(self.data.lease(&release.digest));
        }
    }

    /// With the turn to write the ledger: a spec that is accepted meanwhile finds a release gone, or keeps it.
    async fn sweep_releases(self: &Arc<Self>) {
        let agent = self.clone();
        let _ = self.write(move |ledger| agent.remove_releases(ledger)).await;
    }

    fn remove_releases(&self, ledger: &mut Ledger) {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let needed: BTreeSet<String> = in_use.into_values().chain(ledger.wanted_releases()).collect();
        for path in entries(&self.data.releases()) {
            let digest = format!("sha256:{}", name(&path));
            if modules::digest::Digest::parse(&digest).is_err() || needed.contains(&digest) {
                continue;
            }
            let is_stale = ledger.was_referenced(&digest) || age(&path) > FORGOTTEN;
            if is_stale && !is_leased(&self.data.lease(&digest)) && self.remove_release(&path) {
                tracing::info!(release = digest, "release removed");
                // Not worth a write to the disk: it goes with the next one.
                ledger.forget_release(&digest);
            }
        }
    }

    /// In one step: a release's folder is whole or not there.
    fn remove_release(&self, path: &Path) -> bool {
        let removed = discard::discard(path, &self.data.releases());
        if let Err(error) = &removed {
            tracing::warn!(error = log::chain(error), "release could not be removed");
        }
        removed.is_ok()
    }

    /// Only once no instance of the deployment is left, wished for or stopping.
    fn purge_volumes(&self) {
        let purged = self.ledger().spec().purge_volumes.clone();
        let busy: BTreeSet<String> = self.wishes().keys().map(|id| id.deployment.to_string()).collect();
        for path in entries(&self.data.volumes()) {
            let name = name(&path);
            let Some((deployment, _)) = name.rsplit_once('.') else { continue };
            if purged.iter().any(|purged| purged == deployment) && !busy.contains(deployment) {
                match discard::discard(&path, &self.data.volumes()) {
                    Ok(()) => tracing::info!(volumes = name, "volumes taken away, to be deleted"),
                    Err(error) => tracing::warn!(error = log::chain(&error), "volumes stay"),
                }
            }
        }
    }
}

/// Instances that have a folder.
pub fn left_instances(data: &DataDir) -> Vec<InstanceId> {
    let ids = Lane::left(data).into_iter().map(|(id, _)| id);
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Names this data folder in the environment of its processes.
/// # Errors
/// When it cannot be read or made.
pub fn token(data: &DataDir) -> Result<String, DiskError> {
    let path = data.token();
    match fs::read_to_string(&path) {
        Ok(token) if token.len() == 16 => return Ok(token),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(DiskError::new("read", &path, cause)),
    }
    let token = format!("{:016x}", clock::noise());
    disk::replace(&path, token.as_bytes(), 0o644, Durability::PowerLoss)?;
    Ok(token)
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A lease nobody used is over after a while.
fn is_leased(lease: &Path) -> bool {
    let is_there = lease.exists();
    if is_there && age(lease) > LEASE {
        let _ = fs::remove_file(lease);
        return false;
    }
    is_there
}

fn age(path: &Path) -> Duration {
    let modified = path.metadata().and_then(|meta| meta.modified());
    modified.ok().and_then(|then| then.elapsed().ok()).unwrap_or_default()
}
