//! Points at which a test may have the coordinator die as by `kill -9`. Nothing of this is in a build without the
//! feature `fault`.

/// Dies here when `ORCHESTRATOR_FAULT` names the point; appends its name to a file with `trace:<file>` there.
#[cfg(not(feature = "fault"))]
#[inline]
pub fn point(_name: &str) {}

/// How much one transaction takes: in a test as little as `ORCHESTRATOR_FAULT_BATCH` says, so that a small fleet
/// needs several.
#[cfg(not(feature = "fault"))]
#[inline]
pub fn batch(usual: usize) -> usize {
    usual
}

#[cfg(feature = "fault")]
pub fn batch(usual: usize) -> usize {
    std::env::var("ORCHESTRATOR_FAULT_BATCH").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[cfg(feature = "fault")]
pub fn point(name: &str) {
    let Ok(wanted) = std::env::var("ORCHESTRATOR_FAULT") else { return };
    if let Some(file) = wanted.strip_prefix("trace:") {
        trace(file, name).expect("a test that traces points has a place for them");
    } else if wanted == name {
        eprintln!("fault injected at {name}");
        // SAFETY: a signal to ourselves.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

#[cfg(feature = "fault")]
fn trace(file: &str, name: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{name}\n").as_bytes())
}
