//! The checks of `doctor`, from this machine outwards.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use proto::v1::{ListNodesRequest, Node, VersionRequest, node};

use super::{Check, State};
use crate::cli::Context;
use crate::cli::problem::Failure;
use crate::cli::state;
use crate::rpc::Client;

pub async fn all(context: &Context) -> Vec<Check> {
    let mut checks = vec![ssh_client().await, data_dir(&context.settings.data_dir)];
    match context.connect().await {
        Ok(mut client) => {
            checks.push(store(context, &mut client).await);
            checks.extend(nodes(context, &mut client).await);
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
fn data_dir(folder: &Path) -> Check {
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
            nodes.iter().map(node).collect()
        }
        Err(status) => vec![failed("nodes", &status.into())],
    }
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
