//! What the policy has looked up on this node: programs, where paths lead, and what belongs to the agent.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use plan::policy::Policy;
use plan::policy::look::{Look, Program};

use crate::config::DataDir;

/// As many as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Looks at this node.
pub struct Node<'n> {
    pub policy: &'n Policy,
    pub own: &'n [String],
}

impl Node<'_> {
    /// Judges by what is there now.
    pub fn with<T>(&self, judge: impl FnOnce(&Look<'_>) -> T) -> T {
        let program = |name: &str| program(self.policy, name);
        judge(&Look { program: &program, real_path: &real_path, own: self.own })
    }
}

/// Paths that nothing but the agent touches: all its data, under every name.
pub fn own(data: &DataDir) -> Vec<String> {
    let mut own = vec![data.0.to_string_lossy().into_owned(), real_path(&data.0.to_string_lossy())];
    own.extend(std::env::current_exe().ok().map(|path| path.to_string_lossy().into_owned()));
    own.sort();
    own.dedup();
    own
}

/// A bare name in the folders of the policy, or an absolute path.
fn program(policy: &Policy, name: &str) -> Option<Program> {
    let found = match name.starts_with('/') {
        true => Some(PathBuf::from(name)).filter(|path| is_program(path)),
        false => {
            policy.programs.iter().map(|folder| Path::new(folder).join(name)).find(|path| is_program(path))
        }
    }?;
    let real = found.canonicalize().ok()?;
    Some(Program { found: found.to_str()?.to_owned(), real: real.to_str()?.to_owned() })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Where a path leads, all links followed; of what is not there, where its nearest folder leads.
pub fn real_path(path: &str) -> String {
    lead(Path::new(path), MAX_LINKS).to_string_lossy().into_owned()
}

fn lead(path: &Path, links: u32) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), links > 0) else {
        return path.to_owned();
    };
    // A link that leads nowhere yet may lead somewhere soon: what it says counts.
    match std::fs::read_link(path) {
        Ok(target) => lead(&parent.join(target), links - 1),
        Err(_) => lead(parent, links).join(name),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_leads_where_its_links_lead_also_when_it_is_not_there_yet() {
        let dir = tempfile::tempdir().expect("tempdir");
        let root = dir.path().canonicalize().expect("there");
        std::fs::create_dir(root.join("real")).expect("made");
        symlink("real", root.join("link")).expect("linked");
        symlink("/etc/nowhere/shadow", root.join("dangling")).expect("linked");
        symlink("loop", root.join("loop")).expect("linked");
        let lead = |name: &str| real_path(root.join(name).to_str().expect("text"));
        let real = |name: &str| root.join(name).to_string_lossy().into_owned();
        assert_eq!(lead("link/new/file"), real("real/new/file"));
        assert_eq!(lead("dangling"), "/etc/nowhere/shadow");
        assert_eq!(lead("real"), real("real"));
        assert!(lead("loop/x").ends_with("/loop/x"), "a loop has an end");
    }

    #[test]
    fn a_program_comes_from_the_folders_of_the_policy_only() {
        let mut policy = Policy::closed();
        assert_eq!(program(&policy, "sh"), None);
        policy.programs.insert("/bin".to_owned());
        assert_eq!(program(&policy, "sh").map(|program| program.found), Some("/bin/sh".to_owned()));
        assert_eq!(program(&policy, "no-such-program-here"), None);
        assert_eq!(program(&policy, "/etc/passwd"), None);
    }
}
