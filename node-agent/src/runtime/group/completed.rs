//! Which containers have done what they were there for, so that another agent does not run them again.
//!
//! Their exit code alone does not say it: what is ended by a shutdown exits with 0 as well.

use std::fs;
use std::path::PathBuf;

use super::Shared;
use super::plan::ServicePlan;
use crate::disk::{self, Durability};
use crate::log;

impl Shared {
    /// Holds the container of the service that has completed.
    fn note(&self, service: &ServicePlan) -> PathBuf {
        self.dir.join(format!("{}.completed", service.name))
    }

    pub(super) fn note_completed(&self, service: &ServicePlan, container: &str) {
        if self.plan.is_single() || self.has_completed(service, container) {
            return;
        }
        let noted = disk::replace(&self.note(service), container.as_bytes(), 0o600, Durability::Crash);
        if let Err(error) = noted {
            tracing::warn!(
                service = service.name,
                error = log::chain(&error),
                "it would run again after the agent"
            );
        }
    }

    pub(super) fn has_completed(&self, service: &ServicePlan, container: &str) -> bool {
        fs::read_to_string(self.note(service)).is_ok_and(|noted| noted == container)
    }

    /// Where nothing runs any more the next start is to do something.
    pub(super) fn forget_completed(&self) {
        for service in &self.plan.services {
            let _ = fs::remove_file(self.note(service));
        }
    }
}
