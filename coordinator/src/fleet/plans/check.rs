//! A plan against the fleet as it is now: on which nodes it would run, and whether it may there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plan::cost::{Estimate, estimate};
use plan::plan::Plan;
use plan::step::Call;
use plan::tool::Tool;
use proto::ids::{DeploymentName, NodeName};
use proto::v1;

use super::PlansError;
use crate::domain::node::NodeRecord;
use crate::domain::placement::{Condition, Selector};
use crate::domain::plan_check::{self, Actions, Checked, Known};
use crate::fleet::nodes::no_such_node;
use crate::fleet::observe::Observed;
use crate::fleet::snapshot::Snapshot;
use crate::fleet::{Fleet, FleetError, views};

/// How often a node is asked that has not tried its sandboxes yet, and how long the pause is between.
const LOOKS: usize = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// What was found out about a plan.
pub struct Against {
    pub nodes: BTreeMap<NodeName, Finding>,
    /// Why there are none.
    pub nowhere: Option<FleetError>,
    pub estimate: Estimate,
}

/// What was found out about a plan on one node.
pub struct Finding {
    /// Why it does not answer.
    pub unreachable: Option<String>,
    pub checked: Checked,
}

impl Against {
    /// Why the plan may not run, node by node.
    pub fn problems(&self) -> Vec<String> {
        let told = |(node, finding): (&NodeName, &Finding)| {
            finding.checked.problems.iter().map(|problem| format!("{node}: {problem}")).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(told).collect()
    }
}

impl Fleet {
    /// Judges the plan for every node that it would run on now. That it is for none is told, too: it may be meant for
    /// nodes that are still to come.
    pub(in crate::fleet) async fn check_plan(&self, plan: &Plan) -> Result<Against, FleetError> {
        let policy = self.policy().await?;
        let mut snapshot = self.recall().await?;
        let (chosen, nowhere) = match chosen(plan, &snapshot) {
            Ok(chosen) => (chosen, None),
            Err(error) => (BTreeSet::new(), Some(error)),
        };
        let records = snapshot.nodes.values().map(|kept| &kept.value);
        let records: Vec<&NodeRecord> = records.filter(|record| chosen.contains(&record.name)).collect();
        let observed = self.observe_tried(&records).await;
        snapshot.observed = observed;
        let actions = self.actions(plan, &snapshot).await?;
        let remembered = self.remembered().await?;
        let now = u64::try_from(self.clock.now()).unwrap_or_default();
        let mut nodes = BTreeMap::new();
        for node in chosen {
            let policy = policy.policy.with(&remembered, node.as_str(), now);
            let facts = snapshot.report(&node).and_then(|report| report.facts.as_ref());
            let offer = facts.map(|facts| plan_check::offer(&facts.sandbox));
            let actions = actions_on(&actions, &node, &snapshot);
            if let Some(key) = facts.map(|facts| &facts.receipt_key).filter(|key| !key.is_empty()) {
                self.pin_receipt_key(&node, key).await?;
            }
            let checked = plan_check::check(plan, &Known { policy: &policy, actions, offer });
            let unreachable = match snapshot.observed.get(&node) {
                Some(Observed::Unreachable(error)) => Some(error.to_string()),
                Some(Observed::Report { .. }) | None => None,
            };
            nodes.insert(node, Finding { unreachable, checked });
        }
        let count = u64::try_from(nodes.len().max(1)).unwrap_or(u64::MAX);
        Ok(Against { nodes, nowhere, estimate: estimate(plan, &self.models.prices(), count) })
    }

    /// The nodes as they are now. An agent that has just started has not tried its sandboxes yet: it is asked again.
    async fn observe_tried(&self, records: &[&NodeRecord]) -> BTreeMap<NodeName, Observed> {
        let mut observed = self.observe_all(records.iter().copied()).await;
        for _ in 0..LOOKS {
            let facts = |record: &&&NodeRecord| observed.get(&record.name)?.report()?.facts.as_ref();
            let is_untried =
                |record: &&&NodeRecord| facts(record).is_some_and(|facts| facts.sandbox.is_empty());
            let untried: Vec<&NodeRecord> = records.iter().filter(is_untried).copied().collect();
            if untried.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            observed.extend(self.observe_all(untried.into_iter()).await);
        }
        observed
    }

    /// The actions of the deployments that the plan speaks of.
    async fn actions(&self, plan: &Plan, snapshot: &Snapshot) -> Result<Actions, FleetError> {
        let mut actions = Actions::new();
        for name in plan.steps.iter().filter_map(|step| deployment(&step.call)) {
            let Some(kept) =
                DeploymentName::parse(name).ok().and_then(|name| snapshot.deployments.get(&name))
            else {
                continue;
            };
            let module = self.release(&kept.value.current.wish.release).await?;
            let declared = module.spec.actions.iter().map(|(name, action)| (name.to_string(), action.effect));
            actions.insert(name.to_owned(), declared.collect());
        }
        Ok(actions)
    }
}

/// The deployment whose action a call runs.
fn deployment(call: &Call) -> Option<&str> {
    let is_action = call.tool == Tool::ModuleAction;
    is_action.then(|| call.args.get("deployment").and_then(|value| value.as_str())).flatten()
}

/// Those of deployments that have an instance on the node.
fn actions_on(actions: &Actions, node: &NodeName, snapshot: &Snapshot) -> Actions {
    let is_there = |name: &str| {
        let kept = DeploymentName::parse(name).ok().and_then(|name| snapshot.deployments.get(&name));
        kept.is_some_and(|kept| kept.value.current.placements.values().any(|place| place == node))
    };
    actions.iter().filter(|(name, _)| is_there(name)).map(|(name, of)| (name.clone(), of.clone())).collect()
}

/// The nodes that a plan is for, as the fleet is now.
///
/// # Errors
/// Where it names a node that is not there, or is for none at all.
pub(in crate::fleet) fn chosen(plan: &Plan, snapshot: &Snapshot) -> Result<BTreeSet<NodeName>, FleetError> {
    let nodes = &plan.nodes;
    if let Some(unknown) = nodes.names.iter().find(|name| !snapshot.nodes.contains_key(*name)) {
        return Err(no_such_node(unknown.as_str(), snapshot));
    }
    let conditions = nodes.on.iter().map(|wanted| Condition::of_capability(wanted.as_str()));
    let mut chosen = views::placement_snapshot(snapshot).chosen(&Selector::of(conditions.collect()));
    chosen.retain(|name| nodes.names.is_empty() || nodes.names.contains(name));
    if chosen.is_empty() {
        return Err(PlansError::NoNodes { nodes: plan::show::nodes(nodes) }.into());
    }
    Ok(chosen)
}

impl Finding {
    pub fn wire(&self, node: &NodeName) -> v1::NodeCheck {
        let asks = self.checked.asks.iter().map(|ask| v1::node_check::Ask {
            step: ask.step.clone(),
            call: ask.call.clone(),
            why: ask.why.clone(),
        });
        v1::NodeCheck {
            node: node.to_string(),
            unreachable: self.unreachable.clone().unwrap_or_default(),
            problems: self.checked.problems.clone(),
            asks: asks.collect(),
        }
    }
}
