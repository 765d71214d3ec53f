//! The checks of `doctor`, from this machine outwards.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use proto::v1::{ListNodesRequest, ModelStatus, ModelsRequest, Node, VersionRequest, node};

use super::{Check, State, sandboxes};
use crate::cli::Context;
use crate::cli::problem::Failure;
use crate::cli::state;
use crate::cli::units::bytes;
use crate::fleet::enrol::binaries::AgentBinaries;
use crate::rpc::{self, Client};

pub async fn all(context: &Context) -> Vec<Check> {
    let data_dir = &context.settings.data_dir;
    let mut checks = vec![ssh_client().await, writable(data_dir)];
    checks.extend(agents(&AgentBinaries::usual(data_dir), own_arch()));
    match context.connect().await {
        Ok(mut client) => {
            checks.push(store(context, &mut client).await);
            checks.extend(nodes(context, &mut client).await);
            checks.extend(models(context).await);
        }
        Err(failure) => checks.push(failed("coordinator", &failure)),
    }
    checks
}

async fn ssh_client() -> Check {
    let version = tokio::process::Command::new("ssh").arg("-V").stdin(Stdio::null()).output();
    match tokio::time::timeout(Duration::from_secs(5), version).await {
        Ok(Ok(output)) if output.status.success() => {
            Check::new("ssh client", State::Ok, String::from_utf8_lossy(&output.stderr).trim())
        }
        Ok(Ok(output)) => {
            Check::new("ssh client", State::Fail, format!("`ssh -V` ended with {}", output.status))
        }
        Ok(Err(cause)) => Check::new("ssh client", State::Warn, format!("could not run ssh: {cause}"))
            .with_hint("install an OpenSSH client; only the local node works without"),
        Err(_) => Check::new("ssh client", State::Fail, "`ssh -V` does not end"),
    }
}

/// The folder itself, or where it is not there yet, the nearest one above it, can be written to.
fn writable(folder: &Path) -> Check {
    let Some(existing) = folder.ancestors().find(|path| path.is_dir()) else {
        return Check::new("data folder", State::Fail, format!("{} cannot exist", folder.display()));
    };
    match tempfile::Builder::new().prefix(".doctor-").tempfile_in(existing) {
        Ok(_) if existing == folder => Check::new("data folder", State::Ok, folder.display().to_string()),
        Ok(_) => {
            Check::new("data folder", State::Ok, format!("{} will be made on first use", folder.display()))
        }
        Err(cause) => {
            Check::new("data folder", State::Fail, format!("cannot write to {}: {cause}", existing.display()))
                .with_hint("name another folder with --data-dir")
        }
    }
}

/// As nodes name it: `uname -m` tells 32-bit machines apart better than the compiler's word does.
fn own_arch() -> &'static str {
    match std::env::consts::ARCH {
        "arm" => "armv7",
        "x86" => "i686",
        other => other,
    }
}

/// The agent's binary for this machine, and for those that fleets are mostly made of.
fn agents(binaries: &AgentBinaries, own: &str) -> Vec<Check> {
    let others = ["x86_64", "aarch64", "armv7"].into_iter().filter(|arch| *arch != own);
    std::iter::once(own).chain(others).map(|arch| agent(binaries, arch, arch == own)).collect()
}

fn agent(binaries: &AgentBinaries, arch: &str, is_own: bool) -> Check {
    let name = format!("agent {arch}");
    match binaries.find(arch) {
        Ok(found) => Check::new(name, State::Ok, format!("{} ({})", found.path.display(), bytes(found.size))),
        Err(error) => {
            let state = if is_own { State::Fail } else { State::Warn };
            let check = Check::new(name, state, error.to_string());
            match error.hint() {
                Some(hint) => check.with_hint(hint),
                None => check,
            }
        }
    }
}

async fn store(context: &Context, client: &mut Client) -> Check {
    match client.version(context.request(VersionRequest {})).await {
        Ok(reply) => {
            let reply = reply.into_inner();
            Check::new("store", State::Ok, format!("{} (coordinator {})", reply.store, reply.version))
        }
        Err(status) => failed("store", &status.into()),
    }
}

async fn nodes(context: &Context, client: &mut Client) -> Vec<Check> {
    let request = context.request(ListNodesRequest { name: String::new() });
    match client.list_nodes(request).await {
        Ok(reply) => {
            let nodes = reply.into_inner().nodes;
            if nodes.is_empty() {
                return vec![Check::new(
                    "nodes",
                    State::Ok,
                    "none yet; the first deploy enrols this machine",
                )];
            }
            let of = |each: &Node| std::iter::once(node(each)).chain(sandboxes::check(each));
            nodes.iter().flat_map(of).collect()
        }
        Err(status) => vec![failed("nodes", &status.into())],
    }
}

/// Nothing that needs no model is held up by one that does not answer.
async fn models(context: &Context) -> Vec<Check> {
    let reply = match rpc::connect_assistant(&context.settings).await {
        Ok(mut client) => client.models(context.request(ModelsRequest {})).await,
        Err(error) => return vec![failed("models", &error.into())],
    };
    match reply {
        // A coordinator of an older version knows no models.
        Err(status) if status.code() == tonic::Code::Unimplemented => Vec::new(),
        Err(status) => vec![failed("models", &status.into())],
        Ok(reply) => {
            let models = reply.into_inner().models;
            if models.is_empty() {
                let detail = "none configured; all but `orchestrator ask` works without";
                return vec![Check::new("models", State::Ok, detail)];
            }
            models.iter().map(model).collect()
        }
    }
}

fn model(model: &ModelStatus) -> Check {
    let name = format!("model {}", model.tier);
    let who = format!("{} at {} ({})", model.model, model.name, model.provider);
    if model.problem.is_empty() {
        return Check::new(name, State::Ok, format!("{who} answers"));
    }
    let check = Check::new(name, State::Warn, format!("{who}: {}", model.problem));
    if model.hint.is_empty() { check } else { check.with_hint(&model.hint) }
}

fn node(node: &Node) -> Check {
    let (word, _) = state::node(node.state);
    let state = match node.state() {
        node::State::Ready => State::Ok,
        node::State::Cordoned | node::State::Unknown | node::State::Unspecified => State::Warn,
        node::State::Lost | node::State::Revoked => State::Fail,
    };
    let why = if node.message.is_empty() { String::new() } else { format!(": {}", node.message) };
    let through = if node.tunnelled { " through SSH" } else { "" };
    Check::new(format!("node {}", node.name), state, format!("{word}{through}{why}"))
}

fn failed(check: &str, failure: &Failure) -> Check {
    let Failure::Problem(problem) = failure else {
        return Check::new(check, State::Fail, "interrupted");
    };
    let failed = Check::new(check, State::Fail, problem.causes.join(": "));
    match &problem.hint {
        Some(hint) => failed.with_hint(hint),
        None => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agent_of_this_machine_must_be_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let checks = agents(&AgentBinaries::in_folders(vec![folder.path().into()]), "aarch64");
        let states: Vec<_> = checks.iter().map(|check| (check.check.as_str(), check.state)).collect();
        let wanted =
            [("agent aarch64", State::Fail), ("agent x86_64", State::Warn), ("agent armv7", State::Warn)];
        assert_eq!(states, wanted);
        assert!(checks.iter().all(|check| check.hint.is_some()), "{checks:?}");
    }

    #[test]
    fn a_folder_that_does_not_exist_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let check = writable(&folder.path().join("a/b"));
        assert_eq!(check.state, State::Ok);
        assert!(check.detail.ends_with("will be made on first use"), "{check:?}");
        assert!(!folder.path().join("a").exists(), "a check makes nothing");
    }
}
