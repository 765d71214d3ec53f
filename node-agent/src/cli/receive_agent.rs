//! Storing a build of the agent that is to be tried: it must be whole, and run here.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use modules::digest::{Digest, Hasher};

use crate::cli::CliError;
use crate::config::DataDir;
use crate::disk::{self, DiskError};
use crate::fault;
use crate::upgrade::files::Files;

/// Seconds for the build to say its version.
const PROBE: libc::c_uint = 10;
const BLOCK: usize = 64 << 10;

pub fn receive_agent(data: &DataDir, text: &str, size: u64) -> Result<(), CliError> {
    let wanted = Digest::parse(text).map_err(|_| CliError::Digest { text: text.to_owned() })?;
    let folder = data.bin();
    disk::make_dir(&folder, 0o755)?;
    let files = Files::of(data);
    files.sweep();
    let temporary = Temporary(files.temporary(std::process::id()));
    let path = &temporary.0;
    let failed = |action| move |cause| CliError::from(DiskError::new(action, path, cause));
    let found = store(path, size).map_err(failed("write"))?;
    if found.as_ref() != Some(&wanted) {
        return Err(CliError::NotWhole);
    }
    probe(path)?;
    fault::point("upgrade.probed");
    fs::rename(path, &files.received).map_err(failed("rename"))?;
    disk::sync_dir(&folder)?;
    fault::point("upgrade.received");
    Ok(())
}

/// Copies stdin to a file that can be executed; the digest of what came, where it has the right size.
fn store(path: &Path, size: u64) -> io::Result<Option<Digest>> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(path)?;
    let mut input = io::stdin().lock().take(size.saturating_add(1));
    let mut hasher = Hasher::default();
    let (mut block, mut left) = (vec![0; BLOCK], size);
    loop {
        let count = match input.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        fault::point("upgrade.receiving");
        let Some(rest) = left.checked_sub(count as u64) else { return Ok(None) };
        left = rest;
        hasher.update(&block[..count]);
        file.write_all(&block[..count])?;
    }
    file.sync_all()?;
    Ok((left == 0).then(|| hasher.finish()))
}

/// Starts the build to see whether it runs on this machine; one that hangs is ended.
fn probe(path: &Path) -> Result<(), CliError> {
    let mut command = Command::new(path);
    command.arg("version").stdin(Stdio::null());
    // SAFETY: alarm is async-signal-safe, and outlives the exec.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(PROBE);
            Ok(())
        });
    }
    let output = command.output().map_err(|cause| CliError::DoesNotRun { said: cause.to_string() })?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    let said = if said.is_empty() { format!("asked for its version, {}", output.status) } else { said };
    Err(CliError::DoesNotRun { said })
}

/// Gone with this value, unless it has another name by then.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
