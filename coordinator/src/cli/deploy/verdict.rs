//! The last word of a deploy: one line, the truth, and the exit status.

use std::time::Duration;

use proto::code::Code;
use proto::v1::deployment::{Instance, State};
use proto::v1::{Deployment, Outcome, change};

use crate::cli::console::{Format, Look, Style, printable};
use crate::cli::problem::{Failure, Problem};
use crate::cli::progress::Story;
use crate::cli::{Context, json, state, units};

/// Prints the verdict and gives the exit status. A closed stdout does not change what happened.
pub fn tell(context: &Context, story: &Story, elapsed: Duration) -> Result<u8, Failure> {
    let console = &context.console;
    let written = match (console.format, story.deployment(), story.finished.outcome()) {
        (Format::Json, Some(deployment), _) => console.print_json(&json::Deployment::from(deployment)),
        (Format::Table, _, Outcome::Done) => console.print(&done(story, &console.out, elapsed)),
        (Format::Json, None, _) => Ok(()),
        (Format::Table, _, Outcome::Failed | Outcome::Waiting | Outcome::Unspecified) => Ok(()),
    };
    match written {
        Ok(()) | Err(Failure::StdoutClosed) => {}
        Err(failure) => return Err(failure),
    }
    match story.finished.outcome() {
        Outcome::Done => Ok(0),
        Outcome::Waiting => {
            console.say(waiting(story, &console.err).trim_end());
            Ok(Code::NoCapacity.exit())
        }
        Outcome::Failed | Outcome::Unspecified => {
            console.say(failed(story, &console.err).trim_end());
            Ok(Code::Failed.exit())
        }
    }
}

/// `hello-web 0.1.0 is healthy on attic at http://attic:31000 (1.4 s)`
fn done(story: &Story, look: &Look, elapsed: Duration) -> String {
    let took = look.paint(Style::Dim, &format!("({})", units::elapsed(elapsed)));
    let Some(deployment) = story.deployment() else {
        let message = Some(story.finished.message.as_str()).filter(|message| !message.is_empty());
        return format!("{} {took}\n", message.unwrap_or("done"));
    };
    let (word, style) = state::deployment(deployment.state);
    let mut line = format!("{} is {}", title(deployment), look.paint(style, word));
    if !deployment.instances.is_empty() {
        line.push_str(&format!(" on {}", nodes(&deployment.instances)));
    }
    let urls: Vec<&str> = deployment.instances.iter().flat_map(|i| &i.urls).map(String::as_str).collect();
    if !urls.is_empty() {
        line.push_str(&format!(" at {}", look.paint(Style::Bold, &urls.join(", "))));
    }
    let changes = story.plan.iter().flat_map(|plan| &plan.changes);
    let is_unchanged = story.plan.is_some() && changes.clone().all(|c| c.kind() == change::Kind::Keep);
    let unchanged = if is_unchanged { ", nothing changed" } else { "" };
    format!("{line}{unchanged} {took}\n")
}

fn failed(story: &Story, look: &Look) -> String {
    let finished = &story.finished;
    let mut causes: Vec<String> = finished.message.lines().map(str::to_owned).collect();
    if causes.is_empty() {
        causes.push("the deploy failed".into());
    }
    let hint = Some(finished.hint.clone()).filter(|hint| !hint.is_empty());
    let mut text = unsettled(story, look);
    text.push_str(&Problem { code: Code::Failed, causes, hint, explanation: None }.render(look));
    text
}

fn waiting(story: &Story, look: &Look) -> String {
    let finished = &story.finished;
    let mut text = unsettled(story, look);
    text.push_str(&format!("{} {}\n", look.paint(Style::Warn, "waiting:"), printable(&finished.message)));
    if !finished.hint.is_empty() {
        text.push_str(&format!("{} {}\n", look.paint(Style::Warn, "hint:"), printable(&finished.hint)));
    }
    text
}

/// One line for each instance that is not as wished.
fn unsettled(story: &Story, look: &Look) -> String {
    let Some(deployment) = story.deployment() else { return String::new() };
    let is_unsettled = |instance: &&Instance| instance.state() != State::Healthy;
    let mut text = String::new();
    for instance in deployment.instances.iter().filter(is_unsettled) {
        let (word, style) = state::deployment(instance.state);
        let place = if instance.node.is_empty() { String::new() } else { format!(" on {}", instance.node) };
        let why = if instance.message.is_empty() {
            String::new()
        } else {
            format!(": {}", printable(&instance.message))
        };
        text.push_str(&format!("  {}{place} {}{why}\n", instance.id, look.paint(style, word)));
    }
    text
}

/// `hello-web 0.1.0`, `cache (redis 7.2.4)`
fn title(deployment: &Deployment) -> String {
    match &deployment.release {
        Some(release) if release.module == deployment.name => {
            format!("{} {}", deployment.name, release.version)
        }
        Some(release) => format!("{} ({} {})", deployment.name, release.module, release.version),
        None => deployment.name.clone(),
    }
}

/// The nodes, once each; where there are many, how many.
fn nodes(instances: &[Instance]) -> String {
    const SHOWN: usize = 5;
    let names: std::collections::BTreeSet<&str> =
        instances.iter().map(|i| i.node.as_str()).filter(|node| !node.is_empty()).collect();
    if names.len() > SHOWN {
        return format!("{} nodes", names.len());
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proto::v1::deploy_event::{Finished, Plan};
    use proto::v1::{Change, Release};

    use super::*;

    fn story(outcome: Outcome, name: &str, instances: &[(&str, State, &str)]) -> Story {
        let release = Release { module: "redis".into(), version: "7.2.4".into(), ..Default::default() };
        let instance = |(at, (node, state, message)): (usize, &(&str, State, &str))| Instance {
            id: format!("{name}/{at}"),
            node: (*node).into(),
            state: (*state).into(),
            message: (*message).into(),
            urls: if *state == State::Healthy { vec![format!("tcp://{node}:6379")] } else { vec![] },
            ..Default::default()
        };
        let deployment = Deployment {
            name: name.into(),
            release: Some(release),
            state: instances.last().map_or(State::Pending, |(_, state, _)| *state).into(),
            instances: instances.iter().enumerate().map(instance).collect(),
            ..Default::default()
        };
        let finished =
            Finished { outcome: outcome.into(), deployment: Some(deployment), ..Default::default() };
        Story { plan: None, finished }
    }

    #[test]
    fn success_says_where_and_how_to_reach_it() {
        let mut story =
            story(Outcome::Done, "cache", &[("attic", State::Healthy, ""), ("cellar", State::Healthy, "")]);
        let took = Duration::from_millis(1_440);
        assert_snapshot!(done(&story, &Look::default(), took), @"cache (redis 7.2.4) is healthy on attic, cellar at tcp://attic:6379, tcp://cellar:6379 (1.4 s)");
        let keep = Change { kind: change::Kind::Keep.into(), ..Default::default() };
        story.plan = Some(Plan { changes: vec![keep], ..Default::default() });
        assert_snapshot!(done(&story, &Look::default(), took), @"cache (redis 7.2.4) is healthy on attic, cellar at tcp://attic:6379, tcp://cellar:6379, nothing changed (1.4 s)");
    }

    #[test]
    fn a_rollback_is_told_as_the_failure_it_is() {
        let mut story = story(
            Outcome::Failed,
            "redis",
            &[("attic", State::RolledBack, "7.4.0 exited with status 1; 7.2.4 serves again")],
        );
        story.finished.message = "redis 7.4.0 did not become healthy on attic\nexited with status 1".into();
        story.finished.hint = "`orchestrator logs redis` shows what it said".into();
        assert_snapshot!(failed(&story, &Look::default()), @r"
          redis/0 on attic rolled_back: 7.4.0 exited with status 1; 7.2.4 serves again
        error: redis 7.4.0 did not become healthy on attic
          because exited with status 1
        hint: `orchestrator logs redis` shows what it said
        ");
    }

    #[test]
    fn who_waits_is_named() {
        let mut story = story(
            Outcome::Waiting,
            "redis",
            &[("attic", State::Healthy, ""), ("cellar", State::Waiting, "cellar cannot be reached")],
        );
        story.finished.message = "healthy on 1 of 2 nodes; cellar waits".into();
        story.finished.hint = "it is delivered when cellar is back".into();
        assert_snapshot!(waiting(&story, &Look::default()), @r"
          redis/1 on cellar waiting: cellar cannot be reached
        waiting: healthy on 1 of 2 nodes; cellar waits
        hint: it is delivered when cellar is back
        ");
    }
}
