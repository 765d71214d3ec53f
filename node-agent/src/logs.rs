//! Log files of instances: the process appends to them by itself, so that nothing is lost while the agent is
//! away; the agent keeps them small and reads them from their end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::clock;

mod follow;
pub mod times;

pub use follow::Follower;

/// A file longer than this moves to `.1`.
pub const CAP: u64 = 1 << 20;
/// Begins a line that a container wrote to stderr; both its outputs go into one file, in their order.
pub const STDERR_MARK: u8 = 2;
pub const LONGEST_LINE: usize = 16 << 10;
const BLOCK: usize = 16 << 10;

/// Opens a log for a process to append to.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(appending(path)?.into())
}

pub fn appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Adds a line of the agent's own words: `<unix ms> text`. Telling is not worth failing for.
pub fn say(path: &Path, text: &str) {
    rotate(path);
    // In one write, so that no line of another gets in between.
    let line = format!("{} {text}\n", clock::unix_ms());
    let _ = appending(path).and_then(|mut file| file.write_all(line.as_bytes()));
}

pub fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// Moves what is in a file over the cap to `.1` and empties it in place, as its writers keep it open. Of a file
/// far over the cap only the end is kept. What is written between copy and emptying is lost.
pub fn rotate(path: &Path) {
    if path.metadata().is_ok_and(|meta| meta.size() > CAP)
        && let Err(error) = copy_truncate(path)
    {
        tracing::warn!(log = %path.display(), %error, "log could not be rotated, dropping it");
        // On a full disk there is no room for the copy; growing on would make it worse.
        let _ = fs::remove_file(times::path(path));
        let _ = OpenOptions::new().write(true).truncate(true).open(path);
    }
}

fn copy_truncate(path: &Path) -> io::Result<()> {
    const KEPT: u64 = 4 * CAP;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let size = file.metadata()?.size();
    file.seek(SeekFrom::Start(size.saturating_sub(KEPT)))?;
    let old = previous(path);
    let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&old)?;
    io::copy(&mut (&file).take(KEPT), &mut copy)?;
    // What the marks count goes with what they are of.
    if fs::rename(times::path(path), times::path(&old)).is_err() || size > KEPT {
        let _ = fs::remove_file(times::path(&old));
    }
    file.set_len(0)
}

/// The last lines of a log and its predecessor, oldest first; all with `count` 0.
pub fn tail(path: &Path, count: usize) -> Vec<Vec<u8>> {
    timed_tail(path, count).into_iter().map(|(_, text)| text).collect()
}

/// Like `tail`, each with the time by which it was written.
pub fn timed_tail(path: &Path, count: usize) -> Vec<(i64, Vec<u8>)> {
    let wanted = if count == 0 { usize::MAX } else { count };
    let mut lines = times::of(path, last_lines(path, wanted));
    if lines.len() < wanted {
        let old = previous(path);
        let mut older = times::of(&old, last_lines(&old, wanted - lines.len()));
        older.append(&mut lines);
        lines = older;
    }
    lines
}

/// Reads blocks backwards until enough lines are there.
fn last_lines(path: &Path, count: usize) -> Vec<Line> {
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let mut at = file.metadata().map_or(0, |meta| meta.size());
    let mut bytes = Vec::new();
    while at > 0 && newlines(&bytes) <= count {
        let size = usize::try_from(at).unwrap_or(BLOCK).min(BLOCK);
        at -= size as u64;
        let mut block = vec![0; size];
        if file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut block)).is_err() {
            break;
        }
        block.append(&mut bytes);
        bytes = block;
    }
    let mut lines = lines_from(at, &bytes);
    let extra = lines.len().saturating_sub(count);
    lines.drain(..extra);
    lines
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// One line, or a piece of a long one.
struct Line {
    /// Where in the log it ends, with its newline.
    end: u64,
    text: Vec<u8>,
}

/// Whole lines without their newline, in pieces of at most [`LONGEST_LINE`].
pub fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    lines_from(0, bytes).into_iter().map(|line| line.text).collect()
}

/// The lines of what begins at `at` in its log.
fn lines_from(at: u64, bytes: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut end = at;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len() as u64;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text.is_empty() {
            lines.push(Line { end, text: Vec::new() });
        }
        lines.extend(text.chunks(LONGEST_LINE).map(|piece| Line { end, text: piece.to_vec() }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_read_from_the_end_over_blocks_and_rotation() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("web.0.log");
        let text: String = (0..9000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&path, &text).expect("written");
        let last = |count| tail(&path, count).into_iter().map(|line| String::from_utf8(line).expect("text"));
        assert_eq!(last(2).collect::<Vec<_>>(), ["line 8998", "line 8999"]);
        assert_eq!(last(0).count(), 9000);
        std::fs::rename(&path, previous(&path)).expect("moved");
        std::fs::write(&path, "new\nunfinished").expect("written");
        assert_eq!(last(3).collect::<Vec<_>>(), ["line 8999", "new", "unfinished"]);
    }

    #[test]
    fn a_log_over_the_cap_is_emptied_under_its_writer() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("web.0.log");
        let mut writer = File::from(open(&path).expect("opened"));
        let line = [b'x'; 1023];
        for _ in 0..1100 {
            writer.write_all(&line).and_then(|()| writer.write_all(b"\n")).expect("written");
        }
        rotate(&path);
        writer.write_all(b"after\n").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"after\n");
        assert_eq!(tail(&path, 0).len(), 1101);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let long = vec![b'x'; LONGEST_LINE * 2 + 5];
        assert_eq!(split(&long).iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST_LINE, LONGEST_LINE, 5]);
        assert_eq!(split(b"a\n\nb\n"), [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
    }
}
