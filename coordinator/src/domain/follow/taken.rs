//! What became of a question that is open no more: whether an answer was taken, or something else came first.

use plan::run::event::{Answer, Ending, Event, Record};
use proto::v1::answer_question_request::Answer as Given;

use super::{Kind, Question};

/// Whether the node has written down that `by` gave this answer.
///
/// # Errors
/// What came first instead.
pub fn was_taken(records: &[Record], question: &Question, given: &Given, by: &str) -> Result<(), String> {
    let closing = records.iter().rev().find_map(|record| closed_by(&record.event, question));
    match closing {
        Some(closing) if closing.is(given, by) => Ok(()),
        Some(closing) => Err(closing.told()),
        None => Err(overtaken(records)),
    }
}

/// What closed a question.
enum Closing {
    Said { what: String, by: String },
    Other(String),
}

impl Closing {
    fn is(&self, given: &Given, by: &str) -> bool {
        let wanted = match given {
            Given::Approve(true) => "approved",
            Given::Approve(false) => "denied",
            Given::Known(answer) | Given::Text(answer) => answer,
        };
        matches!(self, Closing::Said { what, by: who } if what == wanted && who == by)
    }

    fn told(self) -> String {
        match self {
            Closing::Said { what, by } => format!("{by} said {what}"),
            Closing::Other(what) => what,
        }
    }
}

/// What an event says of a question; nothing where it speaks of another.
fn closed_by(event: &Event, question: &Question) -> Option<Closing> {
    match &question.kind {
        Kind::Approval(asked) => {
            let said = |what: &str, by: &String| Closing::Said { what: what.to_owned(), by: by.clone() };
            let (request, closing) = match event {
                Event::Approved { request, by, .. } => (request, said("approved", by)),
                Event::Denied { request, by, .. } => (request, said("denied", by)),
                Event::Expired { request, .. } => {
                    (request, Closing::Other("nobody answered in time".to_owned()))
                }
                _ => return None,
            };
            (*request == asked.digest()).then_some(closing)
        }
        Kind::Unknown { attempt, work, .. } => match event {
            Event::Answered { step, attempt: of, work: kind, answer, by }
                if (step, of, kind) == (&question.step, attempt, work) =>
            {
                Some(Closing::Said { what: name(*answer).to_owned(), by: by.clone() })
            }
            _ => None,
        },
        Kind::Human { .. } => match event {
            Event::Returned { step, out, .. } if *step == question.step => {
                let text = |name: &str| out.get(name).and_then(|value| value.as_str()).map(str::to_owned);
                Some(Closing::Said { what: text("answer")?, by: text("by")? })
            }
            Event::Failed { step, why, .. } | Event::Unknown { step, why, .. } if *step == question.step => {
                Some(Closing::Other(why.clone()))
            }
            _ => None,
        },
    }
}

fn name(answer: Answer) -> &'static str {
    match answer {
        Answer::Done => "done",
        Answer::NotDone => "not_done",
        Answer::Stop => "stop",
    }
}

/// The run went on without it.
fn overtaken(records: &[Record]) -> String {
    let told = records.iter().rev().find_map(|record| match &record.event {
        Event::Cancelled { by } | Event::Ended { ending: Ending::Cancelled { by } } => {
            Some(format!("{by} has cancelled the run"))
        }
        Event::Ended { .. } => Some("the run has ended".to_owned()),
        Event::Replanned { .. } => Some("a new plan took its place".to_owned()),
        _ => None,
    });
    told.unwrap_or_else(|| "it is not asked any more".to_owned())
}

#[cfg(test)]
mod tests {
    use plan::approval::Request;
    use plan::run::event::Work;
    use plan::step::{Call, StepId};
    use plan::tool::Tool;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_counts_only_where_the_node_has_written_it_down_as_ours() {
        let (asked, other) = (request(1), request(2));
        let step = || asked.step.clone();
        let question = |kind| Question { step: step(), kind };
        let approval = question(Kind::Approval(asked.clone()));
        let unknown = question(Kind::Unknown { attempt: 1, work: Work::Do, why: String::new() });
        let human = question(Kind::Human {
            need: "n".to_owned(),
            question: String::new(),
            options: Vec::new(),
            expires: 0,
        });
        let approved = |request: &Request, by: &str| Event::Approved {
            step: step(),
            request: request.digest(),
            by: by.to_owned(),
        };
        let denied = |by: &str| Event::Denied { step: step(), request: asked.digest(), by: by.to_owned() };
        let expired = Event::Expired { step: step(), request: asked.digest() };
        let answered = |attempt, answer, by: &str| Event::Answered {
            step: step(),
            attempt,
            work: Work::Do,
            answer,
            by: by.to_owned(),
        };
        let said = |answer: &str, by: &str| Event::Returned {
            step: step(),
            attempt: 1,
            work: Work::Do,
            out: json!({"answer": answer, "by": by}),
        };
        let failed = Event::Failed { step: step(), attempt: 1, work: Work::Do, why: "too late".to_owned() };
        let cancelled = Event::Cancelled { by: "ben".to_owned() };
        let (yes, no) = (Given::Approve(true), Given::Approve(false));
        let (known, text) = (Given::Known("not_done".to_owned()), Given::Text("yes".to_owned()));
        let cases = [
            (&approval, approved(&asked, "ann"), &yes, ""),
            (&approval, denied("ann"), &no, ""),
            (&approval, denied("ben"), &yes, "ben said denied"),
            (&approval, denied("ann"), &yes, "ann said denied"),
            (&approval, approved(&asked, "ben"), &yes, "ben said approved"),
            (&approval, expired, &yes, "nobody answered in time"),
            (&approval, approved(&other, "ann"), &yes, "it is not asked any more"),
            (&approval, cancelled, &yes, "ben has cancelled the run"),
            (&approval, Event::Ended { ending: Ending::TimedOut }, &yes, "the run has ended"),
            (&unknown, answered(1, Answer::NotDone, "ann"), &known, ""),
            (&unknown, answered(1, Answer::Done, "ann"), &known, "ann said done"),
            (&unknown, answered(2, Answer::NotDone, "ann"), &known, "it is not asked any more"),
            (&human, said("yes", "ann"), &text, ""),
            (&human, said("no", "ben"), &text, "ben said no"),
            (&human, failed, &text, "too late"),
        ];
        for (question, event, given, says) in cases {
            let records = [Record { at_ms: 1, event }];
            let got = was_taken(&records, question, given, "ann").err().unwrap_or_default();
            assert_eq!(got, says, "{:?}", records[0]);
        }
    }

    fn request(expires_ms: u64) -> Request {
        let step = StepId::parse("gone").expect("a step");
        let call = Call { tool: Tool::FileDelete, args: Default::default() };
        Request::new(modules::digest::Digest::of(b"plan"), step, "a", &call, expires_ms)
    }
}
