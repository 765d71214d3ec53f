//! What `<module>` on the command line means, and which of its versions is meant.

use std::fmt;
use std::path::PathBuf;

use crate::name::{ModuleName, NameError};
use crate::suggest::closest;
use crate::version::{Requirement, Version, VersionError};

/// What a person calls a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleRef {
    /// A module of the registry: `redis`, `redis@7.0.1`, `redis@^7`.
    Named { name: ModuleName, version: Wanted },
    /// A folder with a MODULE.yaml: `./redis`.
    Folder(PathBuf),
    /// A package file: `redis.tar.gz`.
    Package(PathBuf),
}

/// Which version of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The newest that is no pre-release, or the newest of those if there is no other.
    Latest,
    Exactly(Version),
    Matching(Requirement),
}

/// Why a module was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    #[error("no module is given")]
    Empty,
    #[error("{text:?} is not a module")]
    Name {
        text: String,
        #[source]
        cause: NameError,
    },
    #[error("{text:?} asks for no version")]
    Version {
        text: String,
        #[source]
        cause: VersionError,
    },
    #[error("there is no module {name}")]
    UnknownModule { name: ModuleName, suggestion: Option<String> },
    #[error("module {name} has no version {wanted}; it has {available}")]
    UnknownVersion { name: ModuleName, wanted: Wanted, available: String },
}

impl RegistryError {
    /// The error for a name that is not among `known`.
    pub fn unknown<'k>(name: &ModuleName, known: impl IntoIterator<Item = &'k str>) -> Self {
        let suggestion = closest(name.as_str(), known).map(str::to_owned);
        RegistryError::UnknownModule { name: name.clone(), suggestion }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            RegistryError::UnknownModule { suggestion: Some(name), .. } => {
                Some(format!("did you mean {name:?}?"))
            }
            RegistryError::UnknownModule { suggestion: None, .. } => {
                Some("\"orchestrator module list\" shows all; a folder is written ./name".to_owned())
            }
            RegistryError::Name { .. } => {
                Some("write a name, name@version, ./folder or package.tar.gz".to_owned())
            }
            RegistryError::Version { .. } => Some("write name@1.2.3 or name@^1".to_owned()),
            RegistryError::Empty | RegistryError::UnknownVersion { .. } => None,
        }
    }
}

impl ModuleRef {
    /// Tells names from paths by their look alone: a path has a `/`, begins with `.` or ends in `.tar.gz`.
    ///
    /// # Errors
    /// When the text is neither a path nor a name with perhaps a version.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text.is_empty() {
            return Err(RegistryError::Empty);
        }
        if text.ends_with(".tar.gz") || text.ends_with(".tgz") {
            return Ok(ModuleRef::Package(text.into()));
        }
        if text.contains('/') || text.starts_with('.') {
            return Ok(ModuleRef::Folder(text.into()));
        }
        let (name, version) =
            text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        let name =
            ModuleName::parse(name).map_err(|cause| RegistryError::Name { text: text.to_owned(), cause })?;
        let wrong = |cause| RegistryError::Version { text: text.to_owned(), cause };
        let version = version.map_or(Ok(Wanted::Latest), Wanted::parse).map_err(wrong)?;
        Ok(ModuleRef::Named { name, version })
    }
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleRef::Named { name, version: Wanted::Latest } => name.fmt(f),
            ModuleRef::Named { name, version } => write!(f, "{name}@{version}"),
            ModuleRef::Folder(path) | ModuleRef::Package(path) => path.display().fmt(f),
        }
    }
}

impl Wanted {
    /// # Errors
    /// When the text is neither `latest`, a version nor a requirement.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text == "latest" {
            return Ok(Wanted::Latest);
        }
        Version::parse(text).map(Wanted::Exactly).or_else(|_| Requirement::parse(text).map(Wanted::Matching))
    }

    /// The version to take from those that there are.
    pub fn choose<'v>(&self, versions: impl IntoIterator<Item = &'v Version>) -> Option<&'v Version> {
        let fits = |version: &&Version| match self {
            Wanted::Latest => true,
            Wanted::Exactly(wanted) => wanted == *version,
            Wanted::Matching(requirement) => requirement.accepts(version),
        };
        versions.into_iter().filter(fits).max_by_key(|version| (!version.is_prerelease(), *version))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Latest => f.pad("latest"),
            Wanted::Exactly(version) => version.fmt(f),
            Wanted::Matching(requirement) => requirement.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_or_a_path_by_its_look() {
        let named = |text: &str, version| ModuleRef::Named {
            name: ModuleName::parse(text).expect("a name"),
            version,
        };
        let cases = [
            ("redis", named("redis", Wanted::Latest)),
            ("redis@latest", named("redis", Wanted::Latest)),
            ("redis@7.0.1", named("redis", Wanted::Exactly(version("7.0.1")))),
            ("redis@7", named("redis", Wanted::Matching(Requirement::parse("^7").expect("valid")))),
            ("./redis", ModuleRef::Folder("./redis".into())),
            (".", ModuleRef::Folder(".".into())),
            ("/srv/redis", ModuleRef::Folder("/srv/redis".into())),
            ("redis.tar.gz", ModuleRef::Package("redis.tar.gz".into())),
            ("a/redis.tgz", ModuleRef::Package("a/redis.tgz".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(ModuleRef::parse(text), Ok(expected), "{text}");
        }
        for bad in ["", "Redis", "redis@", "redis@new", "@1.0.0", "a b"] {
            assert!(ModuleRef::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_fitting_version_is_taken_and_prereleases_last() {
        let versions = ["7.0.0", "7.2.0", "8.0.0-rc1", "6.9.0"].map(version);
        let chosen = |wanted: &str| {
            Wanted::parse(wanted)
                .expect(wanted)
                .choose(&versions)
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        assert_eq!(chosen("latest"), "7.2.0");
        assert_eq!(chosen("6"), "6.9.0");
        assert_eq!(chosen("8.0.0-rc1"), "8.0.0-rc1");
        assert_eq!(chosen("9.0.0"), "");
        assert_eq!(
            Wanted::Latest.choose([&version("1.0.0-a")]).map(ToString::to_string),
            Some("1.0.0-a".to_owned())
        );
    }

    #[test]
    fn a_name_that_is_nearly_right_is_suggested() {
        let name = ModuleName::parse("mosqitto").expect("a name");
        let error = RegistryError::unknown(&name, ["redis", "mosquitto"]);
        assert_eq!(error.hint().as_deref(), Some("did you mean \"mosquitto\"?"));
    }

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }
}
