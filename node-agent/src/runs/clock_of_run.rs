//! The time in a run: it begins with the wall clock and then goes on by the monotonic one, so that a Pi whose clock jumps
//! at its first contact with NTP neither ends its runs nor lets approvals expire.

use tokio::time::Instant;

use crate::clock;

/// The time of one run.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    base_ms: u64,
    since: Instant,
}

impl RunClock {
    /// Goes on from the wall clock, never behind what is in the journal.
    pub fn from(last_ms: u64) -> Self {
        let wall_ms = u64::try_from(clock::unix_ms()).unwrap_or(0);
        Self { base_ms: wall_ms.max(last_ms), since: clock::now() }
    }

    pub fn now_ms(&self) -> u64 {
        let passed = clock::now().saturating_duration_since(self.since).as_millis();
        self.base_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}
