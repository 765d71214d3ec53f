//! How an agent's upgrade stands, by what the agent says of it, and whether a new agent may be confirmed.

use std::collections::BTreeMap;

use proto::v1::upgrade_reply::Stage;
use proto::v1::{Phase, Report, UpgradeReply};

/// What a node needs to run the wanted build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    Nothing,
    Build,
    /// Somebody else's upgrade is under way.
    Patience,
}

pub fn need(reply: &UpgradeReply, wanted: &str) -> Need {
    match reply.stage() {
        Stage::Asked | Stage::OnTrial => Need::Patience,
        Stage::None | Stage::Confirmed | Stage::RolledBack if reply.running_digest == wanted => Need::Nothing,
        Stage::None | Stage::Confirmed | Stage::RolledBack => Need::Build,
    }
}

/// How the trial of a build stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The former agent has still to give way.
    Awaited,
    /// The new one runs, unless it is not confirmed.
    Running,
    Over(Over),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    Confirmed,
    RolledBack(String),
    /// The agent knows nothing of it.
    Forgotten,
}

pub fn trial(reply: &UpgradeReply, build: &str) -> Trial {
    if reply.digest != build {
        return Trial::Over(Over::Forgotten);
    }
    match reply.stage() {
        Stage::None => Trial::Over(Over::Forgotten),
        // The former agent may be asked before it has given way, and speaks of itself then.
        Stage::Asked => Trial::Awaited,
        Stage::OnTrial if reply.running_digest == build => Trial::Running,
        Stage::OnTrial => Trial::Awaited,
        Stage::Confirmed => Trial::Over(Over::Confirmed),
        Stage::RolledBack => Trial::Over(Over::RolledBack(reply.reason.clone())),
    }
}

/// Whether the new agent knows what the former one knew, and all that was healthy is healthy under it.
pub fn is_sound(before: &Report, now: &Report) -> bool {
    if now.generation != before.generation {
        // It was told something newer meanwhile, which says enough; something older was never valid.
        return now.generation > before.generation;
    }
    let healthy: BTreeMap<&str, bool> =
        now.instances.iter().map(|instance| (instance.id.as_str(), is_healthy(instance.phase()))).collect();
    let were_healthy = before.instances.iter().filter(|instance| is_healthy(instance.phase()));
    now.spec_digest == before.spec_digest
        && were_healthy.into_iter().all(|instance| healthy.get(instance.id.as_str()) == Some(&true))
}

fn is_healthy(phase: Phase) -> bool {
    matches!(phase, Phase::Running | Phase::RolledBack)
}

#[cfg(test)]
mod tests {
    use proto::v1::InstanceReport;

    use super::*;

    fn reply(running: &str, stage: Stage, digest: &str) -> UpgradeReply {
        UpgradeReply {
            running_digest: running.into(),
            stage: stage.into(),
            digest: digest.into(),
            reason: "why".into(),
            ..Default::default()
        }
    }

    #[test]
    fn only_another_build_is_sent_and_only_where_nobody_else_is_at_it() {
        for (running, stage, expected) in [
            ("new", Stage::None, Need::Nothing),
            ("new", Stage::Confirmed, Need::Nothing),
            ("old", Stage::None, Need::Build),
            ("old", Stage::RolledBack, Need::Build),
            ("old", Stage::Confirmed, Need::Build),
            ("old", Stage::Asked, Need::Patience),
            ("new", Stage::OnTrial, Need::Patience),
        ] {
            assert_eq!(need(&reply(running, stage, "new"), "new"), expected, "{running} {stage:?}");
        }
    }

    #[test]
    fn a_trial_is_what_the_agent_says_of_this_very_build() {
        let over = |over| Trial::Over(over);
        for (running, stage, digest, expected) in [
            ("old", Stage::Asked, "new", Trial::Awaited),
            ("old", Stage::OnTrial, "new", Trial::Awaited),
            ("new", Stage::OnTrial, "new", Trial::Running),
            ("new", Stage::Confirmed, "new", over(Over::Confirmed)),
            ("old", Stage::RolledBack, "new", over(Over::RolledBack("why".into()))),
            ("old", Stage::None, "", over(Over::Forgotten)),
            ("old", Stage::OnTrial, "other", over(Over::Forgotten)),
        ] {
            assert_eq!(
                trial(&reply(running, stage, digest), "new"),
                expected,
                "{running} {stage:?} {digest}"
            );
        }
    }

    #[test]
    fn a_new_agent_is_confirmed_when_what_was_healthy_is_healthy_again() {
        let report = |generation, instances: &[(&str, Phase)]| Report {
            generation,
            instances: instances
                .iter()
                .map(|(id, phase)| InstanceReport {
                    id: (*id).into(),
                    phase: (*phase).into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        let before = report(7, &[("a/0", Phase::Running), ("b/0", Phase::Failed)]);
        for (now, expected) in [
            (report(7, &[("a/0", Phase::Running)]), true),
            (report(7, &[("a/0", Phase::Waiting)]), false),
            (report(7, &[("b/0", Phase::Running)]), false),
            (report(6, &[("a/0", Phase::Running)]), false),
            (report(0, &[]), false),
            (report(8, &[]), true),
        ] {
            assert_eq!(is_sound(&before, &now), expected, "{now:?}");
        }
        let other = Report { spec_digest: vec![1], ..before.clone() };
        assert!(!is_sound(&before, &other), "it lost what it was told");
    }
}
