//! What a deployment is to a person, what can be asked of it, and what may come of that.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::orchestrator::Outcome;
use crate::scene::Page;

/// The states in which a fleet may come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is no deployment.
    Absent,
    /// Nothing was ever healthy, and `status` says so.
    Failed,
    /// This release, healthy, so many times.
    Serving { version: String, count: usize },
}

impl State {
    /// Reads the answer of `status page -o json`; `None` while something is on its way.
    pub fn read(outcome: &Outcome) -> Result<Option<State>> {
        if outcome.code == Some(2) {
            return Ok(Some(State::Absent));
        }
        if outcome.code != Some(0) {
            return Ok(None);
        }
        let deployment = &outcome.json()[0];
        match deployment["state"].as_str() {
            Some("healthy" | "rolled_back") => read_serving(deployment).map(Some),
            Some("failed") => Ok(Some(State::Failed)),
            Some(_) => Ok(None),
            None => bail!("status says nothing\n{outcome}"),
        }
    }

    pub fn is_serving(&self) -> bool {
        matches!(self, State::Serving { .. })
    }
}

fn read_serving(deployment: &Value) -> Result<State> {
    let instances = instances(deployment);
    let version = deployment["version"].as_str().unwrap_or_default().to_owned();
    let is_whole = instances.iter().all(|it| it["version"] == version.as_str() && it["state"] == "healthy");
    ensure!(is_whole, "status contradicts itself\n{deployment:#}");
    Ok(State::Serving { version, count: instances.len() })
}

pub fn instances(deployment: &Value) -> Vec<Value> {
    deployment["instances"].as_array().cloned().unwrap_or_default()
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub enum Act {
    /// `count` instances, or one on every node, or on this one alone.
    Deploy {
        page: Page,
        count: Option<usize>,
        only_on: Option<&'static str>,
    },
    Rollback,
    Restart,
    /// Of node `a`.
    Drain,
    /// With its volumes or without.
    Remove {
        purges: bool,
    },
}

impl Act {
    /// The words after `orchestrator`. The folder is named after the version, as two may be deployed at once.
    pub fn line(&self) -> String {
        let where_to = |count: &Option<usize>, only_on: &Option<&str>| match (count, only_on) {
            (_, Some(node)) => format!("--node {node}"),
            (Some(count), None) => format!("--count {count}"),
            (None, None) => "--every-node".to_owned(),
        };
        match self {
            Act::Deploy { page, count, only_on } => {
                format!(
                    "deploy ./{} {} --leave-data --timeout 20s -o json",
                    folder(page),
                    where_to(count, only_on)
                )
            }
            Act::Rollback => "rollback page --leave-data --timeout 20s".to_owned(),
            Act::Restart => "restart page --timeout 20s".to_owned(),
            Act::Drain => "node drain a --leave-data --timeout 20s".to_owned(),
            Act::Remove { purges: false } => "remove page --timeout 20s".to_owned(),
            Act::Remove { purges: true } => "remove page --purge --timeout 20s".to_owned(),
        }
    }

    /// What the fleet is after it went as it should, from `before`; `past` was healthy at some time.
    pub fn results(&self, before: &State, past: &[State], nodes: usize) -> Vec<State> {
        match self {
            Act::Deploy { page, count, only_on } if page.is_healthy => {
                let nodes = if only_on.is_some() { 1 } else { nodes };
                vec![State::Serving { version: page.version.clone(), count: count.unwrap_or(nodes) }]
            }
            Act::Deploy { .. } if before.is_serving() => vec![before.clone()],
            Act::Deploy { .. } => vec![State::Failed],
            Act::Rollback if before.is_serving() => past.to_vec(),
            Act::Rollback | Act::Restart | Act::Drain => vec![before.clone()],
            Act::Remove { .. } => vec![State::Absent],
        }
    }
}

/// Where a page lies on the desk.
pub fn folder(page: &Page) -> String {
    format!("page-{}", page.version)
}
