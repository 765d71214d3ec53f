//! The folders beside a compose file that are not in the package: kept for the instance, each under a name of its own.

use std::collections::{BTreeMap, BTreeSet};

use modules::compose::model::{Mount, MountSource, Project};
use modules::compose::module::is_in_package;
use modules::spec::ModuleSpec;
use modules::spec::runtime::Runtime;

/// The name of each, by its path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folders {
    names: BTreeMap<String, String>,
    /// Those whose plain name is another's.
    renamed: BTreeMap<String, String>,
}

impl Folders {
    pub fn of(project: &Project, spec: &ModuleSpec, paths: &BTreeSet<String>) -> Self {
        let sources = || project.services.iter().flat_map(|service| &service.mounts);
        let relative = sources().filter_map(|Mount { source, .. }| match source {
            MountSource::Relative(path) if !is_in_package(path, paths) => Some(path.as_str()),
            _ => None,
        });
        let named = sources().filter_map(|Mount { source, .. }| match source {
            MountSource::Named(name) => Some(name.as_str()),
            _ => None,
        });
        let folder = match &spec.runtime {
            Runtime::Compose(compose) => compose.file.rsplit_once('/').map_or("", |(folder, _)| folder),
            Runtime::Process(_) | Runtime::Container(_) | Runtime::Systemd(_) => "",
        };
        Self::named(relative.collect(), named.collect(), folder)
    }

    /// `taken` are the named volumes of the project, which keep their names whatever else there is.
    fn named(relative: BTreeSet<&str>, taken: BTreeSet<&str>, folder: &str) -> Self {
        let mut folders = Self::default();
        let mut taken: BTreeSet<String> = taken.into_iter().map(str::to_owned).collect();
        // A path that is its own plain name has the better claim to it.
        let mut relative: Vec<&str> = relative.into_iter().collect();
        relative.sort_by_key(|path| (path.matches('/').count(), *path));
        for path in relative {
            let plain = plain(folder, path);
            let name = if taken.contains(&plain) { distinct(path, &taken) } else { plain.clone() };
            if name != plain {
                folders.renamed.insert(path.to_owned(), plain);
            }
            taken.insert(name.clone());
            folders.names.insert(path.to_owned(), name);
        }
        folders
    }

    /// What the folder is called beside the volumes of the instance.
    pub fn name(&self, path: &str) -> String {
        self.names.get(path).cloned().unwrap_or_else(|| plain("", path))
    }

    /// What people should know of them.
    pub fn notes(&self) -> Vec<String> {
        let note = |(path, plain): (&String, &String)| {
            let name = self.name(path);
            format!("the folder {path:?} is kept as {name:?}, as {plain:?} is the name of another volume")
        };
        self.renamed.iter().map(note).collect()
    }
}

/// Data lies under these names since modules are deployed, so they stay; that is also why the folder of the compose
/// file is in them once more than in the path.
fn plain(folder: &str, path: &str) -> String {
    let whole = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    whole.replace('/', "_")
}

/// Another one for each path, and none that is taken.
fn distinct(path: &str, taken: &BTreeSet<String>) -> String {
    let mut name = format!("folder.{}", path.replace('_', "_u").replace('/', "_s"));
    while taken.contains(&name) {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders, and the names of their volumes.
    type Named = &'static [(&'static str, &'static str)];

    #[test]
    fn no_two_folders_share_their_data_and_a_name_changes_only_where_it_must() {
        let cases: [(&[&str], &[&str], &str, Named); 6] = [
            (&["data", "a/b"], &["db"], "", &[("a/b", "a_b"), ("data", "data")]),
            (&["data"], &["data"], "", &[("data", "folder.data")]),
            (&["a/b", "a_b"], &[], "", &[("a/b", "folder.a_sb"), ("a_b", "a_b")]),
            (&["a/b_c", "a_b/c"], &[], "", &[("a/b_c", "a_b_c"), ("a_b/c", "folder.a_ub_sc")]),
            (&["data"], &["data", "folder.data"], "", &[("data", "folder.data_")]),
            (&["deploy/data"], &[], "deploy", &[("deploy/data", "deploy_deploy_data")]),
        ];
        for (relative, taken, folder, expected) in cases {
            let sets = |texts: &[&'static str]| texts.iter().copied().collect();
            let folders = Folders::named(sets(relative), sets(taken), folder);
            let names: Vec<(&str, &str)> =
                folders.names.iter().map(|(path, name)| (path.as_str(), name.as_str())).collect();
            assert_eq!(names, expected, "{relative:?} beside {taken:?}");
        }
    }
}
