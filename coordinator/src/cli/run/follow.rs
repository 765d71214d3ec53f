//! Follows a run: shows what happens as it comes and, on a terminal, asks its questions right there.

use std::collections::BTreeSet;
use std::time::Duration;

use plan::run::event::Record;
use proto::code::Code;
use proto::v1;
use proto::v1::RunState;
use proto::v1::answer_question_request::Answer;
use proto::v1::open_question::Question;
use proto::v1::run_event::Event;
use tokio::time::timeout;

use super::show::Summary;
use super::story;
use crate::cli::Context;
use crate::cli::console::{Format, Style, printable};
use crate::cli::interrupt::Interrupt;
use crate::cli::problem::{Failure, Problem};
use crate::rpc::PlansClient;

/// Follows it until it ends or only waits. Who `answers` is asked on the terminal.
pub async fn follow(
    context: &Context,
    client: &mut PlansClient,
    run: &str,
    answers: bool,
) -> Result<u8, Failure> {
    let interrupt = Interrupt::listen();
    let request = v1::FollowRunRequest { run: run.to_owned(), answers };
    let mut events = client.follow_run(request).await?.into_inner();
    let mut asked = BTreeSet::new();
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            () = interrupt.pressed() => return Err(detach(context, run)),
        };
        let Some(event) = event else { return Err(broken(run)) };
        match event.event {
            Some(Event::Questions(questions)) if answers => {
                for question in questions.questions {
                    if asked.insert(question.id.clone()) {
                        ask(context, client, &question, &interrupt, run).await?;
                    }
                }
            }
            Some(Event::Finished(finished)) => return tell(context, finished),
            Some(event) => show(context, &event)?,
            None => {}
        }
    }
}

fn detach(context: &Context, run: &str) -> Failure {
    context.console.say(&format!(
        "the run goes on: nodes that have begun go on by themselves, further ones begin when `orchestrator serve` or \
         another command looks at runs; `orchestrator run logs {run}` follows it again, `orchestrator run cancel {run}` \
         ends it"
    ));
    Failure::Interrupted
}

fn broken(run: &str) -> Failure {
    Failure::from(Problem::new(Code::Unreachable, "the coordinator ended before the run did"))
        .with_hint(format!("`orchestrator run logs {run}` follows it again"))
}

fn show(context: &Context, event: &Event) -> Result<(), Failure> {
    let console = &context.console;
    if console.format == Format::Json {
        return Ok(());
    }
    let look = &console.err;
    match event {
        Event::Record(record) => {
            let Ok(parsed) = serde_json::from_str::<Record>(&record.json) else { return Ok(()) };
            if let Some((style, text)) = story::line(&parsed.event) {
                console.say(&format!(
                    "{}  {}",
                    look.paint(Style::Bold, &record.node),
                    look.paint(style, &text)
                ));
            }
        }
        Event::Node(state) if !state.message.is_empty() => {
            let text = printable(&state.message);
            console.say(&format!(
                "{}  {}",
                look.paint(Style::Bold, &state.node),
                look.paint(Style::Dim, &text)
            ));
        }
        Event::Printed(printed) => {
            for line in printed.text.lines() {
                let text = printable(&format!("{}| {line}", printed.step));
                console.say(&format!(
                    "{}  {}",
                    look.paint(Style::Bold, &printed.node),
                    look.paint(Style::Dim, &text)
                ));
            }
        }
        Event::Node(_) | Event::Questions(_) | Event::Finished(_) => {}
    }
    Ok(())
}

/// The verdict, and the exit status that goes with it.
fn tell(context: &Context, finished: v1::run_event::Finished) -> Result<u8, Failure> {
    let Some(run) = finished.run else { return Ok(1) };
    if context.console.format == Format::Json {
        context.console.print_json(&Summary::from(&run))?;
    }
    let message =
        if run.message.is_empty() { String::new() } else { format!(": {}", printable(&run.message)) };
    let count = format!("{} of {} nodes", run.done, run.nodes);
    let (word, exit) = match run.state() {
        RunState::Done => (format!("done on {count}"), 0),
        RunState::Running | RunState::Waiting | RunState::Unspecified => ("waiting".to_owned(), 3),
        RunState::Failed => (format!("failed, done on {count}"), 1),
        RunState::Cancelled => (format!("cancelled, done on {count}"), 1),
        RunState::Unknown => (format!("not all is known, done on {count}"), 1),
        RunState::Unverified => (format!("unverified, carried out on {count}"), 1),
    };
    let dry = if run.dry_run { "dry run, nothing was changed: " } else { "" };
    context.console.say(&format!("run {}: {dry}{word}{message}", run.run));
    if !finished.hint.is_empty() {
        context.console.say(&format!("hint: {}", finished.hint));
    }
    Ok(exit)
}

/// Asks on the terminal, and sends what was said. An answer that comes too late is told, and the run goes on.
async fn ask(
    context: &Context,
    client: &mut PlansClient,
    open: &v1::OpenQuestion,
    interrupt: &Interrupt,
    run: &str,
) -> Result<(), Failure> {
    let Some(question) = &open.question else { return Ok(()) };
    loop {
        let said = tokio::select! {
            line = read_line(prompt(open, question)) => line?,
            () = interrupt.pressed() => {
                let failure = detach(context, run);
                // The reader still waits for a line, and would keep the process with it.
                std::process::exit(i32::from(failure.exit()));
            }
        };
        let Some(answer) = understood(question, said.trim()) else { continue };
        let request = v1::AnswerQuestionRequest { id: open.id.clone(), answer: Some(answer), remember: None };
        let told = async { client.answer_question(context.request(request)).await.map_err(Failure::from) };
        match timeout(ANSWER, told).await {
            Ok(Ok(_)) => {}
            Ok(Err(Failure::Problem(problem))) => {
                context.console.say(problem.render(&context.console.err).trim_end());
            }
            Ok(Err(failure)) => return Err(failure),
            Err(_) => context.console.say("the answer did not reach the node in time"),
        }
        return Ok(());
    }
}

const ANSWER: Duration = Duration::from_secs(30);

fn prompt(open: &v1::OpenQuestion, question: &Question) -> String {
    let place = format!("{} on {}", open.step, open.node);
    match question {
        Question::Approval(asked) => format!("{place}: {} — do it? [y/n] ", printable(&asked.call)),
        Question::Unknown(asked) => format!(
            "{place}: nobody knows whether this was done ({}): {} — was it? [done/not-done/stop] ",
            printable(&asked.why),
            printable(&asked.call)
        ),
        Question::Human(asked) => {
            let options =
                if asked.options.is_empty() { "yes/no".to_owned() } else { asked.options.join("/") };
            format!("{place}: {} [{}] ", printable(&asked.question), printable(&options))
        }
    }
}

async fn read_line(prompt: String) -> Result<String, Failure> {
    let line = tokio::task::spawn_blocking(move || {
        eprint!("{prompt}");
        let mut line = String::new();
        match std::io::stdin().read_line(&mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    });
    let line = line.await.expect("reading a line does not panic");
    line.map_err(|cause: std::io::Error| Failure::io("could not read from the terminal", &cause))
}

fn understood(question: &Question, said: &str) -> Option<Answer> {
    let lower = said.to_lowercase();
    match question {
        Question::Approval(_) => match lower.as_str() {
            "y" | "yes" => Some(Answer::Approve(true)),
            "n" | "no" => Some(Answer::Approve(false)),
            _ => None,
        },
        Question::Unknown(_) => match lower.as_str() {
            "done" | "stop" => Some(Answer::Known(lower)),
            "not-done" | "not done" | "not_done" => Some(Answer::Known("not_done".to_owned())),
            _ => None,
        },
        Question::Human(asked) if asked.options.is_empty() => match lower.as_str() {
            "y" | "yes" => Some(Answer::Text("yes".to_owned())),
            "n" | "no" => Some(Answer::Text("no".to_owned())),
            _ => None,
        },
        Question::Human(asked) => {
            asked.options.iter().any(|option| option == said).then(|| Answer::Text(said.to_owned()))
        }
    }
}
