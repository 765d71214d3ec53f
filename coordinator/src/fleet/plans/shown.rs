//! Plans as people and programs see them.

use plan::cost::Cost;
use plan::plan::Plan;
use plan::show::show;
use proto::v1;
use proto::v1::plan_source::{self, Drafted, File};

use super::check::Against;
use crate::domain::plans::{PlanRecord, Source};

pub fn detail(plan: &Plan, record: Option<&PlanRecord>, against: Against) -> v1::PlanDetail {
    v1::PlanDetail {
        plan: Some(summary(plan, record)),
        is_kept: record.is_some(),
        json: plan.canonical(),
        shown: show(plan, Some(&against.estimate)),
        expected: Some(cost(&against.estimate.expected)),
        worst: Some(cost(&against.estimate.worst)),
        nodes: against.nodes.iter().map(|(node, finding)| finding.wire(node)).collect(),
        nowhere: against.nowhere.map(|error| error.to_string()).unwrap_or_default(),
    }
}

pub fn summary(plan: &Plan, record: Option<&PlanRecord>) -> v1::PlanSummary {
    let approval = record.and_then(|record| record.approval.as_ref());
    v1::PlanSummary {
        hash: plan.hash().to_string(),
        goal: plan.goal.clone(),
        source: record.map(|record| source(&record.source)),
        put_unix_ms: record.map_or(0, |record| record.put_at),
        put_by: record.map(|record| record.put_by.clone()).unwrap_or_default(),
        approval: approval.map(|approval| v1::PlanApproval {
            by: approval.by.clone(),
            unix_ms: approval.at,
            until_unix_ms: approval.until,
        }),
    }
}

fn source(source: &Source) -> v1::PlanSource {
    let source = match source {
        Source::File { name } => plan_source::Source::File(File { name: name.clone() }),
        Source::Drafted { request, model } => {
            plan_source::Source::Drafted(Drafted { request: request.clone(), model: model.clone() })
        }
    };
    v1::PlanSource { source: Some(source) }
}

fn cost(cost: &Cost) -> v1::PlanCost {
    v1::PlanCost {
        calls: cost.calls,
        tokens: cost.tokens,
        money: cost.money.to_string(),
        wall_ms: cost.wall_ms,
    }
}
