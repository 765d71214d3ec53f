//! Bytes in chunks of any size → lines.

use crate::error::Fault;

/// Cuts a stream into lines ended by LF, CR LF or CR, as server-sent events allow. Chunks may end anywhere, also between
/// CR and LF or inside of a character.
#[derive(Debug)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    after_cr: bool,
    limit: usize,
}

impl Lines {
    /// Lines longer than `limit` bytes are refused, before they are held.
    pub(crate) fn new(limit: usize) -> Lines {
        Lines { partial: Vec::new(), after_cr: false, limit }
    }

    /// Hands every line that `bytes` completes to `each`.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rest = bytes;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = false;
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(&rest[..end])?;
            each(text(&self.partial)?)?;
            self.partial.clear();
            let next = &rest[end + 1..];
            self.after_cr = rest[end] == b'\r' && next.is_empty();
            rest = if rest[end] == b'\r' { next.strip_prefix(b"\n").unwrap_or(next) } else { next };
        }
        self.extend(rest)
    }

    /// What stands after the last line end, when the stream has ended.
    pub(crate) fn rest(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.partial).map_err(|cause| match cause.error_len() {
            None => Fault::Truncated { awaited: "the rest of a character" },
            Some(_) => Fault::NotUtf8,
        })
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.partial.len() + bytes.len() > self.limit {
            return Err(Fault::LineTooLong { limit: self.limit });
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)
}
