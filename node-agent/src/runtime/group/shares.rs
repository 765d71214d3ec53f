//! Containers inside of another's network, processes or memory.
//!
//! When that other container is started again it has new ones, and what was inside of the old ones runs on, cut off from
//! everything, without an engine that would say so. So it is started again too.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::Instant;

use super::Shared;
use super::plan::ServicePlan;
use super::state::{State, States};
use crate::runtime::engine::{Engine, EngineError};

/// When each of the containers that a service is inside of was started or taken over; none where it does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around(BTreeMap<String, Option<Instant>>);

impl Around {
    pub fn of(service: &ServicePlan, states: &States) -> Self {
        let since = |name: &str| match states.get(name) {
            Some(State::Running(running)) => Some(running.since),
            Some(State::Waiting(_) | State::Down(_) | State::Completed) | None => None,
        };
        Self(service.shares().map(|name| (name.to_owned(), since(name))).collect())
    }

    /// A container that was started since then.
    fn moved(&self, now: &Self) -> Option<&str> {
        let is_new =
            |name: &str| now.0.get(name).is_some_and(|since| since.is_some() && *since != self.0[name]);
        self.0.keys().map(String::as_str).find(|name| is_new(name))
    }
}

impl Shared {
    /// Returns the service around that was started again, once one was.
    pub(super) async fn moved(&self, service: &ServicePlan, around: &Around) -> String {
        let mut states = self.states.subscribe();
        loop {
            let now = Around::of(service, &states.borrow_and_update());
            if let Some(name) = around.moved(&now) {
                return name.to_owned();
            }
            if states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether a container that runs is inside of one that was started after it, which can happen while no agent looks.
    pub(super) async fn is_cut_off(
        &self,
        engine: &Engine,
        service: &ServicePlan,
        inspected: &Value,
    ) -> Result<bool, EngineError> {
        for name in service.shares() {
            let around = self.container_of(engine, name).await?;
            let around = engine.inspect(&around).await?;
            if is_before(&inspected["State"]["StartedAt"], &around["State"]["StartedAt"]) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Of two times that one engine writes, in its one way: as RFC 3339 with the fractions it has.
fn is_before(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => one.trim_end_matches('Z') < other.trim_end_matches('Z'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::runtime::group::state::{Health, Running};

    fn running(since: Instant) -> State {
        State::Running(Running { container: "c".to_owned(), pid: 1, since, health: Health::Unchecked })
    }

    #[test]
    fn what_is_around_has_moved_once_it_runs_anew_and_not_while_it_is_down() {
        let service = ServicePlan {
            shares_network_of: Some("vpn".to_owned()),
            body: json!({ "HostConfig": { "PidMode": "service:main", "IpcMode": "host" } }),
            ..ServicePlan::default()
        };
        let (then, now) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let around = |vpn: State, main: State| {
            let states = [("vpn".to_owned(), vpn), ("main".to_owned(), main), ("x".to_owned(), running(now))];
            Around::of(&service, &States::from(states))
        };
        let first = around(running(then), running(then));
        assert_eq!(first.moved(&first), None);
        assert_eq!(first.moved(&around(State::Down(String::new()), running(then))), None);
        assert_eq!(first.moved(&around(running(now), running(then))), Some("vpn"));
        assert_eq!(first.moved(&around(running(then), running(now))), Some("main"));
        let alone = Around::of(&ServicePlan::default(), &States::new());
        assert_eq!(alone.moved(&alone), None);
    }

    #[test]
    fn times_of_an_engine_are_compared_with_and_without_fractions() {
        for (one, other, expected) in [
            ("2026-11-30T20:20:20.5Z", "2026-11-30T20:20:20.45Z", false),
            ("2026-11-30T20:20:20Z", "2026-11-30T20:20:20.45Z", true),
            ("2026-11-30T20:20:19.9Z", "2026-11-30T20:20:20Z", true),
            ("2026-11-30T20:20:20.1+01:00", "2026-11-30T20:20:20.1+01:00", false),
        ] {
            assert_eq!(is_before(&json!(one), &json!(other)), expected, "{one} {other}");
        }
        assert!(!is_before(&Value::Null, &json!("2026")));
    }
}
