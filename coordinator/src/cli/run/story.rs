//! What happened on a node, as lines for people: one for each record that says something.

use plan::run::event::{Answer, Ending, Event, Work};
use plan::step::Tier;

use crate::cli::console::{Style, printable};

/// A line, and how good or bad it is. Nothing for what only the machine cares about.
pub fn line(event: &Event) -> Option<(Style, String)> {
    let verb = |work: &Work| if *work == Work::Undo { "taking back " } else { "" };
    let plain = |text: String| Some((Style::Plain, text));
    match event {
        Event::Begun { .. } => plain("begins".to_owned()),
        Event::Cleared { .. } | Event::Spent { .. } => None,
        Event::NotNeeded { step, why } => plain(format!("{step}: not needed ({why})")),
        Event::Skipped { step, why } => Some((Style::Warn, format!("{step}: skipped ({why})"))),
        Event::Forbidden { step, why } => Some((Style::Bad, format!("{step}: forbidden: {why}"))),
        Event::Asked { step, request } => Some((Style::Warn, format!("{step}: asks: {}", request.shown))),
        Event::Approved { step, by, .. } => plain(format!("{step}: approved by {by}")),
        Event::Denied { step, by, .. } => Some((Style::Bad, format!("{step}: denied by {by}"))),
        Event::Expired { step, .. } => {
            Some((Style::Bad, format!("{step}: nobody answered in time, which is a no")))
        }
        Event::Started { step, attempt, work, tier, .. } => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            let by = if *tier == Tier::None { String::new() } else { format!(" by {}", tier.as_str()) };
            plain(format!("{step}: {}starts{by}{again}", verb(work)))
        }
        Event::Returned { step, work: Work::Undo, .. } => plain(format!("{step}: taken back")),
        Event::Returned { .. } => None,
        Event::Failed { step, work, why, .. } => {
            Some((Style::Bad, format!("{step}: {}failed: {why}", verb(work))))
        }
        Event::Unknown { step, work, why, .. } => {
            Some((Style::Bad, format!("{step}: {}nobody knows whether it was done: {why}", verb(work))))
        }
        Event::Answered { step, answer, by, .. } => {
            let said = match answer {
                Answer::Done => "was done",
                Answer::NotDone => "was not done",
                Answer::Stop => "stops the run",
            };
            plain(format!("{step}: {by} says that it {said}"))
        }
        Event::Checked { step, holds: true, .. } => Some((Style::Good, format!("{step}: done"))),
        Event::Checked { step, holds: false, why, .. } => {
            Some((Style::Bad, format!("{step}: check failed: {why}")))
        }
        Event::Escalated { step } => Some((Style::Warn, format!("{step}: goes to the high tier"))),
        Event::Replanned { hash, .. } => Some((Style::Warn, format!("has a new plan: {}", hash.short()))),
        Event::Cancelled { by } => Some((Style::Warn, format!("cancelled by {by}"))),
        Event::Ended { ending } => Some(ended(ending)),
    }
    .map(|(style, text)| (style, printable(&text)))
}

fn ended(ending: &Ending) -> (Style, String) {
    match ending {
        Ending::Done => (Style::Good, "done".to_owned()),
        Ending::DoneExcept { .. } => (Style::Warn, "done, except for what the plan lives with".to_owned()),
        Ending::Failed { step, .. } => (Style::Bad, format!("failed at {step}")),
        Ending::RolledBack { step, .. } => {
            (Style::Bad, format!("failed at {step}, and what was done is taken back"))
        }
        Ending::NotRolledBack { step, .. } => {
            (Style::Bad, format!("failed at {step}, and not all could be taken back"))
        }
        Ending::OverBudget { .. } => (Style::Bad, "its budget is used up".to_owned()),
        Ending::TimedOut => (Style::Bad, "its time was up".to_owned()),
        Ending::Cancelled { .. } => (Style::Warn, "cancelled".to_owned()),
        Ending::Unknown { .. } => (Style::Bad, "ended, and not all of it is known".to_owned()),
    }
}
