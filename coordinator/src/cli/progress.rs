//! Follows the events of one deploy, rollback, restart, removal or drain, and shows them as they come.

mod bars;
mod lines;

use std::time::Duration;

use proto::v1::deploy_event::{Event, Finished, Plan};
use proto::v1::{DeployEvent, Deployment};
use tonic::Streaming;

use super::console::Console;
use super::interrupt::Interrupt;
use super::problem::{Failure, Problem};
use bars::Bars;
use lines::Lines;
use proto::code::Code;

/// What was left when the stream ended.
#[derive(Debug, Default)]
pub struct Story {
    pub plan: Option<Plan>,
    pub finished: Finished,
}

impl Story {
    pub fn deployment(&self) -> Option<&Deployment> {
        self.finished.deployment.as_ref()
    }
}

enum View {
    Bars(Bars),
    Lines(Lines),
}

impl View {
    fn new(console: &Console) -> Self {
        if console.err.is_terminal {
            View::Bars(Bars::new(console.err))
        } else {
            View::Lines(Lines::default())
        }
    }

    fn show(&mut self, console: &Console, event: &Event) {
        match self {
            View::Bars(bars) => bars.show(event),
            View::Lines(lines) => {
                if let Some(line) = lines.line(event) {
                    console.say(&line);
                }
            }
        }
    }
}

/// The server keeps its own deadline; a stream silent for longer than that is a dead one.
const GRACE: Duration = Duration::from_secs(30);

/// Shows the events until the last one. Ctrl-C and a dead connection are errors that say what is left behind.
pub async fn follow(
    console: &Console,
    mut events: Streaming<DeployEvent>,
    timeout: Duration,
) -> Result<Story, Failure> {
    let interrupt = Interrupt::listen();
    let mut view = View::new(console);
    let mut story = Story::default();
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(timeout + GRACE, events.message()) => next,
            () = interrupt.pressed() => {
                drop(view);
                console.say(LEFT_BEHIND);
                return Err(Failure::Interrupted);
            }
        };
        let Some(event) = next.map_err(|_| silent())?? else { return Err(broken()) };
        let Some(event) = event.event else { continue };
        view.show(console, &event);
        match event {
            Event::Finished(finished) => {
                story.finished = finished;
                return Ok(story);
            }
            Event::Plan(plan) => story.plan = Some(plan),
            Event::Note(_) | Event::Transfer(_) | Event::Instance(_) => {}
        }
    }
}

const LEFT_BEHIND: &str = "interrupted: what the nodes have accepted goes on there; \
    `orchestrator status` shows it, and the same command again completes it";

fn silent() -> Failure {
    Failure::from(Problem::new(Code::TimedOut, "the coordinator fell silent"))
        .with_hint("`orchestrator status` shows how far it came")
}

fn broken() -> Failure {
    Failure::from(Problem::new(Code::Unreachable, "the coordinator ended before the work was done"))
        .with_hint("`orchestrator status` shows how far it came; the same command again completes it")
}
