//! `run list|show|logs|cancel|answer`: runs of plans, and what their nodes did.

pub mod follow;
mod show;
pub mod story;

use proto::v1;
use proto::v1::answer_question_request::Answer;
use proto::v1::open_question::Question;

use super::Context;
use super::console::Format;
use super::problem::Failure;
pub use show::Summary;

#[derive(Debug, clap::Subcommand)]
pub enum RunCommand {
    /// Lists runs of plans, newest first
    #[command(
        after_help = "Examples:\n  orchestrator run list\n  orchestrator run list -o json | jq '.[].state'"
    )]
    List,
    /// Shows what each node did, step by step, and whether its receipts hold
    #[command(after_help = "Examples:
  orchestrator run show k3f9x2ab7c
  orchestrator run show k3f                           # the beginning of its name
  orchestrator run show k3f -o json | jq '.nodes[].steps'")]
    Show(OneRun),
    /// Follows a run until it ends or only waits
    #[command(after_help = "Examples:
  orchestrator run logs k3f9x2ab7c
  orchestrator run logs k3f -o json")]
    Logs(OneRun),
    /// Ends a run: no further node begins, and what runs is killed with all that it started
    #[command(after_help = "Examples:\n  orchestrator run cancel k3f9x2ab7c")]
    Cancel(OneRun),
    /// Answers a question of a plan, or whether something was done that nobody knows of
    #[command(after_help = "Examples:
  orchestrator run answer k3f9x2ab7c append done      # it was done: the run goes on behind it
  orchestrator run answer k3f append not-done         # it was not: it is done now
  orchestrator run answer k3f append stop             # the run ends there
  orchestrator run answer k3f agree yes --node attic")]
    Answer {
        #[command(flatten)]
        run: OneRun,
        /// The step that asks
        step: String,
        /// done, not-done or stop; or one of the answers that the plan's question has
        answer: String,
        /// The node that asks, where several do
        #[arg(long)]
        node: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub struct OneRun {
    /// A run, or the beginning of its name
    run: String,
}

pub async fn run(context: &Context, command: RunCommand) -> Result<u8, Failure> {
    match command {
        RunCommand::List => list(context).await,
        RunCommand::Show(one) => show(context, one.run).await,
        RunCommand::Logs(one) => follow::follow(context, &mut context.plans().await?, &one.run, false).await,
        RunCommand::Cancel(one) => cancel(context, one.run).await,
        RunCommand::Answer { run, step, answer, node } => {
            self::answer(context, &run.run, &step, &answer, node.as_deref()).await
        }
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let request = context.request(v1::ListRunsRequest {});
    let runs = context.plans().await?.list_runs(request).await?.into_inner().runs;
    let shapes: Vec<Summary<'_>> = runs.iter().map(Into::into).collect();
    let nothing = "nothing was run; try `orchestrator plan run ./plan.yaml`";
    context.print_list(&shapes, nothing, |look| show::list(&runs, look, context.now()))?;
    Ok(0)
}

async fn show(context: &Context, run: String) -> Result<u8, Failure> {
    let request = context.request(v1::ShowRunRequest { run });
    let detail = context.plans().await?.show_run(request).await?.into_inner();
    context.print_or(&show::Detail::from(&detail), |look| show::text(&detail, look))?;
    Ok(0)
}

async fn cancel(context: &Context, run: String) -> Result<u8, Failure> {
    let request = context.request(v1::CancelRunRequest { run });
    let run = context.plans().await?.cancel_run(request).await?.into_inner();
    if context.console.format == Format::Json {
        context.console.print_json(&Summary::from(&run))?;
    }
    if run.ended_unix_ms > 0 {
        context.console.say(&format!("run {} is cancelled", run.run));
        return Ok(0);
    }
    let note = if run.message.is_empty() { "nodes still end it".to_owned() } else { run.message.clone() };
    context.console.say(&format!("run {} will end: {note}", run.run));
    Ok(3)
}

async fn answer(
    context: &Context,
    run: &str,
    step: &str,
    text: &str,
    node: Option<&str>,
) -> Result<u8, Failure> {
    let mut client = context.plans().await?;
    let request = context.request(v1::ListQuestionsRequest { run: run.to_owned() });
    let reply = client.list_questions(request).await?.into_inner();
    let is_meant = |open: &&v1::OpenQuestion| {
        open.step == step
            && node.is_none_or(|node| open.node == node)
            && !matches!(open.question, Some(Question::Approval(_)) | None)
    };
    let meant: Vec<&v1::OpenQuestion> = reply.questions.iter().filter(is_meant).collect();
    let question = match meant.as_slice() {
        [] => return Err(nobody_asks(&reply, step)),
        [only] => *only,
        several => {
            let nodes: Vec<&str> = several.iter().map(|open| open.node.as_str()).collect();
            let message = format!("step {step} asks on {}", nodes.join(", "));
            return Err(Failure::invalid(message).with_hint("say which with --node"));
        }
    };
    let answer = match question.question {
        Some(Question::Unknown(_)) => Answer::Known(text.replace('-', "_")),
        Some(Question::Human(_) | Question::Approval(_)) | None => Answer::Text(text.to_owned()),
    };
    let request = v1::AnswerQuestionRequest { id: question.id.clone(), answer: Some(answer), remember: None };
    client.answer_question(context.request(request)).await?;
    context.console.say(&format!("{step} on {} is told: {text}", question.node));
    Ok(0)
}

fn nobody_asks(reply: &v1::ListQuestionsReply, step: &str) -> Failure {
    let failure = Failure::invalid(format!("step {step} asks nothing that this answers"));
    match reply.unreached.as_slice() {
        [] => failure.with_hint("`orchestrator approval list` shows all that is asked"),
        away => failure.with_hint(format!("not all nodes could be asked: {}", away.join("; "))),
    }
}
