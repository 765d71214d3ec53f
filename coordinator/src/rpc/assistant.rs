//! The gRPC face of the language models.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use proto::v1;
use proto::v1::assistant_server::Assistant;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response};

use super::problem::to_status;
use super::service::{Answer, Events, answer};
use crate::fleet::Fleet;
use crate::fleet::ask::Told;

/// Events that may queue up for a slow listener.
const QUEUE: usize = 64;

#[derive(Clone)]
pub struct AssistantService {
    fleet: Arc<Fleet>,
}

impl AssistantService {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }
}

#[tonic::async_trait]
impl Assistant for AssistantService {
    type AskStream = Events<v1::AskEvent>;

    /// Nothing more is asked of a model once the person has hung up.
    async fn ask(&self, request: Request<v1::AskRequest>) -> Answer<Self::AskStream> {
        let request = request.into_inner();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let fleet = Arc::clone(&self.fleet);
        tokio::spawn(async move {
            let told = Told::to(sender.clone());
            let asked = tokio::select! {
                asked = fleet.ask(&request, &told) => asked,
                () = sender.closed() => return,
            };
            if let Err(error) = asked {
                let _ = sender.send(Err(error)).await;
            }
        });
        let events = ReceiverStream::new(receiver).map_err(|error| to_status(&error));
        Ok(Response::new(events.boxed()))
    }

    async fn budget(&self, _: Request<v1::BudgetRequest>) -> Answer<v1::BudgetReply> {
        answer(self.fleet.models.budget().await.map_err(Into::into))
    }

    async fn models(&self, _: Request<v1::ModelsRequest>) -> Answer<v1::ModelsReply> {
        answer(Ok(v1::ModelsReply { models: self.fleet.models.look().await }))
    }
}
