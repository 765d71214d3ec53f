//! A run for those who watch it: what has happened, then what happens, until it ends or only waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plan::run::event::Record;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::run_event::{Event, Finished, NodeState, Printed, Questions};
use tokio::sync::mpsc;

use super::live::{LiveRun, State};
use super::{shown, words};
use crate::fleet::{Fleet, FleetError};

/// What stands still for this long is not about to do something.
const QUIET: Duration = Duration::from_millis(1500);

type Listener = mpsc::Sender<Result<v1::RunEvent, FleetError>>;

/// What a listener was told.
#[derive(Default)]
struct Told {
    records: BTreeMap<NodeName, usize>,
    states: BTreeMap<NodeName, (v1::RunState, String)>,
    questions: Vec<v1::OpenQuestion>,
}

impl Fleet {
    /// Tells `listener` of a run. The run goes on when the listener has gone.
    ///
    /// # Errors
    /// Where there is no such run.
    pub async fn follow_run(
        self: &Arc<Self>,
        request: &v1::FollowRunRequest,
        listener: &Listener,
    ) -> Result<(), FleetError> {
        let record = self.find_run(&request.run).await?.value;
        if record.ended.is_some() {
            return self.tell_of_the_past(&record.id, listener).await;
        }
        let live = self.follow_here(&record.id).await?;
        let mut changes = live.changes();
        let mut printed = live.printed.subscribe();
        let mut told = Told::default();
        loop {
            changes.borrow_and_update();
            let is_over = live.see(|state| state.record.ended.is_some());
            let stands_still = live.see(|state| stands_still(state, request.answers));
            for event in news(&live, &mut told) {
                if send(listener, event).await.is_err() {
                    return Ok(());
                }
            }
            if is_over {
                return self.say_goodbye(&live, listener).await;
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(QUIET), if stands_still => {
                    return self.say_goodbye(&live, listener).await;
                }
                // A listener that does not keep up with what is printed misses some of it.
                line = printed.recv() => {
                    if let Ok(line) = line && send(listener, print(line)).await.is_err() {
                        return Ok(());
                    }
                }
                () = listener.closed() => return Ok(()),
            }
        }
    }

    async fn say_goodbye(&self, live: &LiveRun, listener: &Listener) -> Result<(), FleetError> {
        let run = self.run_summary(&live.record()).await?;
        let hint = hint(&run, live);
        let _ = send(listener, Event::Finished(Finished { run: Some(run), hint })).await;
        Ok(())
    }

    /// Tells of a run that has ended, out of what is kept.
    async fn tell_of_the_past(
        self: &Arc<Self>,
        id: &crate::domain::runs::RunId,
        listener: &Listener,
    ) -> Result<(), FleetError> {
        let detail = self.show_run(&v1::ShowRunRequest { run: id.to_string() }).await?;
        for node in detail.nodes {
            for (number, json) in node.records_json.iter().enumerate() {
                let number = number as u64;
                let record = v1::run_event::Record { node: node.node.clone(), number, json: json.clone() };
                if send(listener, Event::Record(record)).await.is_err() {
                    return Ok(());
                }
            }
            let state = NodeState { node: node.node, state: node.state, message: node.message };
            let _ = send(listener, Event::Node(state)).await;
        }
        let hint = String::new();
        let _ = send(listener, Event::Finished(Finished { run: detail.run, hint })).await;
        Ok(())
    }
}

async fn send(listener: &Listener, event: Event) -> Result<(), ()> {
    listener.send(Ok(v1::RunEvent { event: Some(event) })).await.map_err(|_| ())
}

/// Nothing more happens until a node is back or, where the listener does not do that, people have answered.
fn stands_still(state: &State, answers: bool) -> bool {
    state.is_settled() && (!answers || state.questions().is_empty())
}

/// What the listener does not know yet.
fn news(live: &LiveRun, told: &mut Told) -> Vec<Event> {
    live.see(|state| {
        let mut events = Vec::new();
        for (name, node) in &state.nodes {
            let known = told.records.entry(name.clone()).or_default();
            let new: Vec<(usize, &Record)> = node.followed.records.iter().enumerate().skip(*known).collect();
            *known = node.followed.records.len();
            events.extend(new.into_iter().map(|(number, record)| record_event(name, number, record)));
            let now = words::node_state(node);
            let is_nothing_known = node.kept.is_none() && node.away.is_none();
            if !is_nothing_known && told.states.get(name) != Some(&now) {
                let (state, message) = now.clone();
                let state = state.into();
                events.push(Event::Node(NodeState { node: name.to_string(), state, message }));
                told.states.insert(name.clone(), now);
            }
        }
        let questions = shown::questions(state, &live.plan);
        if questions != told.questions {
            told.questions.clone_from(&questions);
            events.push(Event::Questions(Questions { questions }));
        }
        events
    })
}

fn record_event(node: &NodeName, number: usize, record: &Record) -> Event {
    let json = serde_json::to_string(record).expect("a record has only what JSON can hold");
    Event::Record(v1::run_event::Record { node: node.to_string(), number: number as u64, json })
}

fn print(line: super::live::Printed) -> Event {
    Event::Printed(Printed { node: line.node.to_string(), step: line.step, text: line.text })
}

/// What a person can do now.
fn hint(run: &v1::RunSummary, live: &LiveRun) -> String {
    let has_questions = live.see(|state| !state.questions().is_empty());
    match run.state() {
        v1::RunState::Waiting if has_questions => "`orchestrator approval list` shows what is asked".to_owned(),
        v1::RunState::Waiting => {
            "it goes on when the node is back: by `orchestrator serve`, or the next command that looks at runs"
                .to_owned()
        }
        v1::RunState::Failed | v1::RunState::Unknown => {
            format!("`orchestrator run show {}` shows every step", run.run)
        }
        v1::RunState::Unverified => {
            "let the plan end with a step that looks whether it worked (verify.* or collect.*, with `success`)".to_owned()
        }
        _ => String::new(),
    }
}
