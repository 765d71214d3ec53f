//! What systemctl says and does, through a pipe: nothing of it lies on a disk, which may be full.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{sleep, timeout};

use super::{IDLE, PATIENCE, UnitError, UnitPlan};
use crate::log;
use crate::runtime::body::End;
use crate::runtime::once;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::{self, Launch};

const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// Of what it says.
const MOST: u64 = 64 << 10;

/// What systemd says of a unit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct State {
    pub load: String,
    active: String,
    result: String,
    pub pid: i32,
    code: String,
    status: String,
}

impl State {
    pub fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "activating" | "deactivating")
    }

    pub fn end(&self) -> End {
        let how = match (self.result.as_str(), self.code.as_str(), self.status.as_str()) {
            _ if self.load != "loaded" => format!("is not known to systemd ({})", self.load),
            ("oom-kill", ..) => "ran out of memory and was killed".to_owned(),
            ("timeout", ..) => "did not start in its time".to_owned(),
            // 1: exited; 2 and 3: killed, with or without a core dump.
            (_, "2" | "3", signal) => format!("was killed by signal {signal}"),
            (_, _, code) => format!("exited with code {code}"),
        };
        End { how, is_final: self.load != "loaded" }
    }

    /// An answer that says nothing is none: taken for one, it would tell of a unit that does not run.
    fn parse(text: &str) -> Result<Self, UnitError> {
        let state = Self::read(text);
        if state.load.is_empty() || state.active.is_empty() {
            let why = "it says nothing of the unit".to_owned();
            return Err(UnitError::Unknown { action: "show".to_owned(), why });
        }
        Ok(state)
    }

    fn read(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        Self {
            load: field("LoadState"),
            active: field("ActiveState"),
            result: field("Result"),
            pid: field("MainPID").parse().unwrap_or(0),
            code: field("ExecMainCode"),
            status: field("ExecMainStatus"),
        }
    }
}

pub async fn state(plan: &UnitPlan) -> Result<State, UnitError> {
    const ASKED: &str = "LoadState,ActiveState,Result,MainPID,ExecMainCode,ExecMainStatus";
    let shown = systemctl(plan, &["show", "-p", ASKED, &plan.name], PATIENCE).await;
    State::parse(&shown.map_err(unknown)?)
}

/// Systemd shows any unit, also one that it does not know. Where it does not, nothing is said of this one.
fn unknown(error: UnitError) -> UnitError {
    match error {
        UnitError::Refused { action, why } if program().is_some() => UnitError::Unknown { action, why },
        UnitError::Refused { .. } | UnitError::Unknown { .. } | UnitError::Disk(_) | UnitError::Runs(_) => {
            error
        }
    }
}

fn program() -> Option<&'static str> {
    SYSTEMCTL.into_iter().find(|path| Path::new(path).exists())
}

/// What nobody knows is asked for again: a unit that may run is neither started nor ended for it.
pub async fn known(plan: &UnitPlan) -> Result<State, UnitError> {
    loop {
        match state(plan).await {
            Err(error @ UnitError::Unknown { .. }) => {
                tracing::warn!(unit = plan.name, error = log::chain(&error), "asking systemd again");
                sleep(IDLE).await;
            }
            known => return known,
        }
    }
}

/// Runs systemctl and gives what it wrote.
pub async fn systemctl(plan: &UnitPlan, args: &[&str], limit: Duration) -> Result<String, UnitError> {
    let action = args.join(" ");
    let refused = |why: String| UnitError::Refused { action: action.clone(), why };
    let unknown = |why: String| UnitError::Unknown { action: action.clone(), why };
    let program = program().ok_or_else(|| refused("there is no systemd on this node".to_owned()))?;
    let (output, input) = spawn::pipe().map_err(|error| unknown(error.to_string()))?;
    let output = Receiver::from_owned_fd(output).map_err(|error| unknown(error.to_string()))?;
    let argv = std::iter::once(program).chain(args.iter().copied()).map(str::to_owned).collect();
    let launch = Launch {
        argv,
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: plan.dir.clone(),
        stdout: input.try_clone().map_err(|error| unknown(error.to_string()))?,
        stderr: input,
        account: None,
        limits: Vec::new(),
        may_gain_privileges: false,
    };
    let mut running = once::Running::start(&launch).map_err(|error| unknown(error.to_string()))?;
    // Ours is the only other end: without it, the output ends with the command.
    drop(launch);
    let mut said = Vec::new();
    let mut output = output.take(MOST);
    let ended = async { tokio::join!(running.exited(), output.read_to_end(&mut said)).0 };
    let exit = timeout(limit, ended).await.map_err(|_| unknown(format!("took longer than {limit:?}")))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    match exit {
        Exit::Code(0) => Ok(said),
        exit => Err(refused(if said.trim().is_empty() { exit.to_string() } else { said.trim().to_owned() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_unit_ended_is_told_from_what_systemd_shows() {
        let shown = |fields: &str| State::read(&fields.replace(' ', "\n")).end().how;
        let cases = [
            (
                "LoadState=loaded ActiveState=failed Result=exit-code ExecMainCode=1 ExecMainStatus=3",
                "exited with code 3",
            ),
            (
                "LoadState=loaded ActiveState=failed Result=signal ExecMainCode=2 ExecMainStatus=9",
                "was killed by signal 9",
            ),
            (
                "LoadState=loaded ActiveState=failed Result=oom-kill ExecMainCode=2",
                "ran out of memory and was killed",
            ),
            (
                "LoadState=not-found ActiveState=inactive Result=success",
                "is not known to systemd (not-found)",
            ),
        ];
        for (fields, how) in cases {
            assert_eq!(shown(fields), how);
        }
        let state = State::parse("LoadState=loaded\nActiveState=active\nMainPID=12\n").expect("an answer");
        assert!(state.is_active());
    }

    #[test]
    fn an_answer_that_says_nothing_of_the_unit_is_none() {
        for text in ["", "\n", "LoadState=loaded\n", "ActiveState=\nLoadState=loaded\n"] {
            let error = State::parse(text).expect_err("none");
            assert!(matches!(error, UnitError::Unknown { .. }), "{text:?}: {error}");
        }
    }
}
