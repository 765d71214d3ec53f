//! Evidence looked at anew: whether files are there and units are active.

use std::collections::{BTreeMap, BTreeSet};

use plan::predicate::Probe;

use super::service;

/// Looks at all of them. What cannot be looked at is left out, and claims about it do not hold.
pub async fn look(probes: BTreeSet<Probe>) -> BTreeMap<Probe, bool> {
    let mut seen = BTreeMap::new();
    for probe in probes {
        let found = match &probe {
            Probe::File(path) => is_there(path.clone()).await,
            Probe::Service(name) => service::is_active(name).await,
        };
        if let Some(found) = found {
            seen.insert(probe, found);
        }
    }
    seen
}

/// Whether anything is at the path; nothing when nobody may say.
async fn is_there(path: String) -> Option<bool> {
    let looked = tokio::task::spawn_blocking(move || match std::fs::symlink_metadata(path) {
        Ok(_) => Some(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    });
    looked.await.ok().flatten()
}
