//! What a program under Landlock may open.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::sandbox::SandboxError;
use crate::sandbox::landlock::{Access, Ruleset};

/// Reads everything but the agent's folder; writes to its own and to what was named.
///
/// # Errors
/// When one of these would open the agent's data, or the kernel refuses.
pub fn of(data: &Path, scratch: &Path, named: &[PathBuf]) -> Result<OwnedFd, SandboxError> {
    let failed = |cause| SandboxError::System { action: "make a Landlock ruleset", cause };
    let mut writable = vec![scratch.to_owned()];
    for path in named {
        let path = path.canonicalize().map_err(failed)?;
        // Rules only add up: what is writable as a whole cannot have a part that is not.
        if is_exposing(&path, data).map_err(failed)? {
            return Err(SandboxError::Exposes(path));
        }
        writable.push(path);
    }
    rules(data, &writable).map_err(failed)
}

/// Whether whoever may write to a path may write to the agent's data, or the other way round.
fn is_exposing(path: &Path, data: &Path) -> io::Result<bool> {
    let data = data.canonicalize()?;
    Ok(data.starts_with(path) || path.starts_with(&data))
}

fn rules(data: &Path, writable: &[PathBuf]) -> io::Result<OwnedFd> {
    let ruleset = Ruleset::new()?;
    ruleset.allow_all_but(data, Access::Read)?;
    for path in writable {
        ruleset.allow(path, Access::Write)?;
    }
    for device in ["null", "zero", "full", "random", "urandom"] {
        ruleset.allow(&Path::new("/dev").join(device), Access::Use)?;
    }
    Ok(ruleset.into_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_the_agents_data_or_lies_in_them_is_not_writable() {
        let dir = tempfile::tempdir().expect("tempdir");
        let home = dir.path().canonicalize().expect("there");
        let data = home.join(".local/agent");
        std::fs::create_dir_all(data.join("runs")).expect("made");
        std::fs::create_dir(home.join(".local/agent-2")).expect("made");
        let is_exposing = |path: &Path| is_exposing(path, &data).expect("there");
        for path in [Path::new("/"), &home, &home.join(".local"), &data, &data.join("runs")] {
            assert!(is_exposing(path), "{}", path.display());
        }
        for path in [Path::new("/srv"), &home.join("other"), &home.join(".local/agent-2")] {
            assert!(!is_exposing(path), "{}", path.display());
        }
    }
}
