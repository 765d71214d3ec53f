//! The story of `orchestrator ask`: route what a person wants, and offer a module, take an earlier plan, answer, or have
//! a plan drafted. Nothing is carried out here: a plan that is kept still needs a yes.

mod draft;
mod earlier;
pub(crate) mod prompt;
mod told;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llm::budget::Cap;
use llm::money::Money;
use llm::rates::guard;
use llm::router::trigger::Trigger;
use llm::router::{Decision, Route, classify, route};
use llm::tier::Tier;
use modules::digest::Digest;
use plan::step::Tier as StepTier;
use proto::ids::NodeName;
use proto::v1;
use serde_json::{Map, Value, json};

pub use told::Told;

use super::models::{Asker, ModelsError};
use super::registry::known::Module;
use super::{Fleet, FleetError};
use crate::domain::placement::Selector;

const MAX_GOAL: usize = 2000;
/// Words that nodes and deployments are told with, for an answer.
const STATUS: usize = 16 << 10;

/// What is asked, checked.
struct Asked {
    goal: String,
    /// The nodes that may be used: all, unless some were chosen.
    allowed: BTreeSet<NodeName>,
    /// How they were chosen, in words; empty where they were not.
    scope: String,
    asker: Asker,
}

impl Fleet {
    /// Finds out what a request comes to, and tells it step by step.
    ///
    /// # Errors
    /// Where no model is there that it needs, the budget does not allow it, or no usable plan came of it.
    pub async fn ask(self: &Arc<Self>, request: &v1::AskRequest, told: &Told) -> Result<(), FleetError> {
        let asked = self.asked(request).await?;
        let modules = self.known_modules().await?;
        let earlier = if request.fresh { Vec::new() } else { self.similar_to(&asked, &modules).await? };
        let decision = route(&asked.goal, &triggers(&modules, request.only_plan), &earlier);
        let decision = match decision.route {
            Route::Classify if request.only_plan => planned(decision, "a plan is asked for"),
            Route::Classify => self.classified(&asked, decision, &modules).await?,
            Route::Module { .. } | Route::Earlier { .. } | Route::Low | Route::Plan => decision,
        };
        told.routed(&decision).await;
        match &decision.route {
            Route::Module { module } => told.offered(module).await,
            Route::Earlier { plan } => self.tell_earlier(&asked, plan, told).await?,
            Route::Low => self.answer(&asked, told).await?,
            Route::Plan | Route::Classify => self.draft(&asked, &decision, &modules, told).await?,
        }
        Ok(())
    }

    async fn asked(&self, request: &v1::AskRequest) -> Result<Asked, FleetError> {
        let goal = request.goal.trim().to_owned();
        if goal.is_empty() || goal.chars().count() > MAX_GOAL {
            return Err(FleetError::Invalid {
                message: format!("a goal has 1 to {MAX_GOAL} characters, this one {}", goal.chars().count()),
                hint: Some("say in a sentence what is to be reached".to_owned()),
            });
        }
        let money = match request.budget.as_str() {
            "" => None,
            text => Some(plan::money::Money::parse(text).map_err(|cause| FleetError::Invalid {
                message: format!("cannot read the budget {text:?}"),
                hint: Some(cause.to_string()),
            })?),
        };
        let money = money.map(|money| Money::micros(money.micros));
        let allowed = self.allowed(request).await?;
        let now = self.clock.now();
        let unique = Digest::of(format!("{goal}\n{now}\n{}\n{}", self.by, self.models.random()).as_bytes());
        Ok(Asked {
            goal,
            allowed,
            scope: scope(request),
            asker: Asker {
                account: format!("ask-{}", &unique.hex()[..10]),
                node: None,
                cap: Cap { money, tokens: None },
            },
        })
    }

    /// All nodes, or those that were named and selected.
    async fn allowed(&self, request: &v1::AskRequest) -> Result<BTreeSet<NodeName>, FleetError> {
        let snapshot = self.recall().await?;
        for name in &request.nodes {
            if !snapshot.nodes.keys().any(|node| node.as_str() == name) {
                return Err(super::nodes::no_such_node(name, &snapshot));
            }
        }
        let selector = Selector::parse(&request.selector)
            .map_err(|cause| FleetError::Selector { selector: request.selector.clone(), cause })?;
        let matching = super::views::placement_snapshot(&snapshot).chosen(&selector);
        let is_named = |node: &NodeName| {
            request.nodes.is_empty() || request.nodes.iter().any(|name| name == node.as_str())
        };
        let allowed: BTreeSet<NodeName> = matching.into_iter().filter(is_named).collect();
        if allowed.is_empty() && !snapshot.nodes.is_empty() {
            return Err(FleetError::Invalid {
                message: format!("no node is {}", scope(request)),
                hint: Some("`orchestrator node list` shows names, labels and capabilities".to_owned()),
            });
        }
        Ok(allowed)
    }

    /// Asks LOW what kind of request it is, where that is likely to save money.
    async fn classified(
        &self,
        asked: &Asked,
        decision: Decision,
        modules: &BTreeMap<String, Module>,
    ) -> Result<Decision, FleetError> {
        if !self.models.has(Tier::Low) {
            return Ok(planned(decision, "no language model is configured that could tell what it is"));
        }
        let names: Vec<String> = modules.keys().cloned().collect();
        let request = classify::request(&asked.goal, &names);
        let class = format!("route/{:?}", decision.band).to_lowercase();
        let (low, high) = (
            self.models.worst(Tier::Low, &request),
            self.models.worst(Tier::High, &prompt::plan(&asked.goal, Map::new())),
        );
        let model = self.models.first(Tier::Low);
        let guarded = guard(low, high, &self.models.rates().await?.of(&class, &model));
        if guarded.first == Tier::High && self.models.has(Tier::High) {
            return Ok(planned(decision, &guarded.reason));
        }
        let answer = match self.models.ask(&asked.asker, StepTier::Low, request).await {
            Ok(answer) => answer,
            Err(error) if error.is_over_budget() => return Err(error.into()),
            Err(error) => return Ok(planned(decision, &format!("LOW could not be asked: {error}"))),
        };
        let decision = classify::read(decision, &answer.response, &names);
        self.models.judged(&class, &model, decision.route != Route::Plan).await?;
        Ok(decision)
    }

    /// Answers a question from what is known.
    async fn answer(self: &Arc<Self>, asked: &Asked, told: &Told) -> Result<(), FleetError> {
        let mut known = self.world_of(asked).await?;
        let status = self.status(&v1::StatusRequest { deployment: String::new() }).await?;
        let status: Vec<Value> = status
            .iter()
            .map(
                |of| json!({"deployment": of.name, "state": of.state().as_str_name(), "message": of.message}),
            )
            .collect();
        let status = prompt::capped(&Value::Array(status).to_string(), STATUS);
        known.insert("status".to_owned(), Value::String(status));
        let request = prompt::answer(&asked.goal, known);
        let answer = self.models.ask(&asked.asker, StepTier::Low, request).await?;
        told.spent(&answer).await;
        told.answered(answer.response.text.trim()).await;
        Ok(())
    }

    /// The nodes that may be used, and what runs on them.
    async fn world_of(&self, asked: &Asked) -> Result<Map<String, Value>, FleetError> {
        let nodes = self.list_nodes(&v1::ListNodesRequest { name: String::new() }).await?;
        let nodes: Vec<v1::Node> = nodes
            .into_iter()
            .filter(|node| asked.allowed.iter().any(|allowed| allowed.as_str() == node.name))
            .collect();
        let mut running = Vec::new();
        for (name, kept) in self.recall().await?.deployments {
            let nodes: BTreeSet<NodeName> = kept
                .value
                .current
                .placements
                .values()
                .filter(|node| asked.allowed.contains(node))
                .cloned()
                .collect();
            if !nodes.is_empty() {
                let spec = self.release(&kept.value.current.wish.release).await?.spec;
                running.push(world::Running { name: name.to_string(), spec, nodes });
            }
        }
        let told = [("nodes", world::nodes(&nodes)), ("deployments", world::deployments(&running))];
        Ok(told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// A plan is drafted, and this is why.
fn planned(decision: Decision, reason: &str) -> Decision {
    let mut reasons = decision.reasons;
    reasons.retain(|reason| reason != "LOW is asked what kind of request it is");
    reasons.push(format!("HIGH plans it: {reason}"));
    Decision { route: Route::Plan, reasons, ..decision }
}

/// Where only a plan will do, no words lead to a module.
fn triggers(modules: &BTreeMap<String, Module>, only_plan: bool) -> Vec<Trigger> {
    let words = |module: &Module| module.newest().spec.triggers.clone();
    let triggers =
        modules.iter().map(|(name, module)| Trigger { module: name.clone(), words: words(module) });
    if only_plan { Vec::new() } else { triggers.collect() }
}

/// How the nodes were chosen; the same choice gives the same text.
fn scope(request: &v1::AskRequest) -> String {
    let mut nodes: Vec<&str> = request.nodes.iter().map(String::as_str).collect();
    nodes.sort_unstable();
    match (nodes.is_empty(), request.selector.is_empty()) {
        (true, true) => String::new(),
        (false, true) => nodes.join(", "),
        (true, false) => request.selector.clone(),
        (false, false) => format!("{} with {}", nodes.join(", "), request.selector),
    }
}

impl From<Vec<String>> for ModelsError {
    fn from(problems: Vec<String>) -> Self {
        ModelsError::Unusable {
            what: "the model's plan cannot be used, not even after it was corrected once",
            problems,
        }
    }
}
