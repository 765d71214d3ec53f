//! One `Host` for each contact, shared by all who need it, so that a machine is connected to once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::ssh::local::Local;
use crate::ssh::master::{Client, Patience};
use crate::ssh::remote::Remote;
use crate::ssh::{Contact, Host, NewHostKeys};

/// Gives hosts by contact.
pub struct Hosts {
    client: Arc<Client>,
    known: Mutex<BTreeMap<(Contact, NewHostKeys), Arc<dyn Host>>>,
}

impl Hosts {
    /// `ssh_config` is read instead of `~/.ssh/config` where given.
    ///
    /// # Errors
    /// When no private folder for the control sockets can be made.
    pub fn new(data_dir: &Path, ssh_config: Option<PathBuf>) -> io::Result<Self> {
        Self::with_patience(data_dir, ssh_config, Patience::default())
    }

    pub fn with_patience(
        data_dir: &Path,
        ssh_config: Option<PathBuf>,
        patience: Patience,
    ) -> io::Result<Self> {
        let client = Arc::new(Client::new(data_dir, ssh_config, patience)?);
        Ok(Self { client, known: Mutex::default() })
    }

    pub fn get(&self, contact: &Contact) -> Arc<dyn Host> {
        self.get_with(contact, NewHostKeys::AsConfigured)
    }

    /// The name or address under which the machine's ports are reached.
    pub async fn address(&self, contact: &Contact) -> String {
        match contact {
            Contact::Local => "127.0.0.1".to_owned(),
            Contact::Ssh { destination, .. } => {
                let host = destination.rsplit_once('@').map_or(destination.as_str(), |(_, host)| host);
                self.client.address(contact).await.unwrap_or_else(|| host.to_owned())
            }
        }
    }

    pub fn get_with(&self, contact: &Contact, new_keys: NewHostKeys) -> Arc<dyn Host> {
        let mut known = self.known.lock().expect("no panic while held");
        let host = known.entry((contact.clone(), new_keys)).or_insert_with(|| match contact {
            Contact::Local => Arc::new(Local),
            Contact::Ssh { .. } => Arc::new(Remote::new(Arc::clone(&self.client), contact.clone(), new_keys)),
        });
        Arc::clone(host)
    }
}
