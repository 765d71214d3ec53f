//! The kill matrix: every named point of both programs, and as many random schedules as the time of a test run
//! allows. Longer: `e2e kill-matrix`, and every point in everything a person does: `e2e kill-matrix --sweep`.

use std::time::{Duration, SystemTime};

use e2e::kill_matrix::{self, Extent, Kind, Store, Victim};
use e2e::orchestrator::eventually;
use e2e::scene::{Page, Scene};

#[test]
fn whatever_happens_the_next_command_finds_one_release_and_nothing_twice() {
    let schedules = variable("ORCHESTRATOR_E2E_SCHEDULES").unwrap_or(10);
    kill_matrix::run(Kind::Any, seed(), 0..schedules).unwrap();
}

#[test]
fn of_coordinators_that_race_and_die_one_wins_or_none_on_etcd() {
    kill_matrix::run(Kind::Races, seed() * 2, 0..6).unwrap();
}

#[test]
fn of_coordinators_that_race_and_die_one_wins_or_none_on_sqlite() {
    kill_matrix::run(Kind::Races, seed() * 2 + 1, 0..6).unwrap();
}

#[test]
fn the_coordinator_may_die_at_every_point() {
    kill_matrix::sweep(Victim::Coordinator, Store::Etcd, Extent::Once { share: 0, of: 2 }).unwrap();
}

#[test]
fn the_coordinator_may_die_at_every_other_point_too() {
    kill_matrix::sweep(Victim::Coordinator, Store::Sqlite, Extent::Once { share: 1, of: 2 }).unwrap();
}

#[test]
fn the_agent_may_die_at_every_point() {
    kill_matrix::sweep(Victim::Agent, Store::Etcd, Extent::Once { share: 0, of: 1 }).unwrap();
}

#[test]
fn both_may_die_at_every_point_of_joining_and_leaving() {
    kill_matrix::sweep_enrolment().unwrap();
}

#[test]
fn every_point_is_reached_by_a_sweep() {
    kill_matrix::every_point_is_swept().unwrap();
}

#[test]
fn what_a_coordinator_on_another_machine_began_is_carried_on_soon_after_its_death() {
    let scene = Scene::enrolled(2).unwrap();
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    Page::version("2.0.0").write(scene.fleet.desk()).unwrap();

    // It dies when it has written what one of the two nodes is to run.
    let elsewhere = scene.orchestrator.clone().on_machine("elsewhere");
    let elsewhere =
        elsewhere.with("ORCHESTRATOR_FAULT", "further.before").with("ORCHESTRATOR_FAULT_BATCH", "1");
    let died = elsewhere.run("deploy ./page --every-node");
    assert_eq!(died.code, None, "{died}");
    let left = scene.orchestrator.run("status page -o json").json();
    assert_ne!(left[0]["state"], "healthy", "it may still live, for all that can be seen: {left}");

    eventually("it is carried on", Duration::from_secs(25), || {
        let status = scene.orchestrator.run("status page -o json").json();
        status[0]["state"] == "healthy" && status[0]["version"] == "2.0.0"
    });
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Printed with every failure.
fn seed() -> u64 {
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    variable("ORCHESTRATOR_E2E_SEED").unwrap_or_else(clock)
}
