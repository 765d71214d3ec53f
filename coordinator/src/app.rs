//! Wires the parts: the only place that names concrete backends.

use std::path::PathBuf;
use std::sync::Arc;

use modules::catalog::Catalog;
use proto::code::Code;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::agents::Agents;
use crate::blobs::{BlobError, Blobs};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::data_folder;
use crate::fleet::ca::CertificateAuthority;
use crate::fleet::enrol::Enrolment;
use crate::fleet::enrol::authority::FleetAuthority;
use crate::fleet::enrol::binaries::AgentBinaries;
use crate::fleet::keyring::{Keyring, KeyringError};
use crate::fleet::models::{Models, Outside};
use crate::fleet::presence::Presence;
use crate::fleet::runs::Runs;
use crate::fleet::{Deliveries, Fleet, Holds, carrier};
use crate::ssh::hosts::Hosts;
use crate::store::url::StoreUrl;
use crate::store::{self, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data folder {} cannot be used", folder.display())]
    DataFolder {
        folder: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl StartError {
    pub fn code(&self) -> Code {
        match self {
            StartError::DataFolder { .. } => Code::Failed,
            StartError::Store(error) => error.code(),
            StartError::Keyring(error) => error.code(),
            StartError::Blob(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::DataFolder { .. } => Some("name a folder of its own with --data-dir".to_owned()),
            StartError::Store(error) => error.hint(),
            StartError::Keyring(error) => error.hint(),
            StartError::Blob(error) => error.hint(),
        }
    }
}

/// Starts the core in this process.
pub async fn start(settings: &Settings) -> Result<Arc<Fleet>, StartError> {
    let data_dir = &settings.data_dir;
    let unusable = |cause| StartError::DataFolder { folder: data_dir.clone(), cause };
    data_folder::prepare(data_dir).map_err(unusable)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = store::connect(&settings.store, Arc::clone(&clock)).await?;
    let keyring = Arc::new(Keyring::open(data_dir)?);
    let hosts = Arc::new(Hosts::new(data_dir, None).map_err(unusable)?);
    let ca = CertificateAuthority::new(Arc::clone(&store), Arc::clone(&keyring), Arc::clone(&clock));
    let ca = Arc::new(ca);
    let authority =
        FleetAuthority::new(Arc::clone(&ca), Arc::clone(&store), Arc::clone(&hosts), Arc::clone(&clock));
    let agents = Arc::new(Agents::new(Arc::clone(&hosts), Arc::new(authority), Arc::clone(&clock)));
    let enrolment = Enrolment {
        store: Arc::clone(&store),
        hosts: Arc::clone(&hosts),
        agents: Arc::clone(&agents),
        ca,
        binaries: AgentBinaries::usual(data_dir),
        clock: Arc::clone(&clock),
        data_dir: data_dir.clone(),
    };
    let outside = Outside {
        store: Arc::clone(&store),
        keyring: Arc::clone(&keyring),
        clock: Arc::clone(&clock),
        variable: |name| std::env::var(name).ok(),
        random,
    };
    Ok(Arc::new(Fleet {
        models: Models::new(settings.llm.clone(), outside),
        store,
        blobs: Blobs::local(&data_dir.join("packages"))?,
        hosts,
        agents,
        absences: Arc::default(),
        enrolment,
        keyring,
        catalog: Catalog::built_in(),
        clock,
        refuses_unsigned: settings.refuses_unsigned,
        github_secret: settings.github.token_secret.clone(),
        keeps_history: match settings.store {
            StoreUrl::Etcd(_) => settings.keeps_history,
            // Looks after itself.
            StoreUrl::Sqlite(_) => None,
        },
        carrier: carrier::this_process(machine_name()),
        holds: Holds::default(),
        deliveries: Deliveries::default(),
        presence: Presence::default(),
        runs: Runs::default(),
        by: format!("{}@{}", user_name(), machine_name()),
    }))
}

/// A number in [0, 1). Where the system has no randomness, waits are not spread, and that is all.
fn random() -> f64 {
    let mut bytes = [0; 4];
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn user_name() -> String {
    std::env::var("USER").unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
