//! What runs for an instance, whatever its runtime: the supervisor starts, adopts, watches and stops it in the same
//! way.

use std::time::Duration;

use crate::clock;
use crate::content::Content;
use crate::health::{InContainers, Inner, Probe};
use crate::runtime::engine::Engines;
use crate::runtime::group::state;
use crate::runtime::group::{Fate, Group};
use crate::runtime::process::{Place, Process};
use crate::runtime::procfs;
use crate::runtime::record::{self, Record};
use crate::runtime::unit::Unit;

/// An end that nobody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub how: String,
    /// Starting it again would change nothing.
    pub is_final: bool,
}

pub enum Body {
    Process(Process),
    Containers(Box<Group>, Record),
    Unit(Box<Unit>, Record),
}

impl Body {
    /// None when nobody knows any more what it was started from.
    pub fn content(&self) -> Option<Content> {
        match self {
            Body::Process(process) => process.content,
            Body::Containers(_, record) | Body::Unit(_, record) => record.known_content(),
        }
    }

    pub fn record(&self) -> &Record {
        match self {
            Body::Process(process) => &process.record,
            Body::Containers(_, record) | Body::Unit(_, record) => record,
        }
    }

    /// The process to show for it; 0 while there is none.
    pub fn pid(&self) -> i32 {
        match self {
            Body::Process(process) => process.pid,
            Body::Containers(group, _) => group.pid(),
            Body::Unit(unit, _) => unit.pid(),
        }
    }

    /// The processes that stand for all of it: what descends from them is what it uses.
    pub fn pids(&self) -> Vec<i32> {
        match self {
            Body::Containers(group, _) => group.pids(),
            Body::Process(_) | Body::Unit(..) => {
                Some(self.pid()).filter(|pid| *pid > 0).into_iter().collect()
            }
        }
    }

    /// For the log.
    pub fn describe(&self) -> String {
        match self {
            Body::Process(process) => format!("pid {}", process.pid),
            Body::Containers(group, _) => format!("containers of {}", group.kind()),
            Body::Unit(unit, _) => format!("unit {}", unit.name()),
        }
    }

    /// How long it has been running, as far as the node knows.
    pub fn age(&self) -> Duration {
        match self {
            Body::Process(process) => procfs::age(process.record.start),
            Body::Containers(..) | Body::Unit(..) => Duration::ZERO,
        }
    }

    /// Whether not all of it is up yet, so that a failing check says nothing.
    pub fn is_coming_up(&self) -> bool {
        match self {
            Body::Containers(group, _) => {
                state::status(&group.states().borrow(), true, clock::now()).is_err()
            }
            Body::Process(_) | Body::Unit(..) => false,
        }
    }

    /// The instance's own check, seen from where it must be: containers have to be up first, and a command runs
    /// in one of them.
    pub fn probe(&self, own: Option<Probe>, engines: &Engines) -> Option<Probe> {
        let Body::Containers(group, _) = self else { return own };
        let then = own.map(|own| match own {
            Probe::Inside { service, command } => {
                Inner::Inside { engine: engines.of(group.kind()), service, command }
            }
            Probe::Address(at) => Inner::Address { engine: engines.of(group.kind()), at },
            outside => Inner::Outside(outside),
        });
        Some(Probe::Containers(Box::new(InContainers { states: group.states(), then })))
    }

    /// Returns when it has ended by itself; may be called again and again.
    pub async fn ended(&mut self) -> End {
        match self {
            Body::Process(process) => End { how: process.exited().await.to_string(), is_final: false },
            Body::Containers(group, _) => group.ended().await,
            Body::Unit(unit, _) => unit.ended().await,
        }
    }

    /// Ends it with everything it started, for no longer than `grace` or what the module asks for. False when
    /// something is left. Containers that are kept, or could not be ended, stay on record.
    pub async fn stop(
        self,
        grace: Option<Duration>,
        fate: Fate,
        place: Place<'_>,
        kin: &[(i32, u64)],
    ) -> bool {
        match self {
            Body::Process(process) => process.stop(grace, place, kin).await,
            Body::Containers(group, record) => {
                let is_clean = group.stop(grace, fate).await;
                match (fate, is_clean) {
                    (Fate::Kept, _) => {}
                    (Fate::Removed, true) => record::clear(place.records),
                    (Fate::Removed, false) => record::mark_left(place.records, &record),
                }
                is_clean
            }
            Body::Unit(unit, _) => {
                let is_clean = unit.stop(grace).await;
                record::clear(place.records);
                is_clean
            }
        }
    }
}
