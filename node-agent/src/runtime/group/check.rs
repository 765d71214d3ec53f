//! The check of one container, by a command that runs in it: the service's own, or its image's HEALTHCHECK.

use std::time::Duration;

use proto::v1::health::Check;
use serde_json::Value;
use tokio::time::timeout;

use super::plan::ServicePlan;
use crate::runtime::engine::Engine;
use crate::runtime::{kill, procfs};

const DEFAULT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

/// A command and its pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    pub command: Vec<String>,
    pub interval: Duration,
    pub timeout: Duration,
    pub start_period: Duration,
    pub retries: u32,
}

impl Healthcheck {
    /// The command of the service, or else that of its image; the pace that the service names, or else that of the
    /// command. None where neither has one.
    pub fn of(service: &ServicePlan, image: Option<&Value>) -> Option<Self> {
        let of_image = || image.filter(|_| service.uses_image_health).and_then(Self::of_image);
        let Some(health) = &service.health else { return of_image() };
        let check = match &health.check {
            Some(Check::Exec(command)) => Self::usual(command.argv.clone()),
            Some(_) | None => of_image()?,
        };
        let ms = |ms: u32, or: Duration| if ms == 0 { or } else { Duration::from_millis(ms.into()) };
        Some(Self {
            command: check.command,
            interval: ms(health.interval_ms, check.interval),
            timeout: ms(health.timeout_ms, check.timeout),
            start_period: ms(health.start_period_ms, check.start_period),
            retries: if health.retries == 0 { check.retries } else { health.retries },
        })
    }

    /// At the pace of the engine.
    fn usual(command: Vec<String>) -> Self {
        Self { command, interval: DEFAULT, timeout: DEFAULT, start_period: Duration::ZERO, retries: RETRIES }
    }

    fn of_image(check: &Value) -> Option<Self> {
        let words: Vec<String> =
            check["Test"].as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let command = match words.split_first()? {
            (kind, rest) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
            (kind, [line]) if kind == "CMD-SHELL" => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]
            }
            _ => return None,
        };
        let nanos = |name: &str, or: Duration| {
            let given = check[name].as_u64().filter(|nanos| *nanos > 0);
            given.map_or(or, Duration::from_nanos)
        };
        let retries = check["Retries"].as_u64().and_then(|retries| u32::try_from(retries).ok());
        Some(Self {
            command,
            interval: nanos("Interval", DEFAULT),
            timeout: nanos("Timeout", DEFAULT),
            start_period: nanos("StartPeriod", Duration::ZERO),
            retries: retries.filter(|retries| *retries > 0).unwrap_or(RETRIES),
        })
    }

    /// The pause before the next check: short and growing until the container is well.
    pub fn gap(&self, checks: u32, is_healthy: bool) -> Duration {
        let grown =
            Duration::from_millis(50).mul_f64(1.4f64.powi(i32::try_from(checks.min(40)).unwrap_or(40)));
        if is_healthy { self.interval } else { grown.min(self.interval) }
    }
}

/// Whether a command in a container succeeds; otherwise why not.
///
/// # Errors
/// The reason, for people.
pub async fn run(
    engine: &Engine,
    container: &str,
    command: &[String],
    limit: Duration,
) -> Result<(), String> {
    let mut exec = String::new();
    match timeout(limit, engine.run(container, command, &mut exec)).await {
        Ok(Ok((0, _))) => Ok(()),
        Ok(Ok((code, said))) if said.is_empty() => Err(format!("check exited with code {code}")),
        Ok(Ok((code, said))) => Err(format!("check exited with code {code}: {said}")),
        Ok(Err(error)) => Err(format!("check could not be run: {error}")),
        Err(_) => {
            end(engine, container, &exec).await;
            Err(format!("check took longer than {limit:?}"))
        }
    }
}

/// No engine ends a command by itself when nobody listens any more; they would pile up in the container.
async fn end(engine: &Engine, container: &str, exec: &str) {
    const PATIENCE: Duration = Duration::from_secs(2);
    if exec.is_empty() {
        return;
    }
    let Ok(Ok(pid)) = timeout(PATIENCE, engine.exec_pid(exec)).await else { return };
    // What an engine in a namespace of its own calls by this number is somebody else here.
    let is_inside = |pid: &i32| {
        let groups = procfs::read_small(&format!("/proc/{pid}/cgroup"));
        groups.is_some_and(|groups| groups.contains(container))
    };
    for pid in pid.filter(is_inside).into_iter().flat_map(procfs::descendants).filter(is_inside) {
        kill::signal(pid, libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runtime::engine::Kind;
    use crate::runtime::engine::stub::Stub;

    #[test]
    fn the_check_of_an_image_is_read_as_docker_reads_it() {
        let shell =
            json!({ "Test": ["CMD-SHELL", "wget -q x"], "Interval": 5_000_000_000_u64, "Retries": 2 });
        let check = Healthcheck::of_image(&shell).expect("a check");
        assert_eq!(check.command, ["/bin/sh", "-c", "wget -q x"]);
        assert_eq!((check.interval, check.timeout, check.retries), (Duration::from_secs(5), DEFAULT, 2));
        let plain = json!({ "Test": ["CMD", "/check", "-x"] });
        assert_eq!(Healthcheck::of_image(&plain).expect("a check").command, ["/check", "-x"]);
        for none in
            [json!({ "Test": ["NONE"] }), json!({ "Test": [] }), json!({}), json!({ "Test": ["CMD"] })]
        {
            assert_eq!(Healthcheck::of_image(&none), None, "{none}");
        }
    }

    #[test]
    fn a_service_without_a_command_runs_that_of_its_image_at_its_own_pace() {
        let image = json!({ "Test": ["CMD", "/check"], "Interval": 5_000_000_000_u64, "Retries": 2 });
        let mut service = ServicePlan { uses_image_health: true, ..ServicePlan::default() };
        service.health = Some(proto::v1::Health { interval_ms: 700, ..Default::default() });
        let check = Healthcheck::of(&service, Some(&image)).expect("a check");
        assert_eq!((check.interval, check.retries), (Duration::from_millis(700), 2));
        assert_eq!(check.command, ["/check"]);
        assert_eq!(Healthcheck::of(&service, None), None);
        let argv = vec!["/own".to_owned()];
        service.health = Some(proto::v1::Health {
            check: Some(Check::Exec(proto::v1::Command { argv })),
            ..Default::default()
        });
        let own = Healthcheck::of(&service, Some(&image)).expect("a check");
        assert_eq!((own.command, own.interval, own.retries), (vec!["/own".to_owned()], DEFAULT, RETRIES));
    }

    #[tokio::test]
    async fn a_check_that_takes_too_long_is_ended_in_its_container_and_nobody_else_is() {
        // The kernel's line for each process has a colon; no container is called by the other name.
        for (container, is_ended) in [(":", true), ("another", false)] {
            let sleep = || std::process::Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn();
            let mut child = sleep().expect("spawned");
            let running = format!(r#"{{"Running":true,"Pid":{}}}"#, child.id());
            let stub = Stub::answering(&[(201, r#"{"Id":"e"}"#), (0, ""), (200, &running)]);
            let limit = Duration::from_millis(100);
            let failed = run(&stub.engine(Kind::Docker), container, &["check".to_owned()], limit).await;
            assert_eq!(failed.expect_err("slow"), "check took longer than 100ms");
            if is_ended {
                child.wait().expect("ended");
                continue;
            }
            assert!(child.try_wait().expect("asked").is_none());
            let pid = i32::try_from(child.id()).expect("a pid");
            procfs::descendants(pid).into_iter().for_each(|pid| kill::signal(pid, libc::SIGKILL));
            child.wait().expect("ended");
        }
    }
}
