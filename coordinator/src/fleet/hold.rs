//! Which deployments this process is changing right now, so that its own reconcile loop leaves them alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proto::ids::DeploymentName;

#[derive(Debug, Clone, Default)]
pub struct Holds {
    held: Arc<Mutex<BTreeMap<DeploymentName, u32>>>,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Holds,
    name: DeploymentName,
}

impl Holds {
    pub fn take(&self, name: &DeploymentName) -> Hold {
        *self.held.lock().expect("no panic while held").entry(name.clone()).or_default() += 1;
        Hold { holds: self.clone(), name: name.clone() }
    }

    pub fn is_empty(&self) -> bool {
        self.held.lock().expect("no panic while held").is_empty()
    }

    pub fn contains(&self, name: &DeploymentName) -> bool {
        self.held.lock().expect("no panic while held").contains_key(name)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.held.lock().expect("no panic while held");
        if let Some(count) = held.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.name);
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
