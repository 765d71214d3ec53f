//! The only place that asks what time it is. Waiting is measured by the monotonic clock, so that a Pi whose
//! wall clock jumps at its first contact with NTP neither restarts nor gives up anything.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

pub fn now() -> Instant {
    Instant::now()
}

/// Wall time for people to read, in milliseconds.
pub fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A number nobody needs to predict, for jitter and temporary names.
pub fn noise() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is valid for its length; a short or failed read leaves zeros, which is fine for jitter.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    u64::from_ne_bytes(bytes)
}
