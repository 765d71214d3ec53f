//! `service.*`: units of systemd, by systemctl. Where there is no systemd, that is said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use plan::tool::Tool;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::program::{Finished, Plain};
use super::{Errand, Outcome};
use crate::clock;
use crate::runtime::once::Running;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::{self, Launch};

const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
const BOOTED: &str = "/run/systemd/system";
const LOOK: Duration = Duration::from_secs(10);
const MOST: u64 = 64 << 10;

pub async fn run(errand: &Errand) -> Outcome {
    match act(errand).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn act(errand: &Errand) -> Result<Outcome, Outcome> {
    let name = errand.text("name").unwrap_or_default();
    let action = match errand.call.tool {
        Tool::ServiceStart => "start",
        Tool::ServiceStop => "stop",
        Tool::ServiceRestart => "restart",
        _ => return status(errand, name).await,
    };
    let finished = systemctl(errand, &[action, "--", name]).await?;
    if finished.exit == Exit::Code(0) {
        return Ok(Outcome::Returned(finished.out()));
    }
    // Whoever reads `exit` must not take a unit that was refused for one that did its work.
    let why = finished.stderr.text.trim();
    Ok(Outcome::Failed(format!("systemctl {action} {name} {}: {why}", finished.exit)))
}

async fn status(errand: &Errand, name: &str) -> Result<Outcome, Outcome> {
    const ASKED: &str = "LoadState,ActiveState,SubState,UnitFileState,StateChangeTimestampMonotonic";
    let finished = systemctl(errand, &["show", "-p", ASKED, "--", name]).await?;
    if finished.exit != Exit::Code(0) {
        return Ok(Outcome::Failed(format!("systemctl show {name}: {}", finished.stderr.text.trim())));
    }
    let shown = finished.stdout.text;
    let field = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().to_owned()
    };
    if field("LoadState") == "not-found" {
        return Ok(Outcome::Failed(format!("there is no unit {name}")));
    }
    let changed_us: u64 = field("StateChangeTimestampMonotonic").parse().unwrap_or(0);
    let since_s = uptime_s().saturating_sub(changed_us / 1_000_000);
    let (active, sub) = (field("ActiveState"), field("SubState"));
    Ok(Outcome::Returned(json!({
        "active": active == "active",
        "enabled": field("UnitFileState") == "enabled",
        "state": format!("{active} ({sub})"),
        "since_s": since_s,
    })))
}

fn uptime_s() -> u64 {
    crate::runtime::procfs::age(0).as_secs()
}

/// Runs systemctl with these words.
pub async fn systemctl(errand: &Errand, words: &[&str]) -> Result<Finished, Outcome> {
    let program = program().map_err(Outcome::Failed)?;
    let argv = std::iter::once(program).chain(words.iter().copied()).map(str::to_owned).collect();
    errand
        .run_plain(Plain { argv, env: plain_env(), dir: PathBuf::from("/"), account: None, beside: None })
        .await
}

pub fn plain_env() -> Vec<(String, String)> {
    let env = [
        ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ("LC_ALL", "C.UTF-8"),
        ("SYSTEMD_PAGER", ""),
        ("SYSTEMD_COLORS", "0"),
    ];
    env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn program() -> Result<&'static str, String> {
    let program = SYSTEMCTL.into_iter().find(|path| Path::new(path).exists());
    program.filter(|_| Path::new(BOOTED).exists()).ok_or_else(|| {
        "there is no systemd on this node; hint: use exec.argv or a module's action".to_owned()
    })
}

/// Whether a unit is active, for predicates; nothing when nobody can say.
pub async fn is_active(name: &str) -> Option<bool> {
    let program = program().ok()?;
    let (out, stdout) = spawn::pipe().ok()?;
    let argv = [program, "show", "-p", "ActiveState", "--value", "--", name].map(str::to_owned).to_vec();
    let stderr = stdout.try_clone().ok()?;
    let launch = Launch {
        argv,
        env: plain_env(),
        cwd: PathBuf::from("/"),
        stdout,
        stderr,
        account: None,
        limits: Vec::new(),
        may_gain_privileges: false,
    };
    let deadline = clock::now() + LOOK;
    let mut running = Running::start(&launch).ok()?;
    drop(launch);
    let mut said = String::new();
    let out = tokio::net::unix::pipe::Receiver::from_owned_fd(out).ok()?;
    let read = async { out.take(MOST).read_to_string(&mut said).await };
    timeout(LOOK, read).await.ok()?.ok()?;
    let left = deadline.saturating_duration_since(clock::now());
    let exit = timeout(left, running.exited()).await.ok()?;
    (exit == Exit::Code(0)).then(|| matches!(said.trim(), "active" | "reloading"))
}
