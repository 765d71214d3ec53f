use proto::v1::{Command, Release, Update, health};

use super::*;
use crate::ledger::Failure;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn the_goal_is_the_wish_unless_it_failed_in_this_attempt() {
    let (old, new) = (candidate("1", 1), candidate("2", 2));
    let run = |candidate: &Candidate, role| Goal::Run { candidate: candidate.clone(), role };
    let failed = |attempt| Some(Failure { attempt, ..failure(&new) });
    let cases = [
        ("gone", None, memory(Some(&old), None), Goal::Gone),
        ("first", Some(&new), memory(None, None), run(&new, Role::Wanted)),
        (
            "failed, nothing before",
            Some(&new),
            memory(None, failed(2)),
            Goal::Nothing { reason: "bad".into() },
        ),
        ("failed, back", Some(&new), memory(Some(&old), failed(2)), run(&old, Role::Previous)),
        ("tried again", Some(&new), memory(Some(&old), failed(1)), run(&new, Role::Wanted)),
        ("other failed", Some(&old), memory(Some(&old), failed(2)), run(&old, Role::Wanted)),
    ];
    for (name, wanted, memory, expected) in cases {
        assert_eq!(goal(wanted, &memory), expected, "{name}");
    }
}

#[test]
fn the_old_content_runs_until_the_new_one_is_ready() {
    let (old, new) = (candidate("1", 1), candidate("2", 2));
    let wish = Goal::Run { candidate: new.clone(), role: Role::Wanted };
    let base = View {
        goal: &wish,
        settled: Some(&old),
        running: None,
        prepared: None,
        is_settled_present: true,
        is_pausing: false,
        is_leading: true,
    };
    let prepare = || Some(new.clone());
    let ready = Some(new.content);
    let is_old = Some(old.content);
    check(View { running: is_old, ..base }, Act::Stay, prepare());
    check(View { running: is_old, prepared: ready, ..base }, Act::Stop, None);
    check(View { prepared: ready, ..base }, Act::Start(new.clone()), None);
    check(View { prepared: ready, is_pausing: true, ..base }, Act::Stay, None);
    check(View { running: ready, ..base }, Act::Stay, None);
    // The old one crashed while the new one is being installed.
    check(View { ..base }, Act::Start(old.clone()), prepare());
    check(View { is_pausing: true, ..base }, Act::Stay, prepare());
    check(View { is_settled_present: false, ..base }, Act::Stay, prepare());
    check(View { settled: Some(&new), ..base }, Act::Stay, prepare());
    check(View { goal: &Goal::Gone, running: is_old, ..base }, Act::Stop, None);
    check(View { goal: &Goal::Gone, ..base }, Act::Stay, None);
}

#[test]
fn with_start_first_what_was_healthy_serves_until_the_new_one_is() {
    let (old, plain) = (candidate("1", 1), candidate("2", 2));
    let update = Update { strategy: Strategy::StartFirst.into(), ..Default::default() };
    let new = Candidate::new(InstanceSpec { update: Some(update), ..(*plain.spec).clone() });
    let wish = Goal::Run { candidate: new.clone(), role: Role::Wanted };
    let base = View {
        goal: &wish,
        settled: Some(&old),
        running: Some(old.content),
        prepared: None,
        is_settled_present: true,
        is_pausing: false,
        is_leading: true,
    };
    let check = |view: View<'_>, process, beside: bool| {
        let beside = beside.then(|| new.clone());
        assert_eq!(step(&view), Step { process, prepare: None, beside }, "{view:?}");
    };
    check(View { ..base }, Act::Stay, true);
    check(View { running: Some(plain.content), ..base }, Act::Stop, true);
    check(View { running: None, ..base }, Act::Start(old.clone()), true);
    check(View { running: None, is_pausing: true, ..base }, Act::Stay, true);
    check(View { running: Some(new.content), ..base }, Act::Stay, false);
    let back = Goal::Run { candidate: old.clone(), role: Role::Previous };
    check(View { goal: &back, ..base }, Act::Stay, false);
    // What stands beside is alone in its place.
    check(
        View { is_leading: false, prepared: Some(new.content), running: None, ..base },
        Act::Start(new.clone()),
        false,
    );
    // The first release has nobody to stand beside.
    let first = View { settled: None, running: None, prepared: Some(new.content), ..base };
    check(first, Act::Start(new.clone()), false);
}

fn check(view: View<'_>, process: Act, prepare: Option<Candidate>) {
    assert_eq!(step(&view), Step { process, prepare, beside: None }, "{view:?}");
}

#[test]
fn a_new_release_fails_after_retries_counted_once_per_interval() {
    let mut trial = trial(true);
    let mut miss = |at| trial.missed("503".into(), MS(at));
    for at in [0, 50, 990, 1000] {
        let expected = Verdict::Continue;
        assert_eq!(miss(at), expected, "{at}: before the start period is over, or the first that counts");
    }
    assert_eq!(miss(1100), Verdict::Continue, "too soon after the one that counted");
    assert_eq!(miss(1500), Verdict::Failed("health check failed 2 times: 503".into()));
}

#[test]
fn a_settled_release_is_started_again_and_never_fails() {
    let mut trial = trial(false);
    assert_eq!(trial.passed(), Verdict::Healthy);
    assert_eq!(trial.passed(), Verdict::Continue);
    assert_eq!(trial.missed("503".into(), MS(9000)), Verdict::Continue);
    assert_eq!(
        trial.missed("503".into(), MS(9500)),
        Verdict::Unhealthy("health check failed 2 times: 503".into())
    );
    for _ in 0..9 {
        trial.started();
        assert_eq!(trial.exited("exit code 1"), Verdict::Restart("exit code 1".into()));
    }
    assert!(matches!(trial.ticked(MS(10_000), MS(10_000)), Verdict::Restart(_)));
}

#[test]
fn a_new_release_fails_by_its_third_exit_or_its_deadline() {
    let mut trial = trial(true);
    assert!(matches!(trial.exited("exit code 1"), Verdict::Restart(_)));
    assert!(matches!(trial.exited("exit code 1"), Verdict::Restart(_)));
    assert!(matches!(trial.exited("exit code 1"), Verdict::Failed(_)));
    let mut late = self::trial(true);
    assert_eq!(late.ticked(MS(100), MS(9999)), Verdict::Continue);
    assert_eq!(late.next_tick(MS(100), MS(9990)), Some(MS(10)));
    assert!(matches!(late.ticked(MS(100), MS(10_000)), Verdict::Failed(_)));
}

#[test]
fn one_that_was_adopted_has_all_its_time_to_answer_again() {
    let day = MS(86_400_000);
    let mut adopted = trial(false);
    adopted.started();
    assert_eq!(adopted.next_tick(day, MS(0)), Some(MS(10_000)));
    assert_eq!(adopted.ticked(day, MS(9999)), Verdict::Continue);
    assert!(matches!(adopted.ticked(day, MS(10_000)), Verdict::Restart(_)));
    let mut restarted = trial(false);
    restarted.started();
    assert_eq!(restarted.ticked(MS(9999), day), Verdict::Continue);
}

#[test]
fn without_a_check_running_for_a_while_is_healthy() {
    let mut trial = Trial::new(&Candidate::new(InstanceSpec::default()), true);
    trial.started();
    assert_eq!(trial.ticked(MS(999), MS(999)), Verdict::Continue);
    assert_eq!(trial.next_tick(MS(400), MS(400)), Some(MS(600)));
    assert_eq!(trial.ticked(MS(1000), MS(1000)), Verdict::Healthy);
}

#[test]
fn pauses_grow_to_a_limit_and_differ() {
    assert_eq!(backoff(0, 200), MS(100));
    assert_eq!(backoff(3, 200), MS(800));
    assert_eq!(backoff(99, 0), MS(24_000));
    assert_eq!(backoff(99, 400), MS(36_000));
}

fn candidate(version: &str, attempt: u64) -> Candidate {
    let release = Release { version: version.to_owned(), ..Default::default() };
    Candidate::new(InstanceSpec { release: Some(release), attempt, ..Default::default() })
}

fn failure(candidate: &Candidate) -> Failure {
    let release = candidate.spec.release.clone().unwrap_or_default();
    Failure { content: candidate.content, attempt: 0, release, reason: "bad".to_owned() }
}

fn memory(settled: Option<&Candidate>, failed: Option<Failure>) -> Memory {
    Memory { settled: settled.cloned(), failed, ..Default::default() }
}

fn trial(is_judged: bool) -> Trial {
    let health = Health {
        check: Some(health::Check::Exec(Command::default())),
        interval_ms: 500,
        timeout_ms: 100,
        retries: 2,
        start_period_ms: 1000,
    };
    let update = Update { health_deadline_ms: 10_000, ..Default::default() };
    let spec = InstanceSpec { health: Some(health), update: Some(update), ..Default::default() };
    let mut trial = Trial::new(&Candidate::new(spec), is_judged);
    trial.started();
    trial
}
