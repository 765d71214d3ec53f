//! From what a module can be told and what a person said to the values of one deployment.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ModuleSpec;
use super::config::ConfigItem;
use crate::suggest::closest;

/// A value that nobody may see: its `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Every config item of a module with its value; what is optional and not set is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedConfig {
    pub values: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Secret>,
}

/// What is wrong with one setting. Values of secrets never show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("config {name:?} is required{about}")]
    Missing { name: String, about: String },
    #[error("secret {name:?} is required{about}")]
    MissingSecret { name: String, about: String },
    #[error("the module has no config {name:?}; it has {known}")]
    Unknown { name: String, known: String, suggestion: Option<String> },
    #[error("config {name:?}: found {found:?}, expected {expected}")]
    WrongType { name: String, found: String, expected: String },
    #[error("secret {name:?}: expected {expected}")]
    WrongSecret { name: String, expected: String },
    #[error("config {name:?} is a secret and was given in the open")]
    SecretInTheOpen { name: String },
    #[error("config {name:?} is not a secret")]
    NotASecret { name: String },
}

impl ConfigError {
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::Missing { name, .. } => Some(format!("give it with --set {name}=VALUE")),
            ConfigError::MissingSecret { name, .. } | ConfigError::SecretInTheOpen { name } => {
                Some(format!("give it with --secret {name}=- on standard input"))
            }
            ConfigError::Unknown { suggestion, .. } => {
                suggestion.as_ref().map(|suggestion| format!("did you mean {suggestion:?}?"))
            }
            ConfigError::NotASecret { name } => Some(format!("give it with --set {name}=VALUE")),
            ConfigError::WrongType { .. } | ConfigError::WrongSecret { .. } => None,
        }
    }
}

/// Everything that is wrong with the settings; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    /// The hints of all errors, each once.
    pub fn hint(&self) -> Option<String> {
        let mut hints: Vec<String> = self.0.iter().filter_map(ConfigError::hint).collect();
        hints.dedup();
        (!hints.is_empty()).then(|| hints.join("; "))
    }
}

impl ModuleSpec {
    /// Checks what a person set against what the module takes, and fills in the defaults.
    ///
    /// # Errors
    /// Everything that is missing, unknown, of the wrong type, or a secret given in the open.
    pub fn resolve_config(
        &self,
        set: &BTreeMap<String, String>,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<ResolvedConfig, ConfigErrors> {
        let mut errors = Vec::new();
        for name in set.keys().chain(secrets.keys()) {
            match self.config_item(name) {
                None => errors.push(self.unknown(name)),
                Some(item) if item.secret && set.contains_key(name) => {
                    errors.push(ConfigError::SecretInTheOpen { name: name.clone() });
                }
                Some(item) if !item.secret && secrets.contains_key(name) => {
                    errors.push(ConfigError::NotASecret { name: name.clone() });
                }
                Some(_) => {}
            }
        }
        let mut resolved = ResolvedConfig::default();
        for item in &self.config {
            let name = item.name.to_string();
            if item.secret {
                match secret(item, secrets.get(&name)) {
                    _ if set.contains_key(&name) => {}
                    Ok(value) => drop(resolved.secrets.insert(name, value)),
                    Err(error) => errors.push(error),
                }
            } else {
                match value(item, set.get(&name)) {
                    _ if secrets.contains_key(&name) => {}
                    Ok(value) => drop(resolved.values.insert(name, value)),
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() { Ok(resolved) } else { Err(ConfigErrors(errors)) }
    }

    fn unknown(&self, name: &str) -> ConfigError {
        let names = || self.config.iter().map(|item| item.name.as_str());
        let known: Vec<&str> = names().collect();
        ConfigError::Unknown {
            name: name.to_owned(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
            suggestion: closest(name, names()).map(str::to_owned),
        }
    }
}

fn value(item: &ConfigItem, set: Option<&String>) -> Result<String, ConfigError> {
    let name = || item.name.to_string();
    let Some(text) = set.or(item.default.as_ref()) else {
        let about = about(item);
        return if item.required {
            Err(ConfigError::Missing { name: name(), about })
        } else {
            Ok(String::new())
        };
    };
    match item.kind.check(text, &item.values) {
        Ok(()) => Ok(text.clone()),
        Err(expected) => {
            Err(ConfigError::WrongType { name: name(), found: text.chars().take(60).collect(), expected })
        }
    }
}

fn secret(item: &ConfigItem, given: Option<&Secret>) -> Result<Secret, ConfigError> {
    let name = || item.name.to_string();
    match given {
        Some(secret) if secret.expose().is_empty() && item.required => {
            Err(ConfigError::WrongSecret { name: name(), expected: "a value that is not empty".to_owned() })
        }
        Some(secret) => match item.kind.check(secret.expose(), &item.values) {
            Ok(()) => Ok(secret.clone()),
            Err(expected) => Err(ConfigError::WrongSecret { name: name(), expected }),
        },
        None if item.required => Err(ConfigError::MissingSecret { name: name(), about: about(item) }),
        None => Ok(Secret::new("")),
    }
}

fn about(item: &ConfigItem) -> String {
    if item.description.is_empty() { String::new() } else { format!(": {}", item.description) }
}
