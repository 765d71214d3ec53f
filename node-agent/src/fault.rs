//! Points at which a test may have the agent die as by `kill -9`. Nothing of this is in a build without the
//! feature `fault`.

/// Dies here when `ORCHESTRATOR_FAULT` or the file `<data>/fault` (used up by this) names the point. With `trace` in
/// that file it is appended to `<data>/fault.reached` instead.
#[cfg(not(feature = "fault"))]
#[inline]
pub fn point(_name: &str) {}

#[cfg(not(feature = "fault"))]
pub fn arm(_data: &std::path::Path) {}

#[cfg(feature = "fault")]
pub use armed::{arm, point};

#[cfg(feature = "fault")]
mod armed {
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;

    static FILE: OnceLock<PathBuf> = OnceLock::new();

    pub fn arm(data: &Path) {
        FILE.get_or_init(|| data.join("fault"));
    }

    pub fn point(name: &str) {
        if is_traced(name) {
            return;
        }
        let by_env = std::env::var("ORCHESTRATOR_FAULT").is_ok_and(|wanted| wanted == name);
        if by_env || taken_from_file(name) {
            eprintln!("fault injected at {name}");
            // SAFETY: a signal to ourselves.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    }

    fn is_traced(name: &str) -> bool {
        use std::io::Write;
        let Some(path) = FILE.get() else { return false };
        if !std::fs::read_to_string(path).is_ok_and(|wanted| wanted.trim() == "trace") {
            return false;
        }
        let reached =
            std::fs::OpenOptions::new().append(true).create(true).open(path.with_extension("reached"));
        reached.and_then(|mut file| writeln!(file, "{name}")).is_ok()
    }

    fn taken_from_file(name: &str) -> bool {
        let Some(path) = FILE.get() else { return false };
        let wanted = std::fs::read_to_string(path).unwrap_or_default();
        wanted.trim() == name && std::fs::remove_file(path).is_ok()
    }
}
