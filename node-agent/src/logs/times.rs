//! When the lines of a log were written. The processes write to it by themselves and say no times, so the agent notes
//! now and then how long the log was when: `<bytes> <unix ms>`, in a file beside it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Line, appending};

/// The marks of a log.
pub fn path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".times");
    PathBuf::from(name)
}

/// Notes when the log became as long as it is, unless it was `noted` bytes long before, too; gives its length.
pub fn mark(log: &Path, noted: u64) -> u64 {
    let Ok(meta) = log.metadata() else { return 0 };
    if meta.size() != noted && meta.size() != 0 {
        let mark = format!("{} {}\n", meta.size(), modified_ms(&meta));
        // A line without its time is no reason to fail.
        let _ = appending(&path(log)).and_then(|mut marks| marks.write_all(mark.as_bytes()));
    }
    meta.size()
}

/// Each line with the time by which it was written.
pub(super) fn of(log: &Path, lines: Vec<Line>) -> Vec<(i64, Vec<u8>)> {
    let latest = log.metadata().map_or(0, |meta| modified_ms(&meta));
    let marks = read(log);
    let time = |end: u64| {
        let next = marks.partition_point(|(size, _)| *size < end);
        marks.get(next).map_or(latest, |(_, time)| *time)
    };
    lines.into_iter().map(|line| (time(line.end), line.text)).collect()
}

/// Growing in both; what was cut off in a power loss does not count.
fn read(log: &Path) -> Vec<(u64, i64)> {
    let text = fs::read(path(log)).unwrap_or_default();
    let mut marks: Vec<(u64, i64)> = Vec::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let mark =
            line.split_once(' ').and_then(|(size, time)| Some((size.parse().ok()?, time.parse().ok()?)));
        marks.extend(mark.filter(|(size, _)| marks.last().is_none_or(|(last, _)| last < size)));
    }
    marks
}

fn modified_ms(meta: &fs::Metadata) -> i64 {
    meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    use super::super::{CAP, previous, rotate, timed_tail};
    use super::*;

    /// Writes at that second, as a process would.
    fn write(log: &Path, text: &str, second: u64) {
        appending(log).and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        File::open(log).and_then(|file| file.set_times(FileTimes::new().set_modified(time))).expect("dated");
    }

    fn seconds(log: &Path, count: usize) -> Vec<(i64, String)> {
        let lines = timed_tail(log, count).into_iter();
        lines.map(|(ms, line)| (ms / 1000, String::from_utf8(line).expect("text"))).collect()
    }

    fn line(second: i64, text: &str) -> (i64, String) {
        (second, text.to_owned())
    }

    #[test]
    fn a_line_has_the_time_of_the_first_mark_after_it_also_when_the_log_was_rotated() {
        let dir = tempfile::tempdir().expect("tempdir");
        let log = dir.path().join("web.0.log");
        write(&log, "one\ntwo\n", 10);
        let noted = mark(&log, 0);
        assert_eq!(mark(&log, noted), noted, "nothing new, nothing noted");
        write(&log, "three\nunfin", 20);
        mark(&log, noted);
        write(&log, "ished\n", 30);
        let all = [line(10, "one"), line(10, "two"), line(20, "three"), line(30, "unfinished")];
        assert_eq!(seconds(&log, 0), all);
        assert_eq!(seconds(&log, 2), all[2..]);
        mark(&log, 0);

        write(&log, &"x".repeat(usize::try_from(CAP).expect("small")), 40);
        mark(&log, 0);
        rotate(&log);
        write(&log, "new\n", 50);
        assert_eq!(seconds(&log, 0)[..4], all);
        assert_eq!(seconds(&log, 1), [line(50, "new")]);
        assert!(path(&previous(&log)).exists() && !path(&log).exists());
    }

    #[test]
    fn marks_that_make_no_sense_are_passed_over() {
        let dir = tempfile::tempdir().expect("tempdir");
        let log = dir.path().join("web.0.log");
        write(&log, "one\ntwo\n", 60);
        fs::write(path(&log), "4 10000\n\0\0\n2 5000\n8 2").expect("written");
        assert_eq!(seconds(&log, 0), [line(10, "one"), line(0, "two")]);
    }
}
