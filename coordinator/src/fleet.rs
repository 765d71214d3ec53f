//! What people do with their fleet, one file per story. Start with `deploy.rs`.

mod access;
mod act;
mod apply;
pub mod ask;
mod back;
pub mod ca;
pub(crate) mod carrier;
mod carry_out;
mod change;
mod compose;
mod data;
mod deliveries;
mod depends;
mod deploy;
mod drain;
pub mod enrol;
mod error;
mod finish;
mod forget;
mod go_back;
mod history;
mod hold;
mod join;
mod keep;
pub mod keyring;
pub mod keys;
mod logs;
pub mod models;
mod nodes;
pub(crate) mod observe;
mod outcome;
mod output;
mod overtaken;
mod plan;
pub mod plans;
mod policy;
pub mod presence;
mod progress;
mod proposal;
mod reconcile;
mod record;
mod recorded;
mod registry;
mod remove;
mod rollback;
pub mod runs;
mod secrets;
mod ship;
mod snapshot;
mod spec;
mod status;
mod upgrade;
mod views;
pub(crate) mod wire;

use std::sync::Arc;

pub use error::FleetError;
pub use progress::Progress;
pub(crate) use registry::vetting::look_over;

use crate::agents::Agents;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::domain::deployment::Carrier;
use crate::ssh::hosts::Hosts;
use crate::store::Store;
pub(crate) use deliveries::Deliveries;
use enrol::Enrolment;
pub(crate) use hold::Holds;
use keyring::Keyring;
use modules::catalog::Catalog;

/// The use cases, and what they need of the outside.
pub struct Fleet {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Blobs,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) agents: Arc<Agents>,
    pub(crate) absences: Arc<observe::Absences>,
    pub(crate) enrolment: Enrolment,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) catalog: &'static Catalog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) models: models::Models,
    /// Whether packages must be signed with a trusted key.
    pub(crate) refuses_unsigned: bool,
    /// The stored secret that is the token for GitHub.
    pub(crate) github_secret: Option<String>,
    /// How old the history of the store becomes under `serve`; none: as it pleases.
    pub(crate) keeps_history: Option<std::time::Duration>,
    /// This process, as the changes name it that it carries out.
    pub(crate) carrier: Carrier,
    /// Changes that are being carried out in this process.
    pub(crate) holds: Holds,
    /// What is on its way to nodes that were behind.
    pub(crate) deliveries: Deliveries,
    /// Shows coordinators on other machines that this process is at work.
    pub(crate) presence: presence::Presence,
    /// Runs of plans that this process follows.
    pub(crate) runs: runs::Runs,
    /// `user@host` of whoever runs this coordinator, for the history.
    pub(crate) by: String,
}

impl Fleet {
    /// Where the wish is kept, for people.
    pub fn store_name(&self) -> String {
        self.store.name()
    }
}
