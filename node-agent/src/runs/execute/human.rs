//! `human.ask`: a person answers through whoever follows the run. No answer in time is a no.

use plan::canonical::canonical_json;
use proto::v1::{Need, need};
use serde_json::json;

use super::{Errand, Outcome};
use crate::runs::live::Reply;

const MAX_ANSWER: usize = 2000;

pub async fn run(errand: &Errand) -> Outcome {
    let mut options = errand.texts("options");
    if options.is_empty() {
        options = ["yes", "no"].map(str::to_owned).to_vec();
    }
    let left = errand.stop.deadline.saturating_duration_since(crate::clock::now()).as_millis();
    let expires = u128::from(errand.now_ms).saturating_add(left);
    let human = need::Human {
        question: errand.text("question").unwrap_or_default().to_owned(),
        options: options.clone(),
        expires_unix_ms: i64::try_from(expires).unwrap_or(i64::MAX),
    };
    let reply = errand.live.open_need(errand.need("human", need::Need::Human(human)));
    tokio::select! {
        reply = reply => match reply {
            Ok(Reply::Human { answer, by }) if options.contains(&answer) => {
                Outcome::Returned(json!({"answer": answer, "by": by}))
            }
            Ok(Reply::Human { answer, by }) => {
                let answer: String = answer.chars().take(MAX_ANSWER).collect();
                let options = canonical_json(&json!(options));
                Outcome::Failed(format!("{by} answered {answer:?}, which is none of {options}"))
            }
            _ => Outcome::Failed("nobody could be asked".to_owned()),
        },
        () = errand.stop.token.cancelled() => Outcome::Failed("it was cancelled".to_owned()),
        () = tokio::time::sleep_until(errand.stop.deadline) => Outcome::Failed("nobody answered in time".to_owned()),
    }
}

impl Errand {
    /// Something only the outside can do for this attempt; it has the same name after a restart.
    pub fn need(&self, kind: &str, need: need::Need) -> Need {
        let id = format!("{}-{}-{kind}", self.step.id, self.attempt);
        Need { id, step: self.step.id.to_string(), need: Some(need) }
    }
}
