//! Where things are kept in the store.

use modules::digest::Digest;
use proto::ids::{DeploymentName, Generation, NodeName};

use crate::domain::deployment::Carrier;
use crate::domain::runs::RunId;

pub const NODES: &str = "/nodes/";
pub const DEPLOYMENTS: &str = "/deployments/";
pub const DESIRED: &str = "/desired/";
pub const MODULES: &str = "/modules/";
pub const SECRETS: &str = "/secrets/";
pub const ACCESS: &str = "/access/";
pub const RELEASES: &str = "/releases/";
pub const REGISTRIES: &str = "/registries/";
/// Keys whose signatures count, one on each line.
pub const TRUSTED: &str = "/trust/keys";
pub const CURATIONS: &str = "/curations/";
/// A `Journal`: a change to the registry that is decided and not yet carried out.
pub const REGISTRY_JOURNAL: &str = "/registry/journal";
pub const PLANS: &str = "/plans/";
pub const RUNS: &str = "/runs/";
pub const RUN_DEEDS: &str = "/run-deeds/";
/// A `PolicyRecord`; none: the policy that is shipped.
pub const POLICY: &str = "/policy";
/// A `Remembered`.
pub const REMEMBERED: &str = "/remembered/";
/// What language models were asked, cost and allow: `llm::keeper::State`.
pub const LLM_STATE: &str = "/llm/state";
/// How often answers were good enough: `llm::rates::PassRates`.
pub const LLM_RATES: &str = "/llm/rates";
/// What was asked before.
pub const EARLIER: &str = "/llm/earlier/";
/// There while a coordinator process carries something out.
pub const CARRIERS: &str = "/carriers/";

/// A `NodeRecord`.
pub fn node(name: &NodeName) -> String {
    format!("{NODES}{name}")
}

/// A `DeploymentRecord`.
pub fn deployment(name: &DeploymentName) -> String {
    format!("{DEPLOYMENTS}{name}")
}

/// Has no value.
pub fn carrier(carrier: &Carrier) -> String {
    format!("{CARRIERS}{}/{}-{}", carrier.host, carrier.pid, carrier.started)
}

/// A `NodeSpec` as protobuf; its secrets are references, not values.
pub fn desired(node: &NodeName) -> String {
    format!("{DESIRED}{node}")
}

/// All `HistoryEntry` of a deployment.
pub fn history(deployment: &DeploymentName) -> String {
    format!("/history/{deployment}/")
}

/// A `HistoryEntry`; generations sort as text.
pub fn history_entry(deployment: &DeploymentName, generation: Generation) -> String {
    format!("/history/{deployment}/{:020}", generation.0)
}

/// The nodes whose volumes a removal takes along, there while it has not reached every node's spec.
pub fn purge(deployment: &DeploymentName) -> String {
    format!("/purges/{deployment}")
}

/// All releases of a module in the registry.
pub fn module(name: &str) -> String {
    format!("{MODULES}{name}/")
}

/// A `ModuleRecord`.
pub fn module_version(name: &str, version: &str) -> String {
    format!("{MODULES}{name}/{version}")
}

/// A `SecretRecord`.
pub fn secret(name: &str) -> String {
    format!("{SECRETS}{name}")
}

/// A `ModuleRecord`, for good.
pub fn release(digest: &str) -> String {
    format!("{RELEASES}{digest}")
}

/// A `RegistryRecord`: another place that modules come from.
pub fn registry(name: &str) -> String {
    format!("{REGISTRIES}{name}")
}

/// All parts of what a registry has.
pub fn registry_parts(name: &str) -> String {
    format!("/registry-parts/{name}/")
}

/// Releases of a registry that its record has no room for.
pub fn registry_part(name: &str, digest: &str, number: u32) -> String {
    format!("/registry-parts/{name}/{digest}/{number:06}")
}

/// A `Curation`: what people say of a module.
pub fn curation(module: &str) -> String {
    format!("{CURATIONS}{module}")
}

/// An `AccessRecord`.
pub fn access(name: &str) -> String {
    format!("{ACCESS}{name}")
}

/// A `PlanRecord`.
pub fn plan(hash: &Digest) -> String {
    format!("{PLANS}{}", hash.hex())
}

/// A `RunRecord`.
pub fn run(id: &RunId) -> String {
    format!("{RUNS}{id}")
}

/// All `NodeRun` of a run.
pub fn run_nodes(id: &RunId) -> String {
    format!("/run-nodes/{id}/")
}

/// A `NodeRun`.
pub fn run_node(id: &RunId, node: &NodeName) -> String {
    format!("/run-nodes/{id}/{node}")
}

/// All that is kept of the journals of a run.
pub fn run_journals(id: &RunId) -> String {
    format!("/run-journals/{id}/")
}

/// A piece of the journal and the receipts of a node's run; pieces sort as text.
pub fn run_journal(id: &RunId, node: &NodeName, piece: u32) -> String {
    format!("{}{node}/{piece:06}", run_journals(id))
}

/// A `Deed`: what a run had the coordinator do to a module, under the key of its step.
pub fn run_deed(key: &str) -> String {
    format!("{RUN_DEEDS}{key}")
}

/// A `Remembered`.
pub fn remembered(id: &str) -> String {
    format!("{REMEMBERED}{id}")
}

/// For which request a plan was drafted, and whether it ran well.
pub fn earlier(plan: &Digest) -> String {
    format!("{EARLIER}{}", plan.hex())
}
