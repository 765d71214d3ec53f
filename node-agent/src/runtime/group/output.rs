//! What containers write, copied into the instance's log from where the last copy ended.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::logs::{self, STDERR_MARK};
use crate::runtime::engine::{Engine, EngineError};

const LONGEST: usize = 64 << 10;

/// Copies the output of one service.
pub struct Copier {
    pub log: PathBuf,
    /// Holds the time of the last line that was copied.
    pub place: PathBuf,
    /// Goes before each line where there are several services.
    pub prefix: String,
    pub has_terminal: bool,
    /// Lines before this time were copied before, and so many of this very time: Podman's times are whole seconds.
    resume: (String, usize),
    last: String,
    /// Lines of the last time.
    same: usize,
    pub last_line: String,
    partial: [Vec<u8>; 2],
}

impl Copier {
    pub fn new(log: PathBuf, place: PathBuf, prefix: String, has_terminal: bool) -> Self {
        Self {
            log,
            place,
            prefix,
            has_terminal,
            resume: (String::new(), 0),
            same: 0,
            last: String::new(),
            last_line: String::new(),
            partial: Default::default(),
        }
    }

    /// Copies until the container ends.
    ///
    /// # Errors
    /// When the engine goes away; then it can be called again.
    pub async fn copy(&mut self, engine: &Engine, container: &str) -> Result<(), EngineError> {
        // Names the container, as another one's lines have nothing to do with its place.
        let kept = fs::read_to_string(&self.place).unwrap_or_default();
        let words: Vec<&str> = kept.split_whitespace().collect();
        self.resume = match words[..] {
            [of, time, count] if of == container => (time.to_owned(), count.parse().unwrap_or(0)),
            _ => (String::new(), 0),
        };
        (self.last, self.same) = (String::new(), 0);
        let since = unix(&self.resume.0).unwrap_or_else(|| "0".to_owned());
        let mut stream = engine.logs(container, &since, !self.has_terminal).await?;
        loop {
            let piece = stream.next().await.map_err(|cause| engine.unreachable(cause))?;
            let Some((is_stderr, piece)) = piece else { break };
            self.take(is_stderr, &piece, container);
        }
        for is_stderr in [false, true] {
            if !self.partial[usize::from(is_stderr)].is_empty() {
                self.take(is_stderr, b"\n", container);
            }
        }
        Ok(())
    }

    fn take(&mut self, is_stderr: bool, piece: &[u8], container: &str) {
        let buffer = &mut self.partial[usize::from(is_stderr)];
        buffer.extend_from_slice(piece);
        let end = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = if end == 0 && buffer.len() > LONGEST { buffer.len() } else { end };
        let rest = buffer.split_off(end);
        let lines = std::mem::replace(buffer, rest);
        let mut out = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.line(is_stderr, line, &mut out);
        }
        if out.is_empty() {
            return;
        }
        // A log that cannot be written must not end what it is about.
        let written = logs::appending(&self.log).and_then(|mut file| file.write_all(&out));
        if written.is_ok() {
            let _ = fs::write(&self.place, format!("{container} {} {}", self.last, self.same));
        }
    }

    fn line(&mut self, is_stderr: bool, line: &[u8], out: &mut Vec<u8>) {
        let blank = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (time, text) = line.split_at(blank);
        let text = text.strip_prefix(b" ").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if let Ok(time) = std::str::from_utf8(time) {
            if time > self.last.as_str() {
                (self.last, self.same) = (time.to_owned(), 0);
            }
            self.same += usize::from(time == self.last);
            let (resume, copied) = (self.resume.0.as_str(), self.resume.1);
            if time < resume || time == resume && self.same <= copied {
                return;
            }
        }
        self.last_line = String::from_utf8_lossy(&text[..text.len().min(300)]).trim().to_owned();
        if is_stderr {
            out.push(STDERR_MARK);
        }
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}

/// `2024-01-31T12:00:00.123456789Z` as seconds since 1970.
fn unix(time: &str) -> Option<String> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // Days since 1970 in the calendar whose years begin in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let mut unix = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let rest = time.get(19..)?;
    let fraction: String =
        rest.strip_prefix('.').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    // Podman writes the node's own time zone.
    let zone = rest.find(['+', '-']).and_then(|at| rest.get(at..));
    if let Some(zone) = zone {
        let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
        unix += if zone.starts_with('+') { -minutes } else { minutes } * 60;
    }
    Some(format!("{unix}.{fraction:0<9}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_lines_are_read_in_any_zone() {
        for (time, seconds) in [
            ("1970-01-01T00:00:00Z", "0.000000000"),
            ("2024-02-29T12:34:56.5Z", "1709210096.500000000"),
            ("2024-02-29T13:34:56.5+01:00", "1709210096.500000000"),
            ("2023-12-31T23:59:59.123456789-05:30", "1704086999.123456789"),
        ] {
            assert_eq!(unix(time).as_deref(), Some(seconds), "{time}");
        }
        assert_eq!(unix("yesterday"), None);
    }

    #[test]
    fn lines_are_copied_once_with_their_stream_told_apart() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (log, place) = (dir.path().join("log"), dir.path().join("place"));
        let mut copier = Copier::new(log.clone(), place, "web | ".to_owned(), false);
        copier.take(false, b"2024-02-29T12:00:00.1Z one\n2024-02-29T12:00:00.2Z tw", "c");
        copier.take(true, b"2024-02-29T12:00:00.3Z bad\n", "c");
        copier.take(false, b"o\n", "c");
        let written = fs::read_to_string(log).expect("written");
        assert_eq!(written, "web | one\n\u{2}web | bad\nweb | two\n");
        assert_eq!(copier.last_line, "two");
    }
}
