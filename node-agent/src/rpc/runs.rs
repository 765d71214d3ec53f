//! Runs of plans, as the coordinator sees them.

use std::sync::Arc;

use modules::digest::Digest;
use plan::money::Money;
use plan::run::event::{Answer, Work};
use plan::step::StepId;
use proto::code::Code;
use proto::v1::run_input::Input as Said;
use proto::v1::runs_server::Runs as Service;
use proto::v1::{
    Attach, BeginRunReply, BeginRunRequest, ListNodeRunsReply, ListNodeRunsRequest, ModelAnswer,
    ModuleAnswer, ReplanAnswer, RunInput, RunOutput, model_answer, module_answer, replan_answer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::log;
use crate::rpc::{QUEUE, Stream, status};
use crate::runs::Runs;
use crate::runs::follow::{self, From};
use crate::runs::id::RunId;
use crate::runs::live::{Input, Live, ModuleReply, Reply};

/// What the calls work on.
#[derive(Clone)]
pub struct RunsRpc(pub Arc<Runs>);

const MAX_WHO: usize = 200;

#[tonic::async_trait]
impl Service for RunsRpc {
    type FollowStream = Stream<RunOutput>;

    async fn begin(&self, request: Request<BeginRunRequest>) -> Result<Response<BeginRunReply>, Status> {
        let (runs, request) = (self.0.clone(), request.into_inner());
        // A task of its own: a run that is on disk is carried out even when the caller has gone.
        let task = tokio::spawn(async move { runs.begin(request).await });
        let begun = task.await.map_err(|error| status(Code::Internal, error.to_string()))?;
        begun.map_err(|error| status(error.code(), log::chain(&error)))?;
        Ok(Response::new(BeginRunReply { receipt_key: self.0.receipt_key() }))
    }

    async fn follow(
        &self,
        request: Request<Streaming<RunInput>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let mut said = request.into_inner();
        let Some(RunInput { input: Some(Said::Attach(attach)) }) = said.message().await? else {
            return Err(invalid("the first input must name the run to follow"));
        };
        let live = self.find(&attach)?;
        let from = From { record: attach.from_record, receipt: attach.from_receipt };
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(listen(live.clone(), said, sender.downgrade()));
        tokio::spawn(follow::follow(live, from, sender));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list(
        &self,
        _request: Request<ListNodeRunsRequest>,
    ) -> Result<Response<ListNodeRunsReply>, Status> {
        Ok(Response::new(ListNodeRunsReply { runs: self.0.list() }))
    }
}

impl RunsRpc {
    fn find(&self, attach: &Attach) -> Result<Arc<Live>, Status> {
        let id = RunId::parse(&attach.run).map_err(|error| invalid(&error.to_string()))?;
        let missing = || status(Code::NotFound, format!("this node has no run {id}"));
        let live = self.0.find(&id).ok_or_else(missing)?;
        let about = live.about();
        if live.is_over() && !about.damaged.is_empty() {
            return Err(status(
                Code::Failed,
                format!("the journal of run {id} cannot be read: {}", about.damaged),
            ));
        }
        Ok(live)
    }
}

/// Hands on what the other side says, until it goes. What cannot be understood is told, and ends the stream.
async fn listen(
    live: Arc<Live>,
    mut said: Streaming<RunInput>,
    sender: mpsc::WeakSender<Result<RunOutput, Status>>,
) {
    while let Ok(Some(RunInput { input: Some(said) })) = said.message().await {
        match input(said) {
            Ok(input) => live.hand_in(input).await,
            Err(why) => {
                if let Some(sender) = sender.upgrade() {
                    let _ = sender.send(Err(invalid(&why))).await;
                }
                return;
            }
        }
    }
}

fn input(said: Said) -> Result<Input, String> {
    Ok(match said {
        Said::Attach(_) => return Err("a stream follows one run only".to_owned()),
        Said::Approval(answer) => Input::Approval {
            step: step(&answer.step)?,
            request: digest(&answer.request)?,
            approved: answer.approved,
            by: who(&answer.by)?,
        },
        Said::Unknown(answer) => Input::Unknown {
            step: step(&answer.step)?,
            attempt: answer.attempt,
            work: work(&answer.work)?,
            answer: known(&answer.answer)?,
            by: who(&answer.by)?,
        },
        Said::Model(answer) => Input::Reply { need: answer.need.clone(), reply: model(answer)? },
        Said::Replan(answer) => Input::Reply { need: answer.need.clone(), reply: replan(answer)? },
        Said::Module(answer) => Input::Reply { need: answer.need.clone(), reply: module(answer)? },
        Said::Human(answer) => {
            let by = who(&answer.by)?;
            Input::Reply { need: answer.need, reply: Reply::Human { answer: answer.answer, by } }
        }
        Said::Cancel(cancel) => Input::Cancel { by: who(&cancel.by)? },
    })
}

fn model(answer: ModelAnswer) -> Result<Reply, String> {
    let money = match answer.money.as_str() {
        "" => Money::ZERO,
        text => Money::parse(text).map_err(|error| error.to_string())?,
    };
    let response = match answer.answer {
        Some(model_answer::Answer::ResponseJson(json)) => Ok(json),
        Some(model_answer::Answer::Error(why)) => Err(why),
        None => return Err("an answer of a model without one".to_owned()),
    };
    Ok(Reply::Model { response, tokens: answer.tokens, money })
}

fn replan(answer: ReplanAnswer) -> Result<Reply, String> {
    Ok(Reply::Replan(match answer.answer {
        Some(replan_answer::Answer::Plan(plan)) => Ok((plan.json, plan.hash)),
        Some(replan_answer::Answer::Error(why)) => Err(why),
        None => return Err("an answer with neither a plan nor an error".to_owned()),
    }))
}

fn module(answer: ModuleAnswer) -> Result<Reply, String> {
    Ok(Reply::Module(match answer.answer {
        Some(module_answer::Answer::OutJson(out_json)) => ModuleReply::Done { out_json },
        Some(module_answer::Answer::Error(why)) => ModuleReply::NotDone(why),
        Some(module_answer::Answer::Unknown(why)) => ModuleReply::Unknown(why),
        None => return Err("an answer about a module without one".to_owned()),
    }))
}

fn step(text: &str) -> Result<StepId, String> {
    StepId::parse(text).map_err(|error| error.to_string())
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|error| error.to_string())
}

/// It is written down and signed: there must be somebody.
fn who(text: &str) -> Result<String, String> {
    match text.is_empty() || text.len() > MAX_WHO || text.chars().any(char::is_control) {
        true => Err("an answer without the name of who gave it".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn work(text: &str) -> Result<Work, String> {
    match text {
        "do" => Ok(Work::Do),
        "undo" => Ok(Work::Undo),
        _ => Err(format!("{text:?} is neither \"do\" nor \"undo\"")),
    }
}

fn known(text: &str) -> Result<Answer, String> {
    match text {
        "done" => Ok(Answer::Done),
        "not_done" => Ok(Answer::NotDone),
        "stop" => Ok(Answer::Stop),
        _ => Err(format!("{text:?} is none of \"done\", \"not_done\" and \"stop\"")),
    }
}

fn invalid(why: &str) -> Status {
    status(Code::InvalidInput, why.to_owned())
}
