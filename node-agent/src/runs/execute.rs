//! Makes the call of a step, by its tool. What comes back is bounded, without secrets, and says only what is known.

use std::future::Future;
use std::sync::Arc;

use modules::effect::Effect;
use plan::nesting;
use plan::redact::Redactor;
use plan::run::event::Work;
use plan::step::{Call, Step, StepId, Tier};
use plan::tool::{Kind, Tool};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::runs::Runs;
use crate::runs::live::Live;
use crate::runs::secrets;
use crate::runs::terms::Terms;

mod action;
mod collect;
mod exec;
mod file;
mod http;
mod human;
pub mod llm;
mod module;
pub mod probe;
mod program;
mod safe_path;
mod second_name;
mod service;
mod verify;

/// Bytes of an output as JSON: with its frame it must fit a record of the journal.
const MAX_OUT: usize = 3 << 20;

/// How a call came to its end.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Returned(Value),
    /// It was never made, or is known to have done nothing that counts.
    Failed(String),
    /// Nobody knows whether it was done.
    Unknown(String),
}

/// A call that came to its end.
#[derive(Debug)]
pub struct Done {
    pub step: StepId,
    pub attempt: u32,
    pub work: Work,
    pub outcome: Outcome,
}

/// When a call is to end although it is not done.
#[derive(Debug, Clone)]
pub struct Stop {
    pub token: CancellationToken,
    pub deadline: Instant,
}

impl Stop {
    /// Returns when it is to end, with the reason.
    pub async fn over(&self) -> &'static str {
        tokio::select! {
            biased;
            () = self.token.cancelled() => "it was cancelled while it ran",
            () = sleep_until(self.deadline) => "it took longer than its timeout",
        }
    }

    pub fn is_over(&self) -> bool {
        self.token.is_cancelled() || crate::clock::now() >= self.deadline
    }
}

/// One call, and all that is needed to make it.
#[derive(Clone)]
pub struct Errand {
    pub runs: Arc<Runs>,
    pub live: Arc<Live>,
    pub terms: Arc<Terms>,
    /// Paths that nothing but the agent touches.
    pub own: Arc<[String]>,
    pub redactor: Redactor,
    pub step: Step,
    pub call: Call,
    /// What the call may change.
    pub effect: Effect,
    pub tier: Tier,
    /// Under which the other side recognises a second delivery.
    pub key: String,
    pub now_ms: u64,
    pub attempt: u32,
    pub work: Work,
    pub stop: Stop,
}

impl Errand {
    /// Makes the call.
    pub async fn run(&self) -> Outcome {
        let outcome = match self.call.tool.kind() {
            // These wait for somebody outside and use nothing of the node meanwhile.
            Kind::Human => human::run(self).await,
            Kind::Llm => llm::run(self).await,
            Kind::Module if self.call.tool != Tool::ModuleAction => module::run(self).await,
            Kind::Module
            | Kind::Collect
            | Kind::Exec
            | Kind::File
            | Kind::Http
            | Kind::Service
            | Kind::Verify => self.run_here().await,
        };
        self.kept(outcome)
    }

    /// A call that works on this node, when there is room for it.
    async fn run_here(&self) -> Outcome {
        let room = match self.bounded(self.runs.calls.clone().acquire_owned()).await {
            Ok(room) => room,
            Err(_) => return Outcome::Failed("it was cancelled before there was room for it".to_owned()),
        };
        let outcome = match self.call.tool.kind() {
            Kind::Collect => collect::run(self).await,
            Kind::Exec => exec::run(self).await,
            Kind::File => file::run(self).await,
            Kind::Http => http::run(self).await,
            Kind::Service => service::run(self).await,
            Kind::Verify => verify::run(self).await,
            Kind::Module => action::run(self).await,
            Kind::Human | Kind::Llm => Outcome::Failed("not for this node".to_owned()),
        };
        drop(room);
        outcome
    }

    /// Waits for something, but no longer than the call may take.
    pub async fn bounded<T>(&self, work: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            why = self.stop.over() => Err(self.lost(why)),
        }
    }

    /// What an end in the middle means: what can be repeated has failed, of anything else nobody knows how far it came.
    pub fn lost(&self, why: &str) -> Outcome {
        match self.effect.is_repeatable() {
            true => Outcome::Failed(why.to_owned()),
            false => Outcome::Unknown(why.to_owned()),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.call.args.get(name).and_then(Value::as_str)
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let items = self.call.args.get(name).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.call.args.get(name).and_then(Value::as_u64)
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.call.args.get(name).and_then(Value::as_bool)
    }

    /// As it may be written down: without secrets and not too long.
    fn kept(&self, outcome: Outcome) -> Outcome {
        let short = |why: String| self.redactor.text(&why).chars().take(2000).collect();
        match outcome {
            Outcome::Returned(out) => Outcome::Returned(fit(secrets::clean(&self.redactor, out))),
            Outcome::Failed(why) => Outcome::Failed(short(why)),
            Outcome::Unknown(why) => Outcome::Unknown(short(why)),
        }
    }
}

/// What is nested too deep could not be read back. Control characters take six times their room in JSON: where that is
/// too much, long texts lose their end.
fn fit(out: Value) -> Value {
    let mut out = nesting::cut(out);
    let mut most = MAX_OUT;
    while serde_json::to_string(&out).map_or(0, |text| text.len()) > MAX_OUT && most > 1 {
        most /= 2;
        shorten(&mut out, most);
    }
    out
}

fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => text.truncate(cut(text, most).len()),
        Value::Array(items) => items.iter_mut().for_each(|item| shorten(item, most)),
        Value::Object(fields) => {
            let is_cut = fields.values().any(|value| value.as_str().is_some_and(|text| text.len() > most));
            fields.values_mut().for_each(|value| shorten(value, most));
            if is_cut && fields.contains_key("truncated") {
                fields.insert("truncated".to_owned(), Value::Bool(true));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let most = most.min(text.len());
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_output_fits_a_record_however_it_is_written() {
        let out = fit(json!({"stdout": "\u{1}".repeat(1 << 20), "exit": 0, "truncated": false}));
        assert!(out.to_string().len() <= MAX_OUT && out["truncated"] == true && out["exit"] == 0);
        let small = json!({"stdout": "x", "truncated": false});
        assert_eq!(fit(small.clone()), small);
    }
}
