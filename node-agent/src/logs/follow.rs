//! Reading what is appended to a log, also across its rotation.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::logs::{self, LONGEST_LINE};

/// Remembers how far a log was read.
pub struct Follower {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end is not there yet.
    partial: Vec<u8>,
}

impl Follower {
    /// Begins after what is in the log now.
    pub fn at_end(path: &Path) -> Self {
        let offset = path.metadata().map_or(0, |meta| meta.size());
        Self { path: path.to_owned(), offset, partial: Vec::new() }
    }

    /// The lines that were completed since the last call.
    pub fn read(&mut self) -> Vec<Vec<u8>> {
        let size = self.path.metadata().map_or(0, |meta| meta.size());
        if size < self.offset {
            let moved = logs::previous(&self.path);
            loop {
                match self.read_from(&moved, self.offset) {
                    0 => break,
                    count => self.offset += count,
                }
            }
            self.offset = 0;
        }
        self.offset += self.read_from(&self.path.clone(), self.offset);
        self.complete_lines()
    }

    /// At most this much at once; the rest comes with the next call.
    fn read_from(&mut self, path: &Path, offset: u64) -> u64 {
        const MOST: u64 = 256 << 10;
        let Ok(mut file) = File::open(path) else { return 0 };
        let read =
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.take(MOST).read_to_end(&mut self.partial));
        read.map_or(0, |count| count as u64)
    }

    fn complete_lines(&mut self) -> Vec<Vec<u8>> {
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = if self.partial.len() - end > LONGEST_LINE { self.partial.len() } else { end };
        let rest = self.partial.split_off(end);
        logs::split(&std::mem::replace(&mut self.partial, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_follower_gets_each_line_once_also_when_the_log_is_rotated() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("web.0.log");
        let mut writer = File::from(logs::open(&path).expect("opened"));
        let mut write = |text: &str| writer.write_all(text.as_bytes()).expect("written");
        write("old\n");
        let mut follower = Follower::at_end(&path);
        write("one\ntw");
        assert_eq!(follower.read(), [b"one".to_vec()]);
        write("o\nthree\n");
        write(&format!("{}\n", "x".repeat(1000)).repeat(1100));
        logs::rotate(&path);
        write("last\n");
        let mut lines = Vec::new();
        for _ in 0..20 {
            lines.extend(follower.read());
        }
        assert_eq!(lines[..2], [b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(lines.last(), Some(&b"last".to_vec()));
    }
}
