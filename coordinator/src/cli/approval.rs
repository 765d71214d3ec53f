//! `approval list|approve|deny|remembered|forget`: what runs ask people, and what people agreed to for later.

use std::time::Duration;

use proto::v1;
use proto::v1::answer_question_request::{Answer, Remember};
use proto::v1::open_question::Question;
use serde::Serialize;

use super::Context;
use super::console::{Look, Style};
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::{self, rfc3339};

#[derive(Debug, clap::Subcommand)]
pub enum ApprovalCommand {
    /// Lists what runs ask people: approvals, unknown outcomes, questions of plans
    #[command(after_help = "Examples:
  orchestrator approval list
  orchestrator approval list -o json | jq -r '.[].id'")]
    List,
    /// Says yes to exactly one call, with the values it has, on its node
    #[command(after_help = "Examples:
  orchestrator approval approve 3fa9c2d1b0
  orchestrator approval approve 3fa --remember             # this command, on this node, for 30 days
  orchestrator approval approve 3fa --remember --open 1    # its last word may be another one")]
    Approve {
        /// As `approval list` names it, or the beginning of that
        id: String,
        /// Do not ask again for this command on this node
        #[arg(long)]
        remember: bool,
        /// So many words at its end may be others the next time
        #[arg(long, value_name = "N", default_value_t = 0, requires = "remember")]
        open: u32,
        /// Remember it for every node
        #[arg(long, requires = "remember")]
        every_node: bool,
        /// For how long it is remembered [default: 30d]
        #[arg(long = "for", value_name = "DURATION", value_parser = super::plan::parse_validity, requires = "remember")]
        duration: Option<Duration>,
    },
    /// Says no to it; the step fails then
    #[command(after_help = "Examples:\n  orchestrator approval deny 3fa9c2d1b0")]
    Deny {
        /// As `approval list` names it, or the beginning of that
        id: String,
    },
    /// Lists what people agreed to for later
    #[command(after_help = "Examples:\n  orchestrator approval remembered")]
    Remembered,
    /// Forgets what people agreed to: they are asked again
    #[command(after_help = "Examples:\n  orchestrator approval forget 9c0d11aa22")]
    Forget {
        /// As `approval remembered` names it
        id: String,
    },
}

pub async fn run(context: &Context, command: ApprovalCommand) -> Result<u8, Failure> {
    match command {
        ApprovalCommand::List => list(context).await,
        ApprovalCommand::Approve { id, remember, open, every_node, duration } => {
            let valid_ms = duration.map_or(0, |duration| u64::from(units::to_millis(duration)));
            let remember = remember.then_some(Remember { open, every_node, valid_ms });
            answer(context, id, true, remember).await
        }
        ApprovalCommand::Deny { id } => answer(context, id, false, None).await,
        ApprovalCommand::Remembered => remembered(context).await,
        ApprovalCommand::Forget { id } => {
            let request = context.request(v1::ForgetRememberedRequest { id: id.clone() });
            context.plans().await?.forget_remembered(request).await?;
            context.console.say(&format!("{id} is forgotten"));
            Ok(0)
        }
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let request = context.request(v1::ListQuestionsRequest { run: String::new() });
    let reply = context.plans().await?.list_questions(request).await?.into_inner();
    let shapes: Vec<Shown<'_>> = reply.questions.iter().map(Into::into).collect();
    context.print_list(&shapes, "nobody is asked anything", |look| table(&reply.questions, look))?;
    for away in &reply.unreached {
        context.console.say(&format!("could not be asked: {away}"));
    }
    Ok(0)
}

async fn answer(
    context: &Context,
    id: String,
    approve: bool,
    remember: Option<Remember>,
) -> Result<u8, Failure> {
    let request = v1::AnswerQuestionRequest { id, answer: Some(Answer::Approve(approve)), remember };
    let reply = context.plans().await?.answer_question(context.request(request)).await?.into_inner();
    let word = if approve { "approved" } else { "denied" };
    if let Some(question) = &reply.question {
        context.console.say(&format!("{word}: {} on {}", question.step, question.node));
    }
    if !reply.remembered.is_empty() {
        context.console.say(&format!("remembered: {}", reply.remembered));
    }
    Ok(0)
}

/// The JSON of a question.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    id: &'a str,
    run: &'a str,
    node: &'a str,
    step: &'a str,
    /// `approval`, `unknown` or `question`.
    kind: &'static str,
    call: Option<&'a str>,
    why: Option<&'a str>,
    question: Option<&'a str>,
    options: &'a [String],
    expires: Option<String>,
}

impl<'a> From<&'a v1::OpenQuestion> for Shown<'a> {
    fn from(open: &'a v1::OpenQuestion) -> Self {
        let mut shown = Self {
            id: &open.id,
            run: &open.run,
            node: &open.node,
            step: &open.step,
            kind: "approval",
            call: None,
            why: None,
            question: None,
            options: &[],
            expires: None,
        };
        match &open.question {
            Some(Question::Approval(asked)) => {
                shown.call = Some(&asked.call);
                shown.expires = rfc3339(asked.expires_unix_ms);
            }
            Some(Question::Unknown(asked)) => {
                shown.kind = "unknown";
                shown.call = Some(&asked.call);
                shown.why = Some(&asked.why);
            }
            Some(Question::Human(asked)) => {
                shown.kind = "question";
                shown.question = Some(&asked.question);
                shown.options = &asked.options;
                shown.expires = rfc3339(asked.expires_unix_ms);
            }
            None => {}
        }
        shown
    }
}

pub fn table(questions: &[v1::OpenQuestion], look: &Look) -> String {
    let mut table = Table::new(&[
        ("ID", Fit::Keep),
        ("RUN", Fit::Keep),
        ("NODE", Fit::Keep),
        ("STEP", Fit::Keep),
        ("KIND", Fit::Keep),
        ("WHAT", Fit::Wrap),
    ]);
    for open in questions {
        let shown = Shown::from(open);
        let what = match shown.kind {
            "unknown" => {
                format!("was it done? {} ({})", shown.call.unwrap_or_default(), shown.why.unwrap_or_default())
            }
            "question" => shown.question.unwrap_or_default().to_owned(),
            _ => shown.call.unwrap_or_default().to_owned(),
        };
        table.row([
            Cell::styled(shown.id, Style::Bold),
            shown.run.into(),
            shown.node.into(),
            shown.step.into(),
            shown.kind.into(),
            what.into(),
        ]);
    }
    table.render(look)
}

#[derive(Debug, Serialize)]
struct Rule<'a> {
    id: &'a str,
    pattern: &'a str,
    /// `null`: on every node.
    node: Option<&'a str>,
    by: &'a str,
    until: Option<String>,
}

async fn remembered(context: &Context) -> Result<u8, Failure> {
    let request = context.request(v1::ListRememberedRequest {});
    let rules = context.plans().await?.list_remembered(request).await?.into_inner().rules;
    let shapes = rules.iter().map(|rule| Rule {
        id: &rule.id,
        pattern: &rule.pattern,
        node: (!rule.node.is_empty()).then_some(&rule.node),
        by: &rule.by,
        until: rfc3339(rule.until_unix_ms),
    });
    let shapes: Vec<Rule<'_>> = shapes.collect();
    context.print_list(&shapes, "nothing is remembered", |look| {
        let mut table = Table::new(&[
            ("ID", Fit::Keep),
            ("NODE", Fit::Keep),
            ("UNTIL", Fit::Keep),
            ("BY", Fit::Cut),
            ("COMMAND", Fit::Wrap),
        ]);
        for rule in &shapes {
            table.row([
                Cell::styled(rule.id, Style::Bold),
                rule.node.unwrap_or("all").into(),
                rule.until.as_deref().and_then(|until| until.get(..10)).unwrap_or_default().into(),
                rule.by.into(),
                rule.pattern.into(),
            ]);
        }
        table.render(look)
    })?;
    Ok(0)
}
