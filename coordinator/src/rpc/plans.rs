//! The gRPC face of plans and their runs: each call is one use case.

use std::sync::Arc;

use proto::v1;
use proto::v1::plans_server::Plans;
use tonic::Request;

use super::service::{Answer, answer};
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
}
