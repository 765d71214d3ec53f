//! What comes next in an upgrade, decided from what is on record and which program asks. No effects.
//!
//! Whoever supervises the agent always starts the installed program. That one hands over to a build on trial, once; the
//! build takes its place only when the coordinator has confirmed it. So however a trial ends, the installed one is back.

use std::time::Duration;

/// An upgrade as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    pub stage: Stage,
    /// The build it is about, `sha256:<hex>`.
    pub digest: String,
    /// A trial that lasts longer is over.
    pub within: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// To be tried at the next start.
    Asked,
    OnTrial,
    /// To be installed, if that was not done yet.
    Confirmed,
    RolledBack {
        why: String,
    },
}

/// Which of the two programs is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Installed,
    OnTrial,
}

/// What an agent does first when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Run,
    /// Notes that the trial has begun, and becomes the build on trial.
    Try,
    /// Runs, and goes back unless it is confirmed in time.
    RunOnTrial,
    /// Notes why the trial is over, and runs.
    GiveUp {
        why: &'static str,
    },
    /// Puts the confirmed build in its place, and becomes it.
    Install,
    /// Is not the one to run: becomes the installed program.
    Leave,
}

/// `has_build` where the file of the build on trial is there.
pub fn at_start(record: Option<&Upgrade>, program: Program, has_build: bool) -> Start {
    let stage = record.map(|upgrade| &upgrade.stage);
    match (program, stage, has_build) {
        (Program::Installed, Some(Stage::Asked), true) => Start::Try,
        (Program::Installed, Some(Stage::Asked), false) => {
            Start::GiveUp { why: "the build that was to be tried is gone" }
        }
        (Program::Installed, Some(Stage::OnTrial), _) => {
            Start::GiveUp { why: "the new agent ended before it was confirmed" }
        }
        (Program::Installed, Some(Stage::Confirmed), true) => Start::Install,
        (Program::Installed, Some(Stage::Confirmed | Stage::RolledBack { .. }) | None, _) => Start::Run,
        (Program::OnTrial, Some(Stage::OnTrial), _) => Start::RunOnTrial,
        (Program::OnTrial, Some(Stage::Confirmed), _) => Start::Install,
        (Program::OnTrial, Some(Stage::Asked | Stage::RolledBack { .. }) | None, _) => Start::Leave,
    }
}

/// What is answered to somebody who wants a build to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Begin,
    /// This very build is about to be tried, or is on trial.
    Known,
    /// Another one is.
    Busy,
}

pub fn when_asked(record: Option<&Upgrade>, digest: &str) -> Asked {
    match record {
        Some(Upgrade { stage: Stage::Asked | Stage::OnTrial, digest: known, .. }) if known == digest => {
            Asked::Known
        }
        Some(Upgrade { stage: Stage::Asked | Stage::OnTrial, .. }) => Asked::Busy,
        Some(Upgrade { stage: Stage::Confirmed | Stage::RolledBack { .. }, .. }) | None => Asked::Begin,
    }
}

/// Whether this is the moment to confirm; what is on record is the answer in any case.
pub fn is_to_confirm(record: Option<&Upgrade>, program: Program, digest: &str) -> bool {
    program == Program::OnTrial
        && is_on_trial(record)
        && record.is_some_and(|upgrade| upgrade.digest == digest)
}

pub fn is_on_trial(record: Option<&Upgrade>) -> bool {
    record.is_some_and(|upgrade| upgrade.stage == Stage::OnTrial)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "sha256:b";

    fn upgrade(stage: Stage) -> Upgrade {
        Upgrade { stage, digest: BUILD.to_owned(), within: Duration::from_secs(60) }
    }

    fn back() -> Stage {
        Stage::RolledBack { why: "why".to_owned() }
    }

    #[test]
    fn the_installed_agent_tries_a_build_once_and_is_back_whatever_became_of_it() {
        let check = |stage: Option<Stage>, has_build, expected| {
            let record = stage.map(upgrade);
            assert_eq!(at_start(record.as_ref(), Program::Installed, has_build), expected, "{record:?}");
        };
        check(None, false, Start::Run);
        check(None, true, Start::Run);
        check(Some(Stage::Asked), true, Start::Try);
        check(Some(Stage::Asked), false, Start::GiveUp { why: "the build that was to be tried is gone" });
        for has_build in [true, false] {
            let why = "the new agent ended before it was confirmed";
            check(Some(Stage::OnTrial), has_build, Start::GiveUp { why });
            check(Some(back()), has_build, Start::Run);
        }
        check(Some(Stage::Confirmed), true, Start::Install);
        check(Some(Stage::Confirmed), false, Start::Run);
    }

    #[test]
    fn a_build_runs_out_of_its_place_only_while_it_is_on_trial() {
        let check = |stage: Option<Stage>, expected| {
            let record = stage.map(upgrade);
            assert_eq!(at_start(record.as_ref(), Program::OnTrial, true), expected, "{record:?}");
        };
        check(Some(Stage::OnTrial), Start::RunOnTrial);
        check(Some(Stage::Confirmed), Start::Install);
        check(Some(Stage::Asked), Start::Leave);
        check(Some(back()), Start::Leave);
        check(None, Start::Leave);
    }

    #[test]
    fn one_build_is_tried_at_a_time_and_only_itself_can_be_confirmed() {
        for (stage, same, other) in [
            (Some(Stage::Asked), Asked::Known, Asked::Busy),
            (Some(Stage::OnTrial), Asked::Known, Asked::Busy),
            (Some(Stage::Confirmed), Asked::Begin, Asked::Begin),
            (Some(back()), Asked::Begin, Asked::Begin),
            (None, Asked::Begin, Asked::Begin),
        ] {
            let is_trial = stage == Some(Stage::OnTrial);
            let record = stage.map(upgrade);
            let record = record.as_ref();
            assert_eq!(when_asked(record, BUILD), same, "{record:?}");
            assert_eq!(when_asked(record, "sha256:c"), other, "{record:?}");
            assert_eq!(is_to_confirm(record, Program::OnTrial, BUILD), is_trial, "{record:?}");
            assert!(!is_to_confirm(record, Program::OnTrial, "sha256:c"), "{record:?}");
            assert!(!is_to_confirm(record, Program::Installed, BUILD), "the former agent confirms nothing");
        }
    }
}
