//! What a person is told while a request is worked on.

use llm::router::{Decision, Route};
use proto::v1;
use proto::v1::ask_event::{Answered, Corrected, Drafted, Event, ModuleDrafted, Offered, Routed, Spent};
use tokio::sync::mpsc;

use crate::fleet::FleetError;
use crate::fleet::models::Answer;

/// Where it is told. Who has hung up is told nothing more, and that is no error.
#[derive(Clone)]
pub struct Told {
    to: mpsc::Sender<Result<v1::AskEvent, FleetError>>,
}

impl Told {
    pub fn to(to: mpsc::Sender<Result<v1::AskEvent, FleetError>>) -> Told {
        Told { to }
    }

    pub(super) async fn routed(&self, decision: &Decision) {
        let route = match &decision.route {
            Route::Module { .. } => "module",
            Route::Earlier { .. } => "earlier",
            Route::Low => "answer",
            Route::Classify | Route::Plan => "plan",
        };
        self.tell(Event::Routed(Routed { route: route.to_owned(), reasons: decision.reasons.clone() })).await;
    }

    pub(super) async fn spent(&self, answer: &Answer) {
        self.tell(Event::Spent(Spent {
            model: answer.model.clone(),
            provider: answer.provider.clone(),
            tokens: answer.tokens,
            money: answer.money.to_string(),
        }))
        .await;
    }

    pub(super) async fn corrected(&self, problems: &[String]) {
        self.tell(Event::Corrected(Corrected { problems: problems.to_vec() })).await;
    }

    pub(super) async fn answered(&self, text: &str) {
        self.tell(Event::Answered(Answered { text: text.to_owned() })).await;
    }

    pub(super) async fn offered(&self, module: &str) {
        self.tell(Event::Offered(Offered { module: module.to_owned() })).await;
    }

    pub(super) async fn drafted(&self, drafted: Drafted) {
        self.tell(Event::Drafted(drafted)).await;
    }

    pub(super) async fn module_drafted(&self, drafted: ModuleDrafted) {
        self.tell(Event::Module(drafted)).await;
    }

    async fn tell(&self, event: Event) {
        let _ = self.to.send(Ok(v1::AskEvent { event: Some(event) })).await;
    }
}
