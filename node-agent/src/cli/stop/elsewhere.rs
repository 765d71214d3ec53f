//! Ending what instances run in containers and as units of systemd. Neither is a process of the agent's, so neither is
//! found among those.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use proto::ids::InstanceId;
use tokio::time::{sleep, timeout};

use crate::config::DataDir;
use crate::lane::Lane;
use crate::log;
use crate::runtime::engine::{Engine, Engines, Kind};
use crate::runtime::group;
use crate::runtime::record;
use crate::runtime::unit::{self, UnitPlan};

/// How long an engine that runs containers of ours may be away.
const AWAY: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(300);

/// Of what something is left, and why.
pub type Left = BTreeMap<InstanceId, String>;

/// Ends and removes all units on record.
pub async fn end_units(data: &DataDir, ids: &[InstanceId]) -> Left {
    let places = ids.iter().flat_map(|id| Lane::BOTH.map(|lane| (id, lane.records(data, id))));
    let ends = places.filter_map(|(id, records)| {
        let record = record::read(&records)?;
        let plan = UnitPlan::unknown(unit::recorded(&record.engine)?, &records, &data.instance_agent_log(id));
        Some(async move {
            let ended = plan.end(None).await;
            if ended.is_ok() {
                record::clear(&records);
            }
            ended.err().map(|error| (id.clone(), log::chain(&error)))
        })
    });
    join_all(ends).await.into_iter().flatten().collect()
}

/// Ends and removes the containers of all instances, with what was made around them, also those that are on no record
/// any more.
pub async fn end_containers(data: &DataDir, token: &str, ids: &[InstanceId]) -> Left {
    let engines = Engines::default();
    engines.look().await;
    let mut left = Left::new();
    for kind in [Kind::Docker, Kind::Podman] {
        let recorded: Vec<_> = ids.iter().filter(|id| runs_in(data, id, kind)).collect();
        let ended = match find(&engines, kind, !recorded.is_empty()).await {
            Some(engine) => end_all(&engine, token).await,
            None if recorded.is_empty() => Ok(()),
            None => Err(format!("{kind} does not answer")),
        };
        for id in recorded {
            match &ended {
                Ok(()) => Lane::BOTH.iter().for_each(|lane| record::clear(&lane.records(data, id))),
                Err(why) => drop(left.insert(id.clone(), why.clone())),
            }
        }
    }
    left
}

fn runs_in(data: &DataDir, id: &InstanceId, kind: Kind) -> bool {
    let records = Lane::BOTH.into_iter().filter_map(|lane| record::read(&lane.records(data, id)));
    records.into_iter().any(|record| Kind::parse(&record.engine) == Some(kind))
}

/// The engine of a kind; one that has something of ours may just be starting.
async fn find(engines: &Engines, kind: Kind, is_needed: bool) -> Option<std::sync::Arc<Engine>> {
    let waiting = async {
        loop {
            match engines.of(kind) {
                None if is_needed => {
                    sleep(RETRY).await;
                    engines.look().await;
                }
                found => return found,
            }
        }
    };
    timeout(AWAY, waiting).await.ok().flatten()
}

async fn end_all(engine: &Engine, token: &str) -> Result<(), String> {
    for lane in Lane::BOTH {
        group::end_all(engine, &lane.token(token)).await.map_err(|error| log::chain(&error))?;
    }
    Ok(())
}
