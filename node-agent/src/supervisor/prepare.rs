//! What must be done before a candidate can be started, while the former one still runs: its release has to
//! arrive, its install steps have to be run, and everything has to resolve.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use proto::ids::InstanceId;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::agent::Agent;
use crate::clock;
use crate::content::{Candidate, Content};
use crate::decide;
use crate::install::{self, InstallError};
use crate::lane::Lane;
use crate::log;
use crate::logs;
use crate::runtime::group::plan::Plan;
use crate::scene::Scene;
use crate::supervisor::{Supervisor, Work};

const POLL: Duration = Duration::from_millis(50);
/// Between looks at a full disk.
const FULL: Duration = Duration::from_secs(1);

/// A candidate that is being prepared.
pub struct Preparing {
    pub candidate: Candidate,
    pub is_here: bool,
    /// Why it takes longer than one would think.
    pub note: String,
    /// What the work itself tells meanwhile.
    pub told: watch::Receiver<String>,
    teller: Arc<watch::Sender<String>>,
    pub work: Work<Result<Progress, Trouble>>,
}

pub enum Progress {
    /// Its release is on the node.
    Arrived,
    /// It can be started.
    Ready,
}

/// Why a candidate could not be prepared.
pub enum Trouble {
    /// Waits until there is room again; the former release keeps running.
    DiskFull(String),
    Failed(String),
}

impl Supervisor {
    /// Begins, goes on with or gives up the preparation.
    pub(super) fn prepare(&mut self, wanted: Option<Candidate>) {
        let Some(candidate) = wanted else {
            self.preparing = None;
            return;
        };
        if self.preparing.as_ref().is_some_and(|preparing| preparing.candidate.content == candidate.content) {
            return;
        }
        self.prepared = None;
        let release_dir = self.agent.data.release(candidate.release_digest());
        let is_here = release_dir.is_dir();
        let work: Work<_> = if is_here {
            Box::pin(ready(Ok(Progress::Arrived)))
        } else {
            Box::pin(async move {
                while !release_dir.is_dir() {
                    sleep(POLL).await;
                }
                Ok(Progress::Arrived)
            })
        };
        let (teller, told) = watch::channel(String::new());
        let note = String::new();
        self.preparing = Some(Preparing { candidate, is_here, note, told, teller: Arc::new(teller), work });
    }

    pub(super) async fn have_prepared(&mut self, result: Result<Progress, Trouble>) {
        let Some(mut preparing) = self.preparing.take() else { return };
        let candidate = preparing.candidate.clone();
        match result {
            Ok(Progress::Ready) => self.prepared = Some(candidate.content),
            Ok(Progress::Arrived) => {
                preparing.is_here = true;
                preparing.work = self.install(candidate, Duration::ZERO, &preparing.teller);
                self.preparing = Some(preparing);
            }
            Err(Trouble::DiskFull(why)) => {
                preparing.note = format!("waiting for disk space: {why}");
                preparing.work = self.install(candidate, FULL, &preparing.teller);
                self.preparing = Some(preparing);
            }
            Err(Trouble::Failed(why)) if self.is_judged(candidate.content) => {
                self.fail(Some(candidate.content), why).await;
            }
            // It was healthy once; what fails now may be the network after a reboot.
            Err(Trouble::Failed(why)) => {
                let pause = decide::backoff(self.crashes, clock::noise());
                self.crashes += 1;
                preparing.note = why;
                preparing.work = self.install(candidate, pause, &preparing.teller);
                self.preparing = Some(preparing);
            }
        }
    }

    pub(super) fn is_judged(&self, content: Content) -> bool {
        self.memory.settled.as_ref().is_none_or(|settled| settled.content != content)
    }

    fn install(
        &self,
        candidate: Candidate,
        pause: Duration,
        teller: &Arc<watch::Sender<String>>,
    ) -> Work<Result<Progress, Trouble>> {
        let (agent, id, lane, teller) = (self.agent.clone(), self.id.clone(), self.lane, teller.clone());
        let is_judged = self.is_judged(candidate.content);
        Box::pin(async move {
            sleep(pause).await;
            install(&agent, &id, lane, &candidate, is_judged, &teller)
                .await
                .map(|()| Progress::Ready)
                .map_err(trouble)
        })
    }
}

async fn install(
    agent: &Arc<Agent>,
    id: &InstanceId,
    lane: Lane,
    candidate: &Candidate,
    is_judged: bool,
    teller: &watch::Sender<String>,
) -> Result<(), InstallError> {
    let spec = &candidate.spec;
    let name = id.to_string();
    let kept = agent.memory(&name).ports(lane);
    let scene = Scene::draft(agent.ground(lane), id, spec, &kept)?;
    let ports = scene.automatic.clone();
    if kept != ports {
        agent.remember(&name, move |memory| drop(memory.ports.insert(lane, ports))).await;
    }
    scene.make_folders()?;
    if !install::is_done(&scene.release_dir, &spec.install) {
        let _turn = agent.installing.lock().await;
        install::install(&scene, &spec.install, &agent.data.instance_agent_log(id)).await?;
    }
    if let Some(plan) = scene.plan(candidate)? {
        bring_images(agent, id, &plan, teller).await?;
    }
    // What was healthy before must come back also when a failed release has filled the disk.
    if is_judged {
        // Anew: what was installed may have brought the user and what the commands find.
        let scene = Scene::resolve(agent.ground(lane), id, spec, &agent.memory(&name).ports(lane))?;
        scene.rehearse(spec)?;
    }
    Ok(())
}

/// While the former release still runs: the line may be slow.
async fn bring_images(
    agent: &Arc<Agent>,
    id: &InstanceId,
    plan: &Plan,
    teller: &watch::Sender<String>,
) -> Result<(), InstallError> {
    if agent.engines.preferred().is_none() {
        teller.send_replace("waiting for Docker or Podman".to_owned());
    }
    let engine = agent.engines.wait(None).await;
    for service in &plan.services {
        let tell = |text: String| drop(teller.send_replace(text));
        let warn = |text: String| {
            logs::say(&agent.data.instance_agent_log(id), &text);
            teller.send_replace(text);
        };
        agent.images.ensure(&engine, &plan.digest, service.wanted(), &tell, &warn).await?;
    }
    Ok(())
}

fn trouble(error: InstallError) -> Trouble {
    let text = log::chain(&error);
    if error.is_disk_full() { Trouble::DiskFull(text) } else { Trouble::Failed(text) }
}
