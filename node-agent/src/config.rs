//! The command line and where things lie below the data folder. Parsed by hand: a parser crate would be a
//! tenth of the binary.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plan::sandbox::Tier;
use proto::code::Code;
use proto::ids::{InstanceId, NodeName};

pub const DEFAULT_LISTEN: &str = "0.0.0.0:7644";

pub const USAGE: &str = "\
usage: node-agent <command> [--data-dir DIR]
  enrol --node NAME                   make a key, print a certificate request
  install-certificate                 read certificate and CA (PEM) from stdin and switch to them
  run [--listen ADDR]                 run the agent in the foreground
  start [--listen ADDR]               run it detached and supervised; prints the address it listens on
  stop [--instances]                  stop the agent; --instances: all that it runs, too
  receive --digest D --size N         store the package on stdin
  receive-agent --digest D --size N   check the agent on stdin and store it, to be tried
  proxy                               connect stdin and stdout with the agent's port
  sandbox [--tier T] [-- PROGRAM …]   run a program as a step of a plan would be; without one, what is offered
  version                             print the version";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Enrol { node: NodeName },
    InstallCertificate,
    Run { listen: SocketAddr, is_supervised: bool },
    Start { listen: SocketAddr },
    Stop { instances: bool },
    Receive { digest: String, size: u64 },
    ReceiveAgent { digest: String, size: u64 },
    Proxy,
    Sandbox(Try),
    Version,
    Help,
}

/// A program to be tried in a sandbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Try {
    pub argv: Vec<String>,
    pub tier: Option<Tier>,
    pub env: Vec<(String, String)>,
    pub writable: Vec<PathBuf>,
    pub domains: Vec<String>,
    /// Hosts and networks in private ranges that may be spoken to all the same.
    pub private: Vec<String>,
    pub memory: Option<u64>,
    /// How often to start it, to see what that costs; 0: once, with its output.
    pub rounds: usize,
}

/// Why a command line was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("no command given")]
    NoCommand,
    #[error("unknown command {0:?}")]
    UnknownCommand(String),
    #[error("unknown option {option:?} for {command}")]
    UnknownOption { command: String, option: String },
    #[error("{0} needs a value")]
    NoValue(String),
    #[error("{command} needs {option}")]
    Missing { command: &'static str, option: &'static str },
    #[error("{option}: {found:?} is not {expected}")]
    Value { option: &'static str, found: String, expected: String },
}

impl UsageError {
    pub fn code(&self) -> Code {
        Code::InvalidInput
    }
}

#[derive(Default)]
struct Options {
    data_dir: Option<String>,
    node: Option<String>,
    listen: Option<String>,
    digest: Option<String>,
    size: Option<String>,
    instances: bool,
    is_supervised: bool,
    tier: Option<String>,
    memory: Option<String>,
    rounds: Option<String>,
    env: Vec<String>,
    writable: Vec<String>,
    domains: Vec<String>,
    private: Vec<String>,
    argv: Vec<String>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// When they are not one of the commands in [`USAGE`].
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<(Command, DataDir), UsageError> {
    let mut args = args.map(|arg| arg.to_string_lossy().into_owned());
    let command = args.next().ok_or(UsageError::NoCommand)?;
    let options = options(&command, args)?;
    let data = options.data_dir.as_ref().map_or_else(default_data_dir, PathBuf::from);
    let command = match command.as_str() {
        "enrol" => Command::Enrol { node: node_name(options.node)? },
        "install-certificate" => Command::InstallCertificate,
        "run" => Command::Run { listen: address(options.listen)?, is_supervised: options.is_supervised },
        "start" => Command::Start { listen: address(options.listen)? },
        "stop" => Command::Stop { instances: options.instances },
        "receive" => {
            let (digest, size) = parcel("receive", options)?;
            Command::Receive { digest, size }
        }
        "receive-agent" => {
            let (digest, size) = parcel("receive-agent", options)?;
            Command::ReceiveAgent { digest, size }
        }
        "proxy" => Command::Proxy,
        "sandbox" => Command::Sandbox(sandbox(options)?),
        "version" | "--version" | "-V" => Command::Version,
        "help" | "--help" | "-h" => Command::Help,
        _ => return Err(UsageError::UnknownCommand(command)),
    };
    Ok((command, DataDir(data)))
}

fn options(command: &str, mut args: impl Iterator<Item = String>) -> Result<Options, UsageError> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg.clone(), None),
        };
        let slot = match (command, name.as_str()) {
            (_, "--data-dir") => &mut options.data_dir,
            ("enrol", "--node") => &mut options.node,
            ("run" | "start", "--listen") => &mut options.listen,
            ("receive" | "receive-agent", "--digest") => &mut options.digest,
            ("receive" | "receive-agent", "--size") => &mut options.size,
            ("stop", "--instances") => {
                options.instances = true;
                continue;
            }
            ("sandbox", "--") => {
                options.argv = args.collect();
                break;
            }
            ("sandbox", "--tier") => &mut options.tier,
            ("sandbox", "--memory") => &mut options.memory,
            ("sandbox", "--rounds") => &mut options.rounds,
            ("sandbox", "--env" | "--writable" | "--domain" | "--private") => {
                let value =
                    inline.or_else(|| args.next()).ok_or_else(|| UsageError::NoValue(name.clone()))?;
                options.many(&name).push(value);
                continue;
            }
            ("run", "--supervised") => {
                options.is_supervised = true;
                continue;
            }
            _ => return Err(UsageError::UnknownOption { command: command.to_owned(), option: arg }),
        };
        *slot = Some(inline.or_else(|| args.next()).ok_or(UsageError::NoValue(name))?);
    }
    Ok(options)
}

impl Options {
    fn many(&mut self, option: &str) -> &mut Vec<String> {
        match option {
            "--env" => &mut self.env,
            "--writable" => &mut self.writable,
            "--private" => &mut self.private,
            _ => &mut self.domains,
        }
    }
}

fn sandbox(options: Options) -> Result<Try, UsageError> {
    let tier = options.tier.map(|text| {
        let named = Tier::NAMED.iter().find(|(name, _)| *name == text).map(|(_, tier)| *tier);
        named.ok_or(UsageError::Value { option: "--tier", found: text, expected: "t1, t2 or t3".to_owned() })
    });
    let pair = |text: String| match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(UsageError::Value { option: "--env", found: text, expected: "NAME=VALUE".to_owned() }),
    };
    Ok(Try {
        argv: options.argv,
        tier: tier.transpose()?,
        env: options.env.into_iter().map(pair).collect::<Result<_, _>>()?,
        writable: options.writable.into_iter().map(PathBuf::from).collect(),
        domains: options.domains,
        private: options.private,
        memory: options.memory.map(|text| number("--memory", text)).transpose()?,
        rounds: options.rounds.map_or(Ok(0), |text| number("--rounds", text))?,
    })
}

fn number<N: std::str::FromStr>(option: &'static str, text: String) -> Result<N, UsageError> {
    text.parse().map_err(|_| UsageError::Value { option, found: text, expected: "a number".to_owned() })
}

fn node_name(given: Option<String>) -> Result<NodeName, UsageError> {
    let text = given.ok_or(UsageError::Missing { command: "enrol", option: "--node" })?;
    NodeName::parse(&text).map_err(|error| UsageError::Value {
        option: "--node",
        found: text,
        expected: format!("a node name ({error})"),
    })
}

fn address(given: Option<String>) -> Result<SocketAddr, UsageError> {
    let text = given.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    text.parse().map_err(|_| UsageError::Value {
        option: "--listen",
        found: text,
        expected: "an address like 0.0.0.0:7644".to_owned(),
    })
}

/// What comes on stdin.
fn parcel(command: &'static str, options: Options) -> Result<(String, u64), UsageError> {
    let missing = |option| UsageError::Missing { command, option };
    let digest = options.digest.ok_or(missing("--digest"))?;
    let text = options.size.ok_or(missing("--size"))?;
    let size = text.parse().map_err(|_| UsageError::Value {
        option: "--size",
        found: text,
        expected: "a number of bytes".to_owned(),
    })?;
    Ok((digest, size))
}

fn default_data_dir() -> PathBuf {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        return PathBuf::from("/var/lib/orchestrator");
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    std::env::var_os("XDG_DATA_HOME")
        .filter(|dir| Path::new(dir).is_absolute())
        .map_or_else(|| home.join(".local/share"), PathBuf::from)
        .join("orchestrator/node")
}

/// The data folder and the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(pub PathBuf);

impl DataDir {
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity")
    }

    pub fn address(&self) -> PathBuf {
        self.0.join("agent.addr")
    }

    pub fn agent_lock(&self) -> PathBuf {
        self.0.join("agent.lock")
    }

    pub fn supervisor_lock(&self) -> PathBuf {
        self.0.join("supervisor.lock")
    }

    pub fn identity_lock(&self) -> PathBuf {
        self.0.join("identity.lock")
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("agent.log")
    }

    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    pub fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// Which images the releases run from.
    pub fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    pub fn releases(&self) -> PathBuf {
        self.0.join("releases")
    }

    /// Runs of plans, each with its journal.
    pub fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// Signs the receipts of runs.
    pub fn receipt_key(&self) -> PathBuf {
        self.0.join("receipt-key")
    }

    pub fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    pub fn instances(&self) -> PathBuf {
        self.0.join("instances")
    }

    /// What the agent itself keeps of instances. Their folders may be their users'; these are nobody else's.
    pub fn records(&self) -> PathBuf {
        self.0.join("records")
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// The agent that whoever supervises it starts.
    pub fn binary(&self) -> PathBuf {
        self.bin().join("node-agent")
    }

    /// How the latest upgrade of the agent stands.
    pub fn upgrade(&self) -> PathBuf {
        self.0.join("upgrade")
    }

    pub fn volume_root(&self, id: &InstanceId) -> PathBuf {
        self.volumes().join(id.file_name())
    }

    /// What the instance's processes write.
    pub fn instance_log(&self, id: &InstanceId) -> PathBuf {
        self.logs().join(format!("{}.log", id.file_name()))
    }

    /// What the agent says about the instance.
    pub fn instance_agent_log(&self, id: &InstanceId) -> PathBuf {
        self.logs().join(format!("{}.agent.log", id.file_name()))
    }

    /// Says that somebody was told "present" of a release and will refer to it soon.
    pub fn lease(&self, digest: &str) -> PathBuf {
        self.release(digest).join(".lease")
    }

    /// The folder of a release, by its `sha256:<hex>` digest.
    pub fn release(&self, digest: &str) -> PathBuf {
        self.releases().join(digest.strip_prefix("sha256:").unwrap_or(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Command, &str>) {
        let got = parse(line.split_whitespace().map(OsString::from));
        assert_eq!(
            got.map(|(command, _)| command).map_err(|e| e.to_string()),
            expected.map_err(String::from)
        );
    }

    #[test]
    fn a_command_line_is_understood_or_refused_with_a_reason() {
        let pi = NodeName::parse("pi").expect("a name");
        check("enrol --node pi", Ok(Command::Enrol { node: pi }));
        check("enrol", Err("enrol needs --node"));
        check("stop --instances --data-dir /x", Ok(Command::Stop { instances: true }));
        check(
            "receive --digest=sha256:0 --size 7",
            Ok(Command::Receive { digest: "sha256:0".into(), size: 7 }),
        );
        check("receive --digest x --size y", Err("--size: \"y\" is not a number of bytes"));
        check("run --listen nowhere", Err("--listen: \"nowhere\" is not an address like 0.0.0.0:7644"));
        check("run --node pi", Err("unknown option \"--node\" for run"));
        check("stop --data-dir", Err("--data-dir needs a value"));
        let tried =
            Try { argv: vec!["id".into(), "--tier".into()], tier: Some(Tier::T2), ..Default::default() };
        check("sandbox --tier t2 -- id --tier", Ok(Command::Sandbox(tried)));
        check("sandbox --tier t4", Err("--tier: \"t4\" is not t1, t2 or t3"));
        check("--help", Ok(Command::Help));
        check("fly", Err("unknown command \"fly\""));
        check("", Err("no command given"));
    }
}
