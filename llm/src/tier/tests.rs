use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use super::*;
use crate::error::{Fault, Kind};
use crate::message::{Event, Stop};
use crate::provider::Reply;

#[tokio::test(start_paused = true)]
async fn a_busy_provider_is_tried_again_and_then_left_for_the_next() {
    let first = scripted("first", vec![Some(Kind::Overload); 9]);
    let second = scripted("second", vec![Some(Kind::Rate), None]);
    let gate = Doorman::default();
    let answered = chain(&[&first, &second]).ask(&question(), &gate, &mut || 0.5).await.expect("an answer");
    assert_eq!((answered.provider.as_str(), answered.model.as_str()), ("second", "second-model"));
    assert_eq!(answered.failures.len(), 6);
    assert_eq!(*gate.passed.lock().expect("a lock"), "first|5x|second|2x");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_and_an_empty_account_are_left_at_once_and_a_wrong_request_is_not_repeated() {
    let refused = scripted("refused", vec![Some(Kind::Auth)]);
    let empty = scripted("empty", vec![Some(Kind::Quota)]);
    let strict = scripted("strict", vec![Some(Kind::Invalid)]);
    let spare = scripted("spare", vec![None]);
    let gate = Doorman::default();
    let error = chain(&[&refused, &empty, &strict, &spare]).ask(&question(), &gate, &mut || 0.5).await;
    let failures = error.expect_err("nobody answers").failures;
    let told: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["refused-model gave no answer", "empty-model gave no answer", "strict-model gave no answer"]
    );
    assert_eq!(*gate.passed.lock().expect("a lock"), "refused|1x|empty|1x|strict|1x");
}

#[tokio::test(start_paused = true)]
async fn no_try_passes_a_closed_gate() {
    let provider = scripted("p", vec![Some(Kind::Overload); 9]);
    let gate = Doorman { most: Some(2), ..Doorman::default() };
    let failures = chain(&[&provider, &provider])
        .ask(&question(), &gate, &mut || 0.5)
        .await
        .expect_err("closed")
        .failures;
    assert!(matches!(failures.last(), Some(Failure::Refused { .. })));
    assert_eq!(*gate.passed.lock().expect("a lock"), "p|2x");
}

/// Lets `most` tries pass, and notes who was asked how often in a row.
#[derive(Default)]
struct Doorman {
    most: Option<u32>,
    passed: Mutex<String>,
    count: Mutex<u32>,
}

#[async_trait]
impl Gate for Doorman {
    async fn enter(&self, _: &Candidate, _: &Request) -> Result<Pass, Refused> {
        let mut count = self.count.lock().expect("a lock");
        if self.most.is_some_and(|most| *count >= most) {
            return Err(Refused { reason: "the budget is spent".to_owned(), only_here: false });
        }
        *count += 1;
        Ok(Pass(u64::from(*count)))
    }

    async fn leave(&self, candidate: &Candidate, _: Pass, _: &Limits, _: &Result<Response, ProviderError>) {
        let mut passed = self.passed.lock().expect("a lock");
        let mut parts: Vec<String> =
            passed.split('|').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        match parts.as_mut_slice() {
            [.., name, count] if name == candidate.provider.name() => {
                *count = format!("{}x", count.trim_end_matches('x').parse::<u32>().expect("a count") + 1);
            }
            _ => parts.extend([candidate.provider.name().to_owned(), "1x".to_owned()]),
        }
        *passed = parts.join("|");
    }

    fn abandon(&self, _: Pass) {
        self.passed.lock().expect("a lock").push_str("|abandoned|1x");
    }
}

/// Answers as its script says: an error of a kind, or well.
struct Scripted {
    name: String,
    script: Mutex<Vec<Option<Kind>>>,
}

#[async_trait]
impl Provider for Scripted {
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, request: &Request) -> Result<Reply, ProviderError> {
        assert_eq!(request.model, format!("{}-model", self.name));
        match self.script.lock().expect("a lock").remove(0) {
            Some(kind) => {
                let fault = Fault::Status { status: 400, kind, name: String::new(), message: String::new() };
                Err(ProviderError {
                    retry_after: Some(Duration::from_secs(2)),
                    ..ProviderError::new(&self.name, fault)
                })
            }
            None => {
                let done = Event::Done(Response {
                    text: "ok".to_owned(),
                    thinking: String::new(),
                    tool_calls: vec![],
                    stop: Stop::End,
                    usage: None,
                    model: request.model.clone(),
                });
                Ok(Reply { limits: Limits::default(), events: stream::iter([Ok(done)]).boxed() })
            }
        }
    }
}

fn scripted(name: &str, script: Vec<Option<Kind>>) -> Candidate {
    let provider = Arc::new(Scripted { name: name.to_owned(), script: Mutex::new(script) });
    Candidate { provider, model: format!("{name}-model"), prices: Prices::default(), key: "main".into() }
}

fn chain(candidates: &[&Candidate]) -> Chain {
    Chain::new(candidates.iter().map(|candidate| (*candidate).clone()).collect(), RetryPolicy::default())
}

fn question() -> Request {
    Request::new("", "", "?", 10)
}
