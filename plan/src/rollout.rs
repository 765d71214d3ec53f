//! A run over a fleet: which nodes begin now, and when it stops. Canaries first, then batch after batch.

use proto::ids::NodeName;

use crate::plan::{Offline, Rollout};

/// How far a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not begun; it answers.
    Ready,
    /// Not begun; it does not answer.
    Offline,
    /// Begun, also when it does not answer just now: its agent goes on by itself.
    Running,
    Done,
    Failed,
    /// It ended, and nobody knows what was done.
    Unknown,
    /// Left out, because it did not answer and the plan says so.
    Skipped,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub begin: Vec<NodeName>,
    pub skip: Vec<NodeName>,
    /// They begin when they are back.
    pub wait: Vec<NodeName>,
    pub verdict: Verdict,
}

/// How the run over the fleet stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    GoesOn,
    /// Everything that could be done is; only nodes that do not answer are left.
    Waits,
    Done,
    /// Done, although nodes failed: not more than the plan lives with.
    DoneExcept {
        failed: Vec<NodeName>,
    },
    /// No further node begins; those that run come to their end.
    Stopped {
        why: String,
        failed: Vec<NodeName>,
    },
}

/// Decides what comes next. Nodes go in the order they are given in, which is by name.
pub fn decide(rollout: &Rollout, nodes: &[(NodeName, State)]) -> Decision {
    let of = |states: &[State]| -> Vec<NodeName> {
        nodes.iter().filter(|(_, state)| states.contains(state)).map(|(name, _)| name.clone()).collect()
    };
    let failed = of(&[State::Failed, State::Unknown]);
    let running = of(&[State::Running]).len();
    let settled = of(&[State::Done, State::Failed, State::Unknown]).len();
    let offline = of(&[State::Offline]);
    let (skip, wait) = match rollout.offline {
        Offline::Skip => (offline, Vec::new()),
        Offline::Wait => (Vec::new(), offline),
    };
    let canary = rollout.canary as usize;
    if let Some(why) = stopped(rollout, canary, settled, &failed) {
        let verdict = Verdict::Stopped { why, failed };
        return Decision { begin: Vec::new(), skip: Vec::new(), wait: Vec::new(), verdict };
    }
    let ready = of(&[State::Ready]);
    let room = room(rollout, canary, settled, running);
    let begin: Vec<NodeName> = ready.iter().take(room).cloned().collect();
    let verdict = match (ready.is_empty() && running == 0, wait.is_empty(), failed.is_empty()) {
        (false, _, _) => Verdict::GoesOn,
        (true, false, _) => Verdict::Waits,
        (true, true, true) => Verdict::Done,
        (true, true, false) => Verdict::DoneExcept { failed },
    };
    Decision { begin, skip, wait, verdict }
}

/// How many may begin now: the rest of the canaries, then a whole batch once the one before it has settled.
fn room(rollout: &Rollout, canary: usize, settled: usize, running: usize) -> usize {
    let begun = settled + running;
    if begun < canary {
        return canary - begun;
    }
    if settled < canary {
        return 0;
    }
    if rollout.batch == 0 {
        return usize::MAX;
    }
    let batch = rollout.batch as usize;
    // Batches are counted after the canaries; one that has begun fills up, when a node of it came back late.
    let in_batch = (begun - canary) % batch;
    match (running, in_batch) {
        (0, _) => batch,
        (_, 0) => 0,
        (running, in_batch) if running <= in_batch => batch - in_batch,
        _ => 0,
    }
}

fn stopped(rollout: &Rollout, canary: usize, settled: usize, failed: &[NodeName]) -> Option<String> {
    let (first, count) = (failed.first()?, failed.len());
    if settled <= canary {
        return Some(format!("{first} failed as a canary"));
    }
    let most = rollout.max_failures as usize;
    (count > most).then(|| format!("{count} nodes failed, the plan lives with {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_first_then_batch_after_batch_and_no_further_after_too_many_failures() {
        let standard = Rollout { canary: 1, batch: 2, max_failures: 1, offline: Offline::Wait };
        let skip = Rollout { offline: Offline::Skip, ..standard };
        let all = Rollout { canary: 0, batch: 0, ..standard };
        // One letter for each node: r(eady) o(ffline) R(unning) d(one) f(ailed) u(nknown) s(kipped).
        let cases = [
            (standard, "rrrr", "begin a; GoesOn"),
            (standard, "Rrrr", "begin ; GoesOn"),
            (standard, "drrr", "begin b c; GoesOn"),
            (standard, "dRRr", "begin ; GoesOn"),
            (standard, "ddRr", "begin ; GoesOn"),
            (standard, "dddr", "begin d; GoesOn"),
            (standard, "dddd", "begin ; Done"),
            (standard, "frrr", "begin ; Stopped: a failed as a canary"),
            (standard, "urrr", "begin ; Stopped: a failed as a canary"),
            (standard, "dfdr", "begin d; GoesOn"),
            (standard, "dffr", "begin ; Stopped: 2 nodes failed, the plan lives with 1"),
            (standard, "dufR", "begin ; Stopped: 2 nodes failed, the plan lives with 1"),
            (standard, "dfdd", "begin ; DoneExcept b"),
            (standard, "orrr", "begin b; wait a; GoesOn"),
            (standard, "oddd", "begin ; wait a; Waits"),
            (standard, "oodf", "begin ; wait a b; Waits"),
            (standard, "oooo", "begin ; wait a b c d; Waits"),
            (skip, "orrr", "begin b; skip a; GoesOn"),
            (skip, "sddd", "begin ; Done"),
            (skip, "ssss", "begin ; Done"),
            (all, "rrrr", "begin a b c d; GoesOn"),
            (all, "Rrrr", "begin b c d; GoesOn"),
            (all, "fdRr", "begin d; GoesOn"),
            (all, "ffRr", "begin ; Stopped: 2 nodes failed, the plan lives with 1"),
        ];
        for (rollout, states, expected) in cases {
            assert_eq!(told(&rollout, states), expected, "{states}");
        }
    }

    fn told(rollout: &Rollout, states: &str) -> String {
        let state = |letter| match letter {
            'r' => State::Ready,
            'o' => State::Offline,
            'R' => State::Running,
            'd' => State::Done,
            'f' => State::Failed,
            'u' => State::Unknown,
            _ => State::Skipped,
        };
        let named = states
            .chars()
            .zip('a'..)
            .map(|(letter, name)| (NodeName::parse(&name.to_string()).expect("a name"), state(letter)));
        let decision = decide(rollout, &named.collect::<Vec<_>>());
        let names = |names: &[NodeName]| names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" ");
        let mut text = format!("begin {}; ", names(&decision.begin));
        for (what, list) in [("skip", &decision.skip), ("wait", &decision.wait)] {
            if !list.is_empty() {
                text += &format!("{what} {}; ", names(list));
            }
        }
        text + &match decision.verdict {
            Verdict::GoesOn => "GoesOn".to_owned(),
            Verdict::Waits => "Waits".to_owned(),
            Verdict::Done => "Done".to_owned(),
            Verdict::DoneExcept { failed } => format!("DoneExcept {}", names(&failed)),
            Verdict::Stopped { why, .. } => format!("Stopped: {why}"),
        }
    }
}
