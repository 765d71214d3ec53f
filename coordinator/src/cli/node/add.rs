//! `node add <name>`: from a machine with SSH, or this one, to a node.

use std::path::PathBuf;

use proto::code::Code;
use proto::v1;
use proto::v1::add_node_request::{Local, Ssh, Target};

use crate::cli::Context;
use crate::cli::deploy::values;
use crate::cli::problem::{Failure, Problem};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator node add attic --ssh pi@attic.local --label room=attic
  orchestrator node add cellar --ssh root@10.0.0.7:2222 --identity ~/.ssh/fleet
  orchestrator node add new --ssh pi@10.0.0.9 --accept-new-host-key
  orchestrator node add laptop --local

The same command again repairs a node. Your SSH keys, ~/.ssh/config and known_hosts are used as they are.")]
#[command(group(clap::ArgGroup::new("target").required(true).args(["ssh", "local"])))]
pub struct AddArgs {
    /// What the fleet shall call it
    name: String,
    /// The machine, as `ssh` would take it
    #[arg(long, value_name = "[USER@]HOST[:PORT]", value_parser = parse_destination)]
    ssh: Option<Destination>,
    /// Enrol this machine
    #[arg(long)]
    local: bool,
    /// The private key to use [default: as ssh decides]
    #[arg(long, value_name = "FILE", requires = "ssh")]
    identity: Option<PathBuf>,
    /// Trust the key of a host never seen before; one that has changed is refused all the same
    #[arg(long, requires = "ssh")]
    accept_new_host_key: bool,
    /// Describes the node for --on; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = values::parse_pair)]
    labels: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Destination {
    /// `[user@]host`
    host: String,
    /// 0: as ssh decides.
    port: u16,
}

/// `[user@]host[:port]`; an IPv6 address with a port stands in brackets.
fn parse_destination(text: &str) -> Result<Destination, String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), text),
    };
    let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match host.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, Some(port)),
            _ => (host, None),
        },
    };
    let port = match port.map(str::parse) {
        None => 0,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(format!("{text:?} has no valid port")),
    };
    if host.is_empty() || user == "@" || text.starts_with('-') || host.starts_with('-') {
        return Err(format!("{text:?} is not [user@]host[:port]"));
    }
    Ok(Destination { host: user + host, port })
}

pub async fn run(context: &Context, args: AddArgs) -> Result<u8, Failure> {
    let identity = match &args.identity {
        Some(path) => std::path::absolute(path)
            .and_then(|path| std::fs::metadata(&path).map(|_| path.to_string_lossy().into_owned()))
            .map_err(|cause| Failure::io(format!("could not read the key {}", path.display()), &cause))?,
        None => String::new(),
    };
    let target = match args.ssh {
        Some(destination) => Target::Ssh(Ssh {
            destination: destination.host,
            port: u32::from(destination.port),
            identity,
            accept_new_host_key: args.accept_new_host_key,
        }),
        None => Target::Local(Local {}),
    };
    let request = v1::AddNodeRequest {
        name: args.name,
        target: Some(target),
        labels: values::unique("--label", args.labels)?,
        agent_port: 0,
    };
    let events = context.connect().await?.add_node(request).await?.into_inner();
    match super::follow(context, events).await? {
        Some(node) => super::finished(context, &node),
        None => {
            Err(Problem::new(Code::Unreachable, "the coordinator ended before the node was enrolled").into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_ssh_writes_them() {
        for (text, host, port) in [
            ("attic", "attic", 0),
            ("pi@attic:2222", "pi@attic", 2222),
            ("fe80::1", "fe80::1", 0),
            ("pi@[fe80::1]:22", "pi@fe80::1", 22),
            ("[fe80::1]", "fe80::1", 0),
        ] {
            assert_eq!(parse_destination(text), Ok(Destination { host: host.into(), port }), "{text}");
        }
        for text in ["", "@a", "pi@", "a:0", "a:x", "a:70000", "-oProxyCommand=x", "pi@-x"] {
            assert!(parse_destination(text).is_err(), "{text}");
        }
    }
}
