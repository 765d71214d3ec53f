//! Running an action of an instance's module for the coordinator, with its output as it comes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proto::code::Code;
use proto::ids::InstanceId;
use proto::v1::exec_output::Event;
use proto::v1::{ActRequest, ExecOutput};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::action::inside::Inside;
use crate::action::{self, Call, Place};
use crate::agent::Agent;
use crate::log;
use crate::rpc::exec::{self, Sender, TIMED_OUT, output};
use crate::rpc::{QUEUE, Stream, status};
use crate::runtime::engine::EngineError;
use crate::runtime::spawn::Launch;
use crate::scene::Scene;

pub fn act(agent: &Arc<Agent>, request: &ActRequest) -> Result<Stream<ExecOutput>, Status> {
    let id = InstanceId::parse(&request.instance)
        .map_err(|error| status(Code::InvalidInput, error.to_string()))?;
    let call = agent.action(&id, &request.action, &request.args);
    let call = call.map_err(|error| status(error.code(), log::chain(&error)))?;
    call.check_accepted(&request.action, action::accepted(request.accepts()))
        .map_err(|error| status(error.code(), error.to_string()))?;
    tracing::info!(instance = %id, action = request.action, effect = %call.effect, "action");
    let Call { timeout, argv, place, .. } = call;
    match place {
        Place::Beside(scene) => beside(&scene, argv, timeout),
        Place::Inside { service, lane } => {
            let place = agent.inside(&id, &service, lane);
            let place = place.map_err(|error| status(error.code(), error.to_string()))?;
            Ok(inside(place, argv, timeout))
        }
    }
}

fn beside(scene: &Scene, argv: Vec<String>, limit: Duration) -> Result<Stream<ExecOutput>, Status> {
    let launch = scene.command(argv, Path::new("/dev/null"));
    let launch = launch.map_err(|error| status(Code::Failed, log::chain(&error)))?;
    let launch = |stdout, stderr| Launch { stdout, stderr, ..launch };
    exec::stream(launch, limit).map_err(|error| status(Code::InvalidInput, log::chain(&error)))
}

fn inside(inside: Inside, argv: Vec<String>, limit: Duration) -> Stream<ExecOutput> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let ran = async {
            match timeout(limit, run(&inside, &argv, &sender)).await {
                Ok(Ok(code)) => code,
                Ok(Err(error)) => {
                    let text = format!("{}\n", log::chain(&error));
                    let _ = sender.send(Ok(output(Event::Stderr(text.into_bytes())))).await;
                    exec::NOT_RUN
                }
                Err(_) => {
                    // No engine ends a command that was begun in a container.
                    let text = format!("took longer than {limit:?}, and may still run in the container\n");
                    let _ = sender.send(Ok(output(Event::Stderr(text.into_bytes())))).await;
                    TIMED_OUT
                }
            }
        };
        tokio::select! {
            () = sender.closed() => {}
            code = ran => {
                let _ = sender.send(Ok(output(Event::ExitCode(code)))).await;
            }
        }
    });
    ReceiverStream::new(receiver)
}

async fn run(inside: &Inside, argv: &[String], sender: &Sender) -> Result<i32, EngineError> {
    let (id, mut stream) = inside.begin(argv).await?;
    while let Some((is_stderr, piece)) = inside.next(&mut stream).await? {
        let event = if is_stderr { Event::Stderr(piece) } else { Event::Stdout(piece) };
        if sender.send(Ok(output(event))).await.is_err() {
            break;
        }
    }
    inside.code(&id).await
}
