//! The install steps of a release: run once on this node, in order, each with a deadline, before the first
//! start. A marker in the release's folder says that they are done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use proto::v1::InstallStep;
use proto::v1::install_step::{Packages, Step};
use tokio::time::timeout;

use crate::content::sha256;
use crate::disk::{self, DiskError, Durability};
use crate::fault;
use crate::logs;
use crate::report::facts;
use crate::runtime::engine::EngineError;
use crate::runtime::kill::TOKEN_VARIABLE;
use crate::runtime::once::{OnceError, Running};
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::Launch;
use crate::scene::{Scene, SceneError};

const MARKER: &str = ".installed";
const VENV: &str = "python3-venv";
const LIMIT: Duration = Duration::from_secs(900);

/// Installs packages of the distribution, unless they are there. Their daemons are neither started (a
/// policy-rc.d that says no, which goes with the script) nor enabled, as the module runs its own.
const APT: &str = include_str!("install/apt.sh");
const PIP: &str = include_str!("install/pip.sh");
/// In a folder of its own rather than with --prefix, by which npm would no longer read the machine's npmrc.
const NPM: &str = r#"mkdir -p .npm && cd .npm && { [ -e package.json ] || echo '{}' >package.json; } &&
exec npm install --no-audit --no-fund -- "$@""#;

/// Why a release could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("install step {number} ({what})")]
    Step {
        number: usize,
        what: String,
        #[source]
        cause: OnceError,
    },
    #[error("install step {number} is of a kind this agent does not know")]
    Unknown { number: usize },
    #[error(transparent)]
    Scene(#[from] SceneError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl InstallError {
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Scene(error) => error.is_disk_full(),
            Self::Disk(error) => error.is_full(),
            Self::Step { .. } | Self::Unknown { .. } | Self::Engine(_) => false,
        }
    }
}

/// Whether these steps were done for the release in this folder.
pub fn is_done(release_dir: &Path, steps: &[InstallStep]) -> bool {
    steps.is_empty() || std::fs::read(marker(release_dir)).is_ok_and(|found| found == stamp(steps))
}

/// Runs all steps. What they print goes to `output`.
///
/// # Errors
/// When a step fails or takes too long, or the marker cannot be written.
pub async fn install(scene: &Scene, steps: &[InstallStep], output: &Path) -> Result<(), InstallError> {
    if is_done(&scene.release_dir, steps) {
        return Ok(());
    }
    fault::point("install.before");
    for (number, step) in (1..).zip(steps) {
        let step = step.step.as_ref().ok_or(InstallError::Unknown { number })?;
        if matches!(step, Step::Pip(_)) && lacks_venv() {
            // What cannot be brought is said by pip's own step, where that needs it.
            let _ = take(scene, number, &Step::Apt(Packages { names: vec![VENV.to_owned()] }), output).await;
        }
        take(scene, number, step, output).await?;
        fault::point("install.mid");
    }
    disk::replace(&marker(&scene.release_dir), &stamp(steps), 0o644, Durability::PowerLoss)?;
    fault::point("install.after");
    Ok(())
}

async fn take(scene: &Scene, number: usize, step: &Step, output: &Path) -> Result<(), InstallError> {
    let (what, argv) = command(scene, step)?;
    logs::say(output, &format!("install step {number}: {what}"));
    let launch = launch(scene, step, argv, output)?;
    let ran = run(&launch, matches!(step, Step::Apt(_))).await;
    ran.map_err(|cause| InstallError::Step { number, what, cause })
}

/// Debian keeps what makes Python's virtual environments in a package of its own.
fn lacks_venv() -> bool {
    facts::may_install() && !facts::has_module("ensurepip")
}

fn command(scene: &Scene, step: &Step) -> Result<(String, Vec<String>), SceneError> {
    let script = |kind: &str, text: &str, names: &[String]| {
        let names = scene.render_all("install", names)?;
        let what = format!("{kind} {}", names.join(" "));
        let shell = ["/bin/sh", "-c", text, "orchestrator"].map(String::from);
        Ok((what, shell.into_iter().chain(names).collect()))
    };
    match step {
        Step::Apt(packages) => script("apt", APT, &packages.names),
        Step::Pip(packages) => script("pip", PIP, &packages.names),
        Step::Npm(packages) => script("npm", NPM, &packages.names),
        Step::Run(command) => {
            let argv = scene.render_all("install", &command.argv)?;
            Ok((format!("run {}", argv.join(" ")), argv))
        }
    }
}

/// Steps run as the agent's user. They carry another mark than the instance, so that stopping the old release
/// does not end the installation of the new one; those of apt carry none, as killing dpkg does harm.
fn launch(scene: &Scene, step: &Step, argv: Vec<String>, output: &Path) -> Result<Launch, SceneError> {
    let mut launch = scene.command(argv, output)?;
    launch.account = None;
    launch.may_gain_privileges = true;
    launch.env.retain(|(name, _)| name != TOKEN_VARIABLE);
    launch.env.push(("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()));
    if !matches!(step, Step::Apt(_))
        && let Some(mark) = scene.install_mark()
    {
        launch.env.push((TOKEN_VARIABLE.to_owned(), mark));
    }
    Ok(launch)
}

async fn run(launch: &Launch, is_apt: bool) -> Result<(), OnceError> {
    let mut running = Spared { running: Running::start(launch)?, is_spared: is_apt };
    match timeout(LIMIT, running.running.exited()).await {
        Ok(Exit::Code(0)) => Ok(()),
        Ok(exit) => Err(OnceError::Exit(exit)),
        Err(_) => Err(OnceError::TimedOut(LIMIT)),
    }
}

/// Lets dpkg finish when nobody waits for it any more: the next installation waits for its lock.
struct Spared {
    running: Running,
    is_spared: bool,
}

impl Drop for Spared {
    fn drop(&mut self) {
        if self.is_spared {
            self.running.release();
        }
    }
}

/// What an interrupted apt step may have left: the policy that keeps daemons from starting.
pub fn sweep() {
    const POLICY: &str = "/usr/sbin/policy-rc.d";
    const OURS: &str = "orchestrator";
    if std::fs::read_to_string(POLICY).is_ok_and(|text| text.contains(OURS)) {
        let _ = std::fs::remove_file(POLICY);
    }
}

fn marker(release_dir: &Path) -> PathBuf {
    release_dir.join(MARKER)
}

fn stamp(steps: &[InstallStep]) -> Vec<u8> {
    let all: Vec<u8> = steps.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
    sha256(&all).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

#[cfg(test)]
mod tests;
