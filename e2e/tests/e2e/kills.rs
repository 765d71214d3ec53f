//! The kill matrix, as many schedules as the time of a test run allows. Longer: `e2e kill-matrix`.

use std::time::SystemTime;

use e2e::kill_matrix;

#[test]
fn whatever_is_killed_the_next_command_finds_one_release_and_nothing_twice() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = variable("ORCHESTRATOR_E2E_SEED").unwrap_or_else(clock);
    let schedules = variable("ORCHESTRATOR_E2E_SCHEDULES").unwrap_or(10);
    kill_matrix::run(seed, 0..schedules).unwrap();
}
