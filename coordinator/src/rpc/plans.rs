//! The gRPC face of plans and their runs: each call is one use case.

use std::sync::Arc;

use proto::v1;
use proto::v1::plans_server::Plans;
use tonic::Request;

use super::service::{Answer, answer};
use super::stream::{Events, stream};
use crate::fleet::Fleet;

#[derive(Clone)]
pub struct PlansService {
    fleet: Arc<Fleet>,
}

impl PlansService {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }
}

#[tonic::async_trait]
impl Plans for PlansService {
    type FollowRunStream = Events<v1::RunEvent>;

    async fn put_plan(&self, request: Request<v1::PutPlanRequest>) -> Answer<v1::PlanDetail> {
        answer(self.fleet.read_plan(request.get_ref()).await)
    }

    async fn list_plans(&self, _: Request<v1::ListPlansRequest>) -> Answer<v1::ListPlansReply> {
        answer(self.fleet.list_plans().await.map(|plans| v1::ListPlansReply { plans }))
    }

    async fn show_plan(&self, request: Request<v1::ShowPlanRequest>) -> Answer<v1::PlanDetail> {
        answer(self.fleet.show_plan(request.get_ref()).await)
    }

    async fn approve_plan(&self, request: Request<v1::ApprovePlanRequest>) -> Answer<v1::PlanSummary> {
        answer(self.fleet.approve_plan(request.get_ref()).await)
    }

    async fn start_run(&self, request: Request<v1::StartRunRequest>) -> Answer<v1::RunSummary> {
        answer(self.fleet.start_run(request.get_ref()).await)
    }

    async fn follow_run(&self, request: Request<v1::FollowRunRequest>) -> Answer<Self::FollowRunStream> {
        let request = request.into_inner();
        let fleet = Arc::clone(&self.fleet);
        stream(|sender| async move { fleet.follow_run(&request, &sender).await.map(|()| None) })
    }

    async fn list_runs(&self, _: Request<v1::ListRunsRequest>) -> Answer<v1::ListRunsReply> {
        answer(self.fleet.list_runs().await.map(|runs| v1::ListRunsReply { runs }))
    }

    async fn show_run(&self, request: Request<v1::ShowRunRequest>) -> Answer<v1::RunDetail> {
        answer(self.fleet.show_run(request.get_ref()).await)
    }

    async fn cancel_run(&self, request: Request<v1::CancelRunRequest>) -> Answer<v1::RunSummary> {
        answer(self.fleet.cancel_run(request.get_ref()).await)
    }

    async fn list_questions(
        &self,
        request: Request<v1::ListQuestionsRequest>,
    ) -> Answer<v1::ListQuestionsReply> {
        answer(self.fleet.list_questions(request.get_ref()).await)
    }

    async fn answer_question(
        &self,
        request: Request<v1::AnswerQuestionRequest>,
    ) -> Answer<v1::AnswerQuestionReply> {
        answer(self.fleet.answer_question(request.get_ref()).await)
    }

    async fn show_policy(&self, _: Request<v1::ShowPolicyRequest>) -> Answer<v1::PolicyReply> {
        answer(self.fleet.show_policy().await)
    }

    async fn set_policy(&self, request: Request<v1::SetPolicyRequest>) -> Answer<v1::PolicyReply> {
        answer(self.fleet.set_policy(request.get_ref()).await)
    }

    async fn check_policy(&self, request: Request<v1::CheckPolicyRequest>) -> Answer<v1::CheckPolicyReply> {
        answer(self.fleet.check_policy(request.get_ref()).await)
    }

    async fn list_remembered(
        &self,
        _: Request<v1::ListRememberedRequest>,
    ) -> Answer<v1::ListRememberedReply> {
        answer(self.fleet.list_remembered().await.map(|rules| v1::ListRememberedReply { rules }))
    }

    async fn forget_remembered(
        &self,
        request: Request<v1::ForgetRememberedRequest>,
    ) -> Answer<v1::ForgetRememberedReply> {
        let forgotten = self.fleet.forget_remembered(&request.get_ref().id).await;
        answer(forgotten.map(|()| v1::ForgetRememberedReply {}))
    }
}
