//! Settings: flags, else `ORCHESTRATOR_…` variables, else config.toml, else defaults that need nothing.

pub mod llm;

use std::path::{Path, PathBuf};
use std::time::Duration;

use modules::units::parse_duration;
use proto::code::Code;
use serde::Deserialize;

use crate::store::url::{InvalidStoreUrl, StoreUrl};

/// Where everything is. Flags and variables are merged by the command line before they come here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The store (unless it is elsewhere), packages, the fleet's keys, the socket of `serve`.
    pub data_dir: PathBuf,
    pub store: StoreUrl,
    /// Whether somebody chose the store; a daemon on our socket may have another one.
    pub store_is_explicit: bool,
    /// A coordinator elsewhere: `https://host[:port]`, `unix:/path`, or `http://host:port` for a tunnel.
    pub coordinator: Option<String>,
    /// The file that lets us in there, where one was named.
    pub access: Option<PathBuf>,
    pub github: GitHub,
    /// Whether packages must be signed with a trusted key.
    pub refuses_unsigned: bool,
    /// The language models there are; none: all that needs none works.
    pub llm: llm::Llm,
    /// How old the history of etcd becomes under `serve`; none: as it pleases.
    pub keeps_history: Option<Duration>,
}

const KEEPS_HISTORY: Duration = Duration::from_secs(3600);
/// What is under way needs some of it.
const SHORTEST_HISTORY: Duration = Duration::from_secs(60);

/// `[etcd]` of config.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Etcd {
    /// A duration, or `off`.
    pub keep_history: Option<String>,
}

impl Etcd {
    fn keeps_history(&self) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = &self.keep_history else { return Ok(Some(KEEPS_HISTORY)) };
        if text == "off" {
            return Ok(None);
        }
        let kept = parse_duration(text).ok().filter(|kept| *kept >= SHORTEST_HISTORY);
        kept.map(Some).ok_or_else(|| ConfigError::History { text: text.clone() })
    }
}

/// What becomes of packages that nobody signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsigned {
    #[default]
    Allow,
    Refuse,
}

/// A GitHub of one's own; absent: the one that everybody knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GitHub {
    pub api: Option<String>,
    pub raw: Option<String>,
    /// The stored secret that is the token for it.
    pub token_secret: Option<String>,
}

/// What flags and variables say; everything may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pub data_dir: Option<PathBuf>,
    pub store: Option<String>,
    pub coordinator: Option<String>,
    pub access: Option<PathBuf>,
}

/// config.toml, with the names of the flags.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    pub data_dir: Option<PathBuf>,
    pub store: Option<String>,
    pub coordinator: Option<String>,
    pub access: Option<PathBuf>,
    pub output: Option<crate::cli::console::Format>,
    pub color: Option<crate::cli::console::Color>,
    /// `[github]` with `api`, `raw` and `token-secret`.
    pub github: GitHub,
    pub unsigned: Unsigned,
    /// `[llm]` with `[[llm.low]]`, `[[llm.high]]` and `[llm.caps]`.
    pub llm: llm::Llm,
    /// `[etcd]` with `keep-history`.
    pub etcd: Etcd,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{}:{line}: {message}", path.display())]
    Parse { path: PathBuf, line: usize, message: String },
    #[error(transparent)]
    Store(#[from] InvalidStoreUrl),
    #[error("{text:?} is not the address of a coordinator")]
    Coordinator { text: String },
    #[error("keep-history of etcd: found {text:?}, expected a duration of a minute or more, or off")]
    History { text: String },
    #[error("there is no home folder to keep data in")]
    Homeless,
}

impl ConfigError {
    pub fn code(&self) -> Code {
        Code::InvalidInput
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::Read { .. } | ConfigError::Parse { .. } => None,
            ConfigError::Store(cause) => cause.hint(),
            ConfigError::Coordinator { .. } => Some(
                "write https://HOST[:PORT], unix:PATH, or http://HOST:PORT for a tunnel of your own".into(),
            ),
            ConfigError::History { .. } => Some(
                "write `[etcd]` and `keep-history = \"1h\"`; \"off\" where others use this etcd, too".into(),
            ),
            ConfigError::Homeless => Some("set HOME, or name a folder with --data-dir".into()),
        }
    }
}

impl File {
    /// Reads `$ORCHESTRATOR_CONFIG`, or `orchestrator/config.toml` of the user's, else of the machine's
    /// configuration. Only a file that was named must exist.
    pub fn load(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        if let Some(path) = env("ORCHESTRATOR_CONFIG").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .map_err(|cause| ConfigError::Read { path: path.clone(), cause })?;
            return Self::parse(&path, &text);
        }
        let user = xdg(env, "XDG_CONFIG_HOME", ".config").map(|folder| folder.join("orchestrator"));
        for folder in user.into_iter().chain([PathBuf::from("/etc/orchestrator")]) {
            let path = folder.join("config.toml");
            match std::fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&path, &text),
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
                Err(cause) => return Err(ConfigError::Read { path, cause }),
            }
        }
        Ok(Self::default())
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|cause| {
            let before = text.get(..cause.span().map_or(0, |span| span.start)).unwrap_or_default();
            // The library's own text shows the place in four lines.
            ConfigError::Parse {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                message: cause.message().trim_end().replace('\n', "; "),
            }
        })
    }
}

impl Settings {
    /// What is given wins over the file, the file over the defaults.
    pub fn resolve(
        given: Given,
        file: &File,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let default_data_dir =
            || xdg(env, "XDG_DATA_HOME", ".local/share").map(|folder| folder.join("orchestrator"));
        let data_dir = given
            .data_dir
            .or_else(|| file.data_dir.clone())
            .or_else(default_data_dir)
            .ok_or(ConfigError::Homeless)?;
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        let store = given.store.or_else(|| file.store.clone());
        let coordinator = given.coordinator.or_else(|| file.coordinator.clone());
        Ok(Self {
            store_is_explicit: store.is_some(),
            store: match store {
                Some(text) => text.parse()?,
                None => StoreUrl::Sqlite(data_dir.join("orchestrator.db")),
            },
            coordinator: coordinator.map(|text| check_coordinator(&text).map(|()| text)).transpose()?,
            access: given.access.or_else(|| file.access.clone()),
            data_dir,
            github: file.github.clone(),
            refuses_unsigned: file.unsigned == Unsigned::Refuse,
            llm: file.llm.clone(),
            keeps_history: file.etcd.keeps_history()?,
        })
    }

    /// The file that lets us into a coordinator elsewhere, where there is one.
    pub fn access(&self) -> Option<PathBuf> {
        let usual = || Some(self.data_dir.join("access.pem")).filter(|path| path.exists());
        self.access.clone().or_else(usual)
    }

    /// Where `serve` listens for the commands of this machine.
    pub fn socket(&self) -> PathBuf {
        self.data_dir.join("orchestrator.sock")
    }
}

fn check_coordinator(text: &str) -> Result<(), ConfigError> {
    let after = |prefix: &str| text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    if ["http://", "https://", "unix:"].into_iter().any(after) {
        Ok(())
    } else {
        Err(ConfigError::Coordinator { text: text.to_owned() })
    }
}

/// A folder of the XDG base directories: only absolute paths count there.
fn xdg(env: &dyn Fn(&str) -> Option<String>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}

#[cfg(test)]
mod tests;
