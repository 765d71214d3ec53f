//! A plan out of a goal: HIGH writes it, code checks it, HIGH corrects it once. What then is still wrong is refused.

use std::collections::{BTreeMap, BTreeSet};

use llm::budget::{Amount, Cap};
use llm::message::{Request, Response};
use llm::router::Decision;
use llm::tier::Tier;
use plan::cost::estimate;
use plan::money::Money;
use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::step::{Call, Tier as StepTier};
use plan::validate::Surroundings;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::ask_event::Drafted;
use serde_json::{Map, Value, json};

use super::prompt::{self, PLAN_TOKENS, Proposal, Proposed};
use super::{Asked, Told, world};
use crate::domain::plans::Source;
use crate::fault;
use crate::fleet::models::{Answer, ModelsError};
use crate::fleet::plans::chosen;
use crate::fleet::registry::known::Module;
use crate::fleet::{Fleet, FleetError};

/// A plan that code found nothing wrong with, and who wrote it.
struct Sound {
    plan: Plan,
    modules: Vec<String>,
    model: String,
}

impl Fleet {
    /// Has a plan drafted, and keeps it for a person to look at.
    pub(super) async fn draft(
        &self,
        asked: &Asked,
        decision: &Decision,
        modules: &BTreeMap<String, Module>,
        told: &Told,
    ) -> Result<(), FleetError> {
        if !self.models.has(Tier::High) {
            return Err(ModelsError::NotConfigured { tier: Tier::High }.into());
        }
        let policy = self.policy().await?.policy;
        let mut known = self.world_of(asked).await?;
        known.insert("modules".to_owned(), world::modules(modules.values(), &decision.mentioned));
        known.insert("tools".to_owned(), world::tools());
        known.insert("policy".to_owned(), world::policy(&policy));
        known.insert("limits".to_owned(), self.limits(asked).await?);
        let request = prompt::plan(&asked.goal, known);
        let sound = self.sound(asked, request, &policy, told).await?;
        fault::point("ask.drafted");
        for module in &sound.modules {
            told.module_drafted(self.keep_draft(module).await?).await;
        }
        let source = Source::Drafted { request: asked.goal.clone(), model: sound.model.clone() };
        let record = self.put_plan(&sound.plan, source).await?;
        self.remember_request(asked, &sound.plan, modules).await?;
        self.tell_plan(asked, &record.hash.to_string(), &sound.model, false, told).await
    }

    /// Tells a plan as it is kept, and what it took so far.
    pub(super) async fn tell_plan(
        &self,
        asked: &Asked,
        hash: &str,
        model: &str,
        is_earlier: bool,
        told: &Told,
    ) -> Result<(), FleetError> {
        let detail = self.show_plan(&v1::ShowPlanRequest { plan: hash.to_owned() }).await?;
        let spent = self.models.spent(&asked.asker).await?;
        told.drafted(Drafted {
            plan: Some(detail),
            model: model.to_owned(),
            is_earlier,
            spent: Some(v1::Amount { money: spent.money.to_string(), tokens: spent.tokens }),
        })
        .await;
        Ok(())
    }

    /// A plan with nothing wrong in it, after one correction at most.
    async fn sound(
        &self,
        asked: &Asked,
        request: Request,
        policy: &Policy,
        told: &Told,
    ) -> Result<Sound, FleetError> {
        let answer = self.ask_high(asked, &request, told).await?;
        let problems = match self.judge(asked, &answer.response, policy).await? {
            Ok(proposal) => return sound(proposal, answer.model),
            Err(problems) => problems,
        };
        told.corrected(&problems).await;
        let again = prompt::corrected(request, &answer.response.text, &problems);
        let answer = self.ask_high(asked, &again, told).await?;
        match self.judge(asked, &answer.response, policy).await? {
            Ok(proposal) => sound(proposal, answer.model),
            Err(problems) => Err(ModelsError::from(problems).into()),
        }
    }

    /// The answer may be as long as the budget still allows.
    async fn ask_high(&self, asked: &Asked, request: &Request, told: &Told) -> Result<Answer, FleetError> {
        let most = self.models.affordable(&asked.asker, Tier::High, request, PLAN_TOKENS).await?;
        let request = Request { max_tokens: most, ..request.clone() };
        let answer = self.models.ask(&asked.asker, StepTier::High, request).await?;
        told.spent(&answer).await;
        Ok(answer)
    }

    /// Everything that is wrong with an answer: its form, its nodes, its cost, and what nodes and policy say.
    async fn judge(
        &self,
        asked: &Asked,
        response: &Response,
        policy: &Policy,
    ) -> Result<Result<Proposal, Vec<String>>, FleetError> {
        let proposal = {
            let judge = |call: &Call| policy.judge(call, &Look::written());
            let surroundings = Surroundings { actions: None, judge: Some(&judge) };
            prompt::read(&asked.goal, response, &surroundings)
        };
        let Ok(mut proposal) = proposal else { return Ok(proposal) };
        let Proposed::Plan(plan) = &mut proposal.proposed else { return Ok(Ok(proposal)) };
        let snapshot = self.recall().await?;
        let nodes = match chosen(plan, &snapshot) {
            Ok(nodes) => nodes,
            Err(error) => return Ok(Err(vec![format!("nodes: {error}")])),
        };
        let mut problems = outside(&nodes, &asked.allowed);
        problems.extend(unshown(plan));
        let verdict = self.models.most(Tier::High, &prompt::longest_verdict(plan));
        let left = self.left(asked).await?;
        problems.extend(set_budget(plan, self.models.prices(), nodes.len(), &left, &verdict));
        if problems.is_empty() {
            let found = self.check_plan(plan).await?.nodes;
            problems = on_nodes(found.iter().map(|(node, finding)| (node, &finding.checked.problems)));
        }
        Ok(if problems.is_empty() { Ok(proposal) } else { Err(problems) })
    }

    /// What is left for the run, after what planning took.
    async fn left(&self, asked: &Asked) -> Result<Cap, FleetError> {
        let cap = self.models.cap_of(&asked.asker);
        let spent = self.models.spent(&asked.asker).await?;
        Ok(Cap {
            money: cap.money.map(|money| money.saturating_sub(spent.money)),
            tokens: cap.tokens.map(|tokens| tokens.saturating_sub(spent.tokens)),
        })
    }

    async fn limits(&self, asked: &Asked) -> Result<Value, FleetError> {
        let left = self.left(asked).await?;
        let mut limits = Map::new();
        limits.insert("steps".to_owned(), json!(plan::validate::MAX_STEPS));
        limits.insert(
            "nodes".to_owned(),
            json!(asked.allowed.iter().map(NodeName::as_str).take(100).collect::<Vec<_>>()),
        );
        if let Some(money) = left.money {
            limits.insert("usd_for_models_in_steps".to_owned(), json!(money.to_string()));
        }
        Ok(Value::Object(limits))
    }
}

fn sound(proposal: Proposal, model: String) -> Result<Sound, FleetError> {
    match proposal.proposed {
        Proposed::Plan(plan) => Ok(Sound { plan: *plan, modules: proposal.modules, model }),
        Proposed::Refused(why) => {
            let why = prompt::capped(&why, 1_000);
            Err(ModelsError::Unusable {
                what: "the model says that this cannot be done",
                problems: vec![why],
            }
            .into())
        }
    }
}

/// Nodes that were not asked for.
fn outside(nodes: &BTreeSet<NodeName>, allowed: &BTreeSet<NodeName>) -> Vec<String> {
    if nodes.is_subset(allowed) {
        return Vec::new();
    }
    let (wider, allowed) = (names(nodes.difference(allowed)), names(allowed.iter()));
    vec![format!("nodes: found {wider}, which the person did not ask for; choose among {allowed}, by names")]
}

fn names<'n>(nodes: impl Iterator<Item = &'n NodeName>) -> String {
    nodes.take(20).map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

/// A plan must be able to show what it reached.
fn unshown(plan: &Plan) -> Option<String> {
    (plan::verify::needs_showing(plan) && !plan::verify::can_be_shown(plan)).then(|| {
        "steps: nothing in the plan can show that its goal is reached; after the steps that change something there must \
         be a collect or verify step with `success` predicates that refer to its own output"
            .to_owned()
    })
}

/// A plan may use what it can come to at worst, which must be left, and a verdict on it as far as there is more.
fn set_budget(
    plan: &mut Plan,
    prices: plan::cost::Prices,
    nodes: usize,
    left: &Cap,
    verdict: &Amount,
) -> Vec<String> {
    let count = u64::try_from(nodes.max(1)).unwrap_or(u64::MAX);
    let worst = estimate(plan, &prices, count).worst;
    let dearer = worst.money.plus(Money::micros(verdict.money.as_micros()));
    plan.budget.money = match left.money {
        Some(left) => dearer.min(Money::micros(left.as_micros()).max(worst.money)),
        None => dearer,
    };
    let longer = worst.tokens.saturating_add(verdict.tokens);
    plan.budget.tokens = left.tokens.map_or(longer, |left| longer.min(left.max(worst.tokens)));
    let mut problems = Vec::new();
    if let Some(money) =
        left.money.map(|money| Money::micros(money.as_micros())).filter(|left| worst.money > *left)
    {
        problems.push(format!(
            "steps: the models in them can cost {} at worst, and {money} is left; use tools of tier none instead",
            worst.money
        ));
    }
    if let Some(tokens) = left.tokens.filter(|left| worst.tokens > *left) {
        problems.push(format!(
            "steps: the models in them can take {} tokens at worst, and {tokens} are left; use tools of tier none instead",
            worst.tokens
        ));
    }
    problems
}

/// Problems by node; one that all have is told once.
fn on_nodes<'p>(found: impl Iterator<Item = (&'p NodeName, &'p Vec<String>)>) -> Vec<String> {
    let mut by_problem: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, problems) in found {
        problems.iter().for_each(|problem| by_problem.entry(problem).or_default().push(node.as_str()));
    }
    let told = by_problem.into_iter().map(|(problem, nodes)| {
        let more = if nodes.len() > 5 { " and others" } else { "" };
        format!("{problem} (on {}{more})", nodes.iter().take(5).copied().collect::<Vec<_>>().join(", "))
    });
    told.collect()
}
