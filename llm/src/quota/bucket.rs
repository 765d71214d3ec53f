//! A bucket that refills at a rate, and learns the rate.

use serde::{Deserialize, Serialize};

use crate::limits::Window;
use crate::quota::UnixMillis;

/// Levels are held in millionths, so that no refill is lost to rounding.
const UNIT: i128 = 1_000_000;
const MINUTE: i128 = 60_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// Millionths a minute.
    rate: i128,
    /// No rate that we learn is lower.
    least: i128,
    /// What is in it, in millionths; less than nothing after a request that took more than it said.
    level: i128,
    /// The most that can be in it, in millionths.
    capacity: i128,
    refilled_at: UnixMillis,
    source: Source,
    /// The rate at which the last refusal came.
    ceiling: i128,
}

/// Where the rate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// Guessed, and never refused so far.
    Guess,
    /// Found by refusals.
    Found,
    /// Told in headers.
    Told,
}

impl Bucket {
    pub(super) fn guess(per_minute: u64, least: u64, now: UnixMillis) -> Bucket {
        let rate = i128::from(per_minute) * UNIT;
        let mut bucket = Bucket {
            rate,
            least: i128::from(least) * UNIT,
            level: 0,
            capacity: 0,
            refilled_at: now,
            source: Source::Guess,
            ceiling: 0,
        };
        bucket.resize();
        bucket.level = bucket.capacity;
        bucket
    }

    pub(super) fn per_minute(&self) -> u64 {
        u64::try_from(self.rate / UNIT).unwrap_or(u64::MAX)
    }

    /// What may be taken now.
    pub(super) fn available(&self) -> u64 {
        u64::try_from(self.level / UNIT).unwrap_or(0)
    }

    pub(super) fn refill(&mut self, now: UnixMillis) {
        // A clock that was set back refills nothing, and must not stop refilling until it has caught up.
        let passed = i128::from(now.saturating_sub(self.refilled_at)).max(0);
        self.level = (self.level + self.rate.saturating_mul(passed) / MINUTE).min(self.capacity);
        self.refilled_at = now;
    }

    /// Milliseconds until `amount` may be taken; more than the bucket holds may be taken when it is full.
    pub(super) fn wait(&self, amount: u64) -> u64 {
        let missing = (i128::from(amount) * UNIT).min(self.capacity) - self.level;
        if missing <= 0 {
            return 0;
        }
        u64::try_from((missing * MINUTE + self.rate - 1) / self.rate.max(1)).unwrap_or(u64::MAX)
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.level -= i128::from(amount) * UNIT;
    }

    pub(super) fn empty(&mut self) {
        self.level = self.level.min(0);
    }

    /// Corrects what was taken by what was used.
    pub(super) fn give_back(&mut self, taken: u64, used: u64) {
        self.level = (self.level + (i128::from(taken) - i128::from(used)) * UNIT).min(self.capacity);
    }

    /// Grows a learned rate: doubles it in a minute of full use, and goes slowly near where the last refusal came.
    pub(super) fn answered(&mut self, amount: u64) {
        let grown = i128::from(amount) * UNIT;
        let is_near = (self.ceiling * 9 / 10..=self.ceiling * 12 / 10).contains(&self.rate);
        self.rate += match self.source {
            Source::Guess => grown,
            Source::Found if is_near => grown / 4,
            Source::Found => grown,
            Source::Told => return,
        };
        self.resize();
    }

    /// Halves a learned rate. One that was told is right: then others share the key, and what is left is nothing.
    pub(super) fn refused(&mut self) {
        self.empty();
        if self.source != Source::Told {
            self.source = Source::Found;
            self.ceiling = self.rate;
            self.rate = (self.rate / 2).max(self.least);
            self.resize();
        }
    }

    /// Takes what headers tell.
    pub(super) fn told(&mut self, window: Window) {
        if let Some(limit) = window.limit.filter(|limit| *limit > 0) {
            self.source = Source::Told;
            self.rate = told_rate(limit, window).max(self.least);
            self.capacity = i128::from(limit) * UNIT;
        }
        if let Some(remaining) = window.remaining {
            // Others may use the same key: less than we think is believed, more is not, as requests are under way.
            self.level = self.level.min(i128::from(remaining) * UNIT);
        }
        self.level = self.level.min(self.capacity);
    }

    /// A burst of ten seconds' worth is what a guess dares.
    fn resize(&mut self) {
        self.capacity = (self.rate / 6).max(UNIT);
        self.level = self.level.min(self.capacity);
    }
}

/// Limits are by the minute, unless they take longer than that to be whole again (so much a day): then what is used
/// comes back over that time.
fn told_rate(limit: u64, window: Window) -> i128 {
    let by_minute = i128::from(limit) * UNIT;
    let (Some(remaining), Some(reset)) = (window.remaining, window.reset_after) else { return by_minute };
    let millis = i128::try_from(reset.as_millis()).unwrap_or(i128::MAX);
    if millis <= MINUTE {
        return by_minute;
    }
    (i128::from(limit.saturating_sub(remaining)) * UNIT).saturating_mul(MINUTE) / millis
}
