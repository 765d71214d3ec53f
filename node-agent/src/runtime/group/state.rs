//! How the containers of an instance fare, as the agent saw last.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// A container without a check that ran this long is taken for well.
const STEADY: Duration = Duration::from_secs(1);

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not started yet, and why.
    Waiting(String),
    Running(Running),
    /// Ended or could not be started; is started again after a pause.
    Down(String),
    /// Has ended for good, as it should.
    Completed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub container: String,
    pub pid: i32,
    pub since: Instant,
    /// What its check said last; without a check, nothing.
    pub health: Health,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Unchecked,
    Unknown,
    Good,
    Bad(String),
}

/// All services of an instance, by name.
pub type States = BTreeMap<String, State>;

/// Whether all of them are up; otherwise which is not, and why. Where the instance has a check of its own, that
/// judges a container without one.
pub fn status(states: &States, has_check: bool, now: Instant) -> Result<(), String> {
    let is_alone = states.len() == 1;
    if !states.is_empty() && states.values().all(|state| *state == State::Completed) {
        return Err("nothing of it runs any more".to_owned());
    }
    let named =
        |name: &str, why: &str| if is_alone { why.to_owned() } else { format!("service {name}: {why}") };
    for (name, state) in states {
        match state {
            State::Completed => {}
            State::Waiting(why) | State::Down(why) => return Err(named(name, why)),
            State::Running(running) => match &running.health {
                Health::Good => {}
                Health::Unknown => return Err(named(name, "its check has not passed yet")),
                Health::Bad(why) => return Err(named(name, why)),
                Health::Unchecked if has_check && is_alone => {}
                Health::Unchecked if now.saturating_duration_since(running.since) >= STEADY => {}
                Health::Unchecked => return Err(named(name, "it has only just started")),
            },
        }
    }
    Ok(())
}

/// The container of a service, or of any that runs.
pub fn container(states: &States, service: Option<&str>) -> Option<String> {
    let running = |state: &State| match state {
        State::Running(running) => Some(running.container.clone()),
        State::Waiting(_) | State::Down(_) | State::Completed => None,
    };
    match service {
        Some(service) => states.get(service).and_then(running),
        None => states.values().rev().find_map(running),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_up_when_each_service_is_and_otherwise_names_the_one_that_is_not() {
        let began = Instant::now();
        let runs = |health: Health| {
            State::Running(Running { container: "c".to_owned(), pid: 1, since: began, health })
        };
        let waits = State::Waiting("waits for db to be healthy".to_owned());
        let cases = [
            (vec![("main", runs(Health::Unchecked))], false, 0, "it has only just started"),
            (vec![("main", runs(Health::Unchecked))], true, 0, ""),
            (vec![("main", runs(Health::Unchecked))], false, 1, ""),
            (
                vec![("db", runs(Health::Good)), ("web", waits)],
                true,
                9,
                "service web: waits for db to be healthy",
            ),
            (vec![("db", State::Completed), ("web", runs(Health::Good))], false, 0, ""),
            (
                vec![("db", runs(Health::Bad("no".into()))), ("web", State::Completed)],
                false,
                9,
                "service db: no",
            ),
            (vec![("web", State::Down("exited with code 1".into()))], false, 9, "exited with code 1"),
            (vec![("web", State::Completed)], false, 9, "nothing of it runs any more"),
            (
                vec![("db", State::Completed), ("web", State::Completed)],
                true,
                9,
                "nothing of it runs any more",
            ),
        ];
        for (states, has_check, seconds, expected) in cases {
            let states: States = states.into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
            let got = status(&states, has_check, began + Duration::from_secs(seconds));
            assert_eq!(got.err().unwrap_or_default(), expected, "{states:?}");
        }
    }
}
