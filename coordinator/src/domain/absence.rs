//! Which nodes are lost: silent for longer than their lease, as seen by one who heard others meanwhile. Who hears nobody
//! may be the one that is cut off, and who slept has not listened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::ids::NodeName;

use crate::clock::UnixMillis;

/// A node that was not heard of for this long is lost.
const LEASE: Duration = Duration::from_secs(10);
/// One that has not answered is asked again before that, even where it was not asked for long.
const DOUBT: Duration = Duration::from_secs(4);
/// Between two looks; after a longer time nobody can say what was in between.
const LATE: Duration = Duration::from_secs(30);
/// By how much more the time of day may go on than the clock that stands still while the machine sleeps.
const SLEPT: Duration = Duration::from_secs(5);

/// A moment, by a clock that stands still while this machine sleeps, and by the time of day.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub awake: Duration,
    pub wall: UnixMillis,
}

impl Moment {
    /// Whether it was not listened all the time since `former`: this machine slept, or this process stood still. A
    /// clock that was set looks like sleep, and may.
    fn is_after_a_gap(self, former: Moment) -> bool {
        let awake = self.awake.saturating_sub(former.awake);
        let wall = u64::try_from(self.wall.saturating_sub(former.wall)).unwrap_or(0);
        awake > LATE || Duration::from_millis(wall) > awake + SLEPT
    }
}

/// Where a node is, as seen by who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    ThisMachine,
    Elsewhere,
}

/// What a look at the fleet came to for one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub whereabouts: Whereabouts,
    pub answers: bool,
}

/// What is new with a look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct News {
    pub silent: Vec<NodeName>,
    pub back: Vec<NodeName>,
    /// No node elsewhere answers any more.
    pub is_cut_off: bool,
}

/// When nodes were last heard of, and since when they have not answered.
#[derive(Debug, Default)]
pub struct Absences {
    heard: BTreeMap<NodeName, Duration>,
    since: BTreeMap<NodeName, Duration>,
    last: Option<Moment>,
    is_cut_off: bool,
}

impl Absences {
    pub fn lost(&self, at: Moment) -> BTreeSet<NodeName> {
        if self.last.is_none_or(|last| at.is_after_a_gap(last)) {
            return BTreeSet::new();
        }
        let is_lost = |node: &NodeName, since: &Duration| {
            let heard = self.heard.get(node).unwrap_or(since);
            at.awake.saturating_sub(*since) >= DOUBT && at.awake.saturating_sub(*heard) >= LEASE
        };
        self.since.iter().filter(|(node, since)| is_lost(node, since)).map(|(node, _)| node.clone()).collect()
    }

    /// Silence that says nothing of a node is not counted: it begins anew, so that each has its whole lease once others
    /// are heard again.
    pub fn note(&mut self, looks: &BTreeMap<NodeName, Look>, at: Moment) -> News {
        let was_cut_off = std::mem::replace(&mut self.is_cut_off, hears_nobody(looks));
        let mut news = News { is_cut_off: self.is_cut_off && !was_cut_off, ..News::default() };
        let has_gap = self.last.is_some_and(|last| at.is_after_a_gap(last));
        for (node, look) in looks {
            if look.answers {
                self.heard.insert(node.clone(), at.awake);
                if self.since.remove(node).is_some() {
                    news.back.push(node.clone());
                }
                continue;
            }
            if !self.since.contains_key(node) {
                self.since.insert(node.clone(), at.awake);
                news.silent.push(node.clone());
            }
            if has_gap || (self.is_cut_off && look.whereabouts == Whereabouts::Elsewhere) {
                self.since.insert(node.clone(), at.awake);
                self.heard.insert(node.clone(), at.awake);
            }
        }
        self.since.retain(|node, _| looks.contains_key(node));
        self.heard.retain(|node, _| looks.contains_key(node));
        self.last = Some(at);
        news
    }
}

/// Whether there are nodes elsewhere and none of them answers. Where there is only one, it cannot be told from here which
/// of both is cut off; then it is not called lost either: to move its work would be to run it twice, perhaps on a machine
/// that is about to sleep again.
fn hears_nobody(looks: &BTreeMap<NodeName, Look>) -> bool {
    let mut elsewhere = looks.values().filter(|look| look.whereabouts == Whereabouts::Elsewhere).peekable();
    elsewhere.peek().is_some() && elsewhere.all(|look| !look.answers)
}

#[cfg(test)]
mod tests;
