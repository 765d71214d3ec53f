//! The gRPC face of the language models.

use std::sync::Arc;

use proto::v1;
use proto::v1::assistant_server::Assistant;
use tonic::Request;

use super::service::{Answer, answer};
use super::stream::{Events, stream};
use crate::fleet::Fleet;
use crate::fleet::ask::Told;

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
        let fleet = Arc::clone(&self.fleet);
        stream(|sender| async move {
            let told = Told::to(sender.clone());
            tokio::select! {
                asked = fleet.ask(&request, &told) => asked.map(|()| None),
                () = sender.closed() => Ok(None),
            }
        })
    }

    async fn budget(&self, _: Request<v1::BudgetRequest>) -> Answer<v1::BudgetReply> {
        answer(self.fleet.models.budget().await.map_err(Into::into))
    }

    async fn models(&self, _: Request<v1::ModelsRequest>) -> Answer<v1::ModelsReply> {
        answer(Ok(v1::ModelsReply { models: self.fleet.models.look().await }))
    }
}
