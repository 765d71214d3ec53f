//! Why a machine did not become a node, or did not stop being one.

use std::path::PathBuf;

use proto::code::Code;
use proto::ids::{IdError, NodeName};

use crate::agents::AgentError;
use crate::fleet::ca::CaError;
use crate::fleet::enrol::binaries::VARIABLE;
use crate::ssh::HostError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error(transparent)]
    Name(#[from] IdError),
    #[error("nothing says how to reach {node}")]
    NoTarget { node: NodeName },
    #[error("could not set {node} up")]
    Host {
        node: NodeName,
        #[source]
        cause: HostError,
    },
    #[error("{host} did not answer the probe as a POSIX shell would")]
    Probe { host: String },
    #[error("sudo on {host} asks for a password")]
    SudoPassword { host: String },
    #[error("there is no node-agent for {arch}")]
    NoBinary { arch: String, wanted: PathBuf, unfit: Vec<String> },
    #[error("{host} uses musl, but {} needs glibc", path.display())]
    WrongLibc { host: String, path: PathBuf },
    #[error("{host} has {free} MiB left, the agent needs {needed} MiB")]
    DiskFull { host: String, free: u64, needed: u64 },
    #[error("could not read {}", path.display())]
    ReadBinary {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("the agent does not run on {host}: {said}")]
    DoesNotRun { host: String, said: String },
    #[error("{node} is another machine: {known}")]
    OtherMachine { node: NodeName, known: String },
    #[error("this machine is in the fleet already, as {known}")]
    OtherName { known: NodeName },
    #[error("{host} belongs to another fleet ({fleet}), as {node}")]
    OtherFleet { host: String, fleet: String, node: String, data_dir: PathBuf },
    #[error("could not certify {node}")]
    Ca {
        node: NodeName,
        #[source]
        cause: CaError,
    },
    #[error("{node} was set up, but its agent does not answer")]
    Agent {
        node: NodeName,
        #[source]
        cause: AgentError,
    },
    #[error("could not keep the record of {node}")]
    Store {
        node: NodeName,
        #[source]
        cause: StoreError,
    },
    #[error("there is no node {node}")]
    NoSuchNode { node: NodeName },
    #[error("could not clean up on {node}")]
    Cleanup {
        node: NodeName,
        #[source]
        cause: HostError,
    },
}

impl EnrolError {
    pub fn code(&self) -> Code {
        match self {
            EnrolError::Name(_) | EnrolError::NoTarget { .. } => Code::InvalidInput,
            EnrolError::Host { cause, .. } | EnrolError::Cleanup { cause, .. } => cause.code(),
            EnrolError::SudoPassword { .. } | EnrolError::OtherFleet { .. } => Code::Denied,
            EnrolError::NoBinary { .. } | EnrolError::NoSuchNode { .. } => Code::NotFound,
            EnrolError::OtherMachine { .. } | EnrolError::OtherName { .. } => Code::Conflict,
            EnrolError::Ca { cause, .. } => cause.code(),
            EnrolError::Agent { cause, .. } => cause.code(),
            EnrolError::Store { cause, .. } => cause.code(),
            EnrolError::Probe { .. }
            | EnrolError::WrongLibc { .. }
            | EnrolError::DiskFull { .. }
            | EnrolError::ReadBinary { .. }
            | EnrolError::DoesNotRun { .. } => Code::Failed,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            EnrolError::NoTarget { .. } => Some("give --ssh [user@]host or --local".to_owned()),
            EnrolError::Host { cause, .. } => cause.hint(),
            EnrolError::Cleanup { cause, .. } => {
                let forced = "to forget the node all the same, repeat with --force".to_owned();
                Some(cause.hint().map_or(forced.clone(), |hint| format!("{hint}; {forced}")))
            }
            EnrolError::SudoPassword { .. } => Some(
                "allow it without (a line `<user> ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d/orchestrator), \
                 or log in as root"
                    .to_owned(),
            ),
            EnrolError::NoBinary { arch, wanted, unfit } => Some(no_binary(arch, wanted, unfit)),
            EnrolError::WrongLibc { .. } => {
                Some("build the agent for musl: cargo build --profile agent -p node-agent --target <arch>-unknown-linux-musl".to_owned())
            }
            EnrolError::DiskFull { .. } => Some("free some space there".to_owned()),
            EnrolError::DoesNotRun { said, .. } => does_not_run(said),
            EnrolError::OtherMachine { node, .. } => Some(format!(
                "choose another name; if {node} was replaced, `orchestrator node remove {node} --force` first"
            )),
            EnrolError::OtherName { known } => Some(format!(
                "use that name, or `orchestrator node remove {known}` first"
            )),
            EnrolError::OtherFleet { data_dir, node, .. } => Some(format!(
                "`orchestrator node remove {node}` there; if that fleet is gone, `rm -r {}/identity*` on the machine",
                data_dir.display()
            )),
            EnrolError::Ca { cause, .. } => cause.hint(),
            EnrolError::Agent { cause, .. } => cause.hint(),
            EnrolError::Store { cause, .. } => cause.hint(),
            EnrolError::NoSuchNode { .. } => Some("`orchestrator node list` shows them".to_owned()),
            EnrolError::Name(_) | EnrolError::Probe { .. } | EnrolError::ReadBinary { .. } => None,
        }
    }
}

fn no_binary(arch: &str, wanted: &std::path::Path, unfit: &[String]) -> String {
    let target = match arch {
        "armv7" => "armv7-unknown-linux-gnueabihf".to_owned(),
        "armv6" => "arm-unknown-linux-gnueabihf".to_owned(),
        other => format!("{other}-unknown-linux-gnu"),
    };
    let command = match arch {
        "aarch64" => "make agent-aarch64".to_owned(),
        _ => format!("cargo build --profile agent -p node-agent --target {target}"),
    };
    let build = format!("put it at {} (or into ${VARIABLE}); build it with `{command}`", wanted.display());
    if unfit.is_empty() { build } else { format!("{}; {build}", unfit.join(", ")) }
}

fn does_not_run(said: &str) -> Option<String> {
    if let Some(version) = wanted_glibc(said) {
        return Some(format!(
            "this agent needs glibc {version}, and the machine's is older: `make build` (or `make agent-aarch64`) \
             makes one that needs none"
        ));
    }
    if said.contains("not found") {
        return Some("it misses a library there: `make build` makes an agent that needs none".to_owned());
    }
    if said.contains("ermission denied") {
        return Some("the file system of the agent's folder is mounted noexec: mount it without".to_owned());
    }
    None
}

/// The newest version in the linker's complaints, such as "version `GLIBC_2.34' not found".
fn wanted_glibc(said: &str) -> Option<String> {
    let number = |text: &str| text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    let wanted = said.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        Some((number(&rest[..end])?, &rest[..end]))
    });
    wanted.max().map(|(_, version)| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_agent_from_running_is_told_from_its_words() {
        let cases = [
            (
                "./a: /lib/libc.so.6: version `GLIBC_2.9' not found (required by ./a)\n\
                 ./a: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./a)",
                Some("needs glibc 2.34"),
            ),
            ("sh: ./a: not found", Some("misses a library")),
            ("sh: ./a: Permission denied", Some("noexec")),
            ("Illegal instruction", None),
        ];
        for (said, expected) in cases {
            let hint = does_not_run(said);
            let fits = match expected {
                Some(words) => hint.as_ref().is_some_and(|hint| hint.contains(words)),
                None => hint.is_none(),
            };
            assert!(fits, "{said}: {hint:?}");
        }
    }
}
