//! Which deployments this process is changing and which runs it carries right now, so that its own reconcile loop leaves
//! them alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proto::ids::DeploymentName;

use super::keys;
use crate::domain::runs::RunId;

#[derive(Debug, Clone, Default)]
pub struct Holds {
    held: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    key: String,
}

impl Holds {
    pub fn take(&self, name: &DeploymentName) -> Hold {
        self.hold(keys::deployment(name))
    }

    pub fn take_run(&self, id: &RunId) -> Hold {
        self.hold(keys::run(id))
    }

    fn hold(&self, key: String) -> Hold {
        *self.held.lock().expect("no panic while held").entry(key.clone()).or_default() += 1;
        Hold { holds: self.clone(), key }
    }

    /// Whether a deployment is being changed.
    pub fn is_changing(&self) -> bool {
        let held = self.held.lock().expect("no panic while held");
        held.keys().any(|key| key.starts_with(keys::DEPLOYMENTS))
    }

    pub fn is_empty(&self) -> bool {
        self.held.lock().expect("no panic while held").is_empty()
    }

    pub fn contains(&self, name: &DeploymentName) -> bool {
        self.held.lock().expect("no panic while held").contains_key(&keys::deployment(name))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.held.lock().expect("no panic while held");
        if let Some(count) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_held_until_the_last_hold_ends() {
        let holds = Holds::default();
        let name = DeploymentName::parse("web").expect("valid");
        let first = holds.take(&name);
        let second = holds.take(&name);
        drop(first);
        assert!(holds.contains(&name));
        drop(second);
        assert!(!holds.contains(&name));
    }
}
