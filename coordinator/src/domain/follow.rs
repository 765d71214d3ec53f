//! A node's run as a follower sees it: the records and receipts that came so far, folded by the same code that the node
//! decides by, and what people are asked there.

use std::collections::BTreeMap;

use modules::digest::Digest;
use plan::receipt::Receipt;
use plan::run::event::{Record, Work};
use plan::run::{Phase, Run, RunError, Undo};
use plan::step::StepId;
use proto::ids::NodeName;
use proto::v1;

use super::runs::RunId;

pub mod taken;

/// What a journal must be of.
#[derive(Debug, Clone)]
pub struct Subject {
    pub run: RunId,
    pub node: NodeName,
    pub plan: Digest,
}

/// What is known of a node's run.
#[derive(Debug, Clone)]
pub struct Followed {
    subject: Subject,
    pub records: Vec<Record>,
    pub receipts: Vec<Receipt>,
    /// None before the first record.
    pub state: Option<Run>,
    /// Questions to people that are open; what they are is known only to the node.
    pub questions: BTreeMap<String, v1::Need>,
}

/// Why what a node tells cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("record {found} came where {expected} was to come")]
    Gap { expected: u64, found: u64 },
    #[error("record {number} cannot be read")]
    Unreadable {
        number: u64,
        #[source]
        cause: serde_json::Error,
    },
    #[error("a receipt cannot be read")]
    Receipt(#[source] serde_json::Error),
    #[error("the journal is that of another run, node or plan")]
    OtherRun,
    #[error("the journal tells no run")]
    NoRun(#[source] RunError),
}

/// Something that a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub step: StepId,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Approval(plan::approval::Request),
    Unknown { attempt: u32, work: Work, why: String },
    Human { need: String, question: String, options: Vec<String>, expires: i64 },
}

impl Followed {
    pub fn new(subject: Subject) -> Self {
        Self { subject, records: Vec::new(), receipts: Vec::new(), state: None, questions: BTreeMap::new() }
    }

    /// What to ask the node for.
    pub fn attach(&self) -> v1::Attach {
        v1::Attach {
            run: self.subject.run.to_string(),
            from_record: self.records.len() as u64,
            from_receipt: self.receipts.len() as u64,
        }
    }

    /// Takes the next record; one that was told before is no error.
    ///
    /// # Errors
    /// When it is not the next one, or cannot be at its place.
    pub fn take_record(&mut self, number: u64, json: &str) -> Result<(), FollowError> {
        let expected = self.records.len() as u64;
        if number < expected {
            return Ok(());
        }
        if number > expected {
            return Err(FollowError::Gap { expected, found: number });
        }
        let record: Record =
            serde_json::from_str(json).map_err(|cause| FollowError::Unreadable { number, cause })?;
        match &mut self.state {
            Some(state) => state.apply(&record).map_err(FollowError::NoRun)?,
            None => {
                let state = Run::replay(std::slice::from_ref(&record)).map_err(FollowError::NoRun)?;
                let subject = &self.subject;
                let is_ours = state.id == subject.run.as_str()
                    && state.node == subject.node.as_str()
                    && state.hash == subject.plan;
                if !is_ours {
                    return Err(FollowError::OtherRun);
                }
                self.state = Some(state);
            }
        }
        self.records.push(record);
        Ok(())
    }

    /// Takes the next receipt. Whether it holds is seen when all of them are verified.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take_receipt(&mut self, json: &str) -> Result<(), FollowError> {
        let receipt: Receipt = serde_json::from_str(json).map_err(FollowError::Receipt)?;
        let expected = self.receipts.len() as u64;
        if receipt.number < expected {
            return Ok(());
        }
        if receipt.number > expected {
            return Err(FollowError::Gap { expected, found: receipt.number });
        }
        self.receipts.push(receipt);
        Ok(())
    }

    /// Whether the node has told the end of the run, and the receipt of it.
    pub fn is_over(&self) -> bool {
        let ended = |receipt: &Receipt| matches!(receipt.fact, plan::receipt::Fact::Ended { .. });
        self.state.as_ref().is_some_and(|state| state.ending.is_some())
            && self.receipts.last().is_some_and(ended)
    }

    /// What people are asked now.
    pub fn questions(&self) -> Vec<Question> {
        let Some(state) = self.state.as_ref().filter(|state| state.ending.is_none()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (step, progress) in &state.steps {
            let mut ask = |kind| found.push(Question { step: step.clone(), kind });
            if let (Phase::Waiting { .. }, Some(request), None) =
                (&progress.phase, &progress.asked, progress.approved)
            {
                ask(Kind::Approval(request.clone()));
            }
            if let Phase::Unknown { why } = &progress.phase {
                ask(Kind::Unknown { attempt: progress.attempts, work: Work::Do, why: why.clone() });
            }
            if let Undo::Unknown { why } = &progress.undo {
                ask(Kind::Unknown { attempt: progress.attempts, work: Work::Undo, why: why.clone() });
            }
        }
        found.extend(self.questions.values().filter_map(|need| human(state, need)));
        found
    }

    /// Whether something is being done right now, other than waiting for people.
    pub fn is_busy(&self) -> bool {
        let Some(state) = &self.state else { return true };
        if state.ending.is_some() {
            return false;
        }
        let asked: Vec<StepId> = self.questions().into_iter().map(|question| question.step).collect();
        let works = |(step, progress): (&StepId, &plan::run::Progress)| {
            let is_under_way = matches!(progress.phase, Phase::Running | Phase::Returned | Phase::Escalating)
                || progress.undo == Undo::Running;
            is_under_way && !asked.contains(step)
        };
        asked.is_empty() || state.steps.iter().any(works)
    }
}

/// A question that the step it belongs to still waits for.
fn human(state: &Run, need: &v1::Need) -> Option<Question> {
    let Some(v1::need::Need::Human(human)) = &need.need else { return None };
    let step = StepId::parse(&need.step).ok()?;
    let is_open = state.steps.get(&step).is_some_and(|progress| progress.phase == Phase::Running);
    is_open.then(|| Question {
        step,
        kind: Kind::Human {
            need: need.id.clone(),
            question: human.question.clone(),
            options: human.options.clone(),
            expires: human.expires_unix_ms,
        },
    })
}

impl Question {
    /// A short name for it, the same as long as it is open.
    pub fn id(&self, run: &RunId, node: &NodeName) -> String {
        let what = match &self.kind {
            Kind::Approval(request) => request.digest().to_string(),
            Kind::Unknown { attempt, work, .. } => format!("{attempt} {work:?}"),
            Kind::Human { need, .. } => need.clone(),
        };
        Digest::of(format!("{run}\n{node}\n{}\n{what}", self.step).as_bytes()).hex()[..10].to_owned()
    }
}

#[cfg(test)]
mod tests;
