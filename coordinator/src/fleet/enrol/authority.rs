//! Vouches for both ends of a connection with an agent, and keeps the nodes' certificates fresh.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proto::code::Code;
use proto::ids::NodeName;

use crate::agents::tls::Credentials;
use crate::agents::{AgentApi, AgentError, Authority, tunnel};
use crate::clock::{Clock, UnixMillis};
use crate::domain::node::NodeRecord;
use crate::fleet::ca::{CaError, CertificateAuthority, NodeCertificate};
use crate::fleet::enrol::install;
use crate::fleet::keys;
use crate::ssh::HostError;
use crate::ssh::hosts::Hosts;
use crate::store::json::{get_json, put_json};
use crate::store::{Store, StoreError, Txn};

/// Our own certificate is made anew after this long.
const FRESH_MILLIS: i64 = 12 * 3600 * 1000;

/// See the module's words.
pub struct FleetAuthority {
    ca: Arc<CertificateAuthority>,
    store: Arc<dyn Store>,
    hosts: Arc<Hosts>,
    clock: Arc<dyn Clock>,
    credentials: Mutex<Option<(UnixMillis, Arc<Credentials>)>>,
}

impl FleetAuthority {
    pub fn new(
        ca: Arc<CertificateAuthority>,
        store: Arc<dyn Store>,
        hosts: Arc<Hosts>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { ca, store, hosts, clock, credentials: Mutex::new(None) }
    }

    fn fresh_credentials(&self) -> Option<Arc<Credentials>> {
        let kept = self.credentials.lock().expect("no panic while held").clone();
        kept.filter(|(made, _)| self.clock.now() - made < FRESH_MILLIS).map(|(_, credentials)| credentials)
    }

    async fn sign(&self, node: &NodeName, csr_pem: &str) -> Result<NodeCertificate, AgentError> {
        let failed = |cause: CaError| renewal(node, cause.code(), cause.hint(), cause);
        self.ca.get().await.map_err(failed)?.sign_node(node, csr_pem).map_err(failed)
    }

    /// Before the node gets its new certificate, the record says that the node may show its key.
    async fn announce(&self, node: &NodeName, public_key: &str) -> Result<NodeRecord, AgentError> {
        self.edit(node, |record| record.install.next_public_key = Some(public_key.to_owned())).await
    }

    /// From now on, only the new key is the node's.
    async fn settle(&self, node: &NodeName, public_key: &str) -> Result<NodeRecord, AgentError> {
        let settle = |record: &mut NodeRecord| {
            record.public_key = public_key.to_owned();
            record.install.next_public_key = None;
        };
        self.edit(node, settle).await
    }

    async fn edit(&self, node: &NodeName, edit: impl Fn(&mut NodeRecord)) -> Result<NodeRecord, AgentError> {
        let failed = |cause: StoreError| renewal(node, cause.code(), cause.hint(), cause);
        edit_record(&*self.store, node, edit).await.map_err(failed)?.ok_or_else(|| {
            let cause = std::io::Error::other("the node was removed");
            renewal(node, Code::NotFound, None, cause)
        })
    }
}

/// Changes a node's record, however many others do so at the same time. None: there is no such node.
pub async fn edit_record(
    store: &dyn Store,
    node: &NodeName,
    edit: impl Fn(&mut NodeRecord),
) -> Result<Option<NodeRecord>, StoreError> {
    loop {
        let Some(kept) = get_json::<NodeRecord>(store, &keys::node(node)).await? else { return Ok(None) };
        let mut record = kept.value.clone();
        edit(&mut record);
        if record == kept.value {
            return Ok(Some(record));
        }
        let txn = Txn::new().when(kept.unchanged()).then(put_json(kept.key, &record)?);
        match store.commit(txn).await {
            Ok(_) => return Ok(Some(record)),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn renewal(
    node: &NodeName,
    code: Code,
    hint: Option<String>,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> AgentError {
    AgentError::Renewal { node: node.clone(), code, hint, cause: Arc::new(cause) }
}

#[async_trait]
impl Authority for FleetAuthority {
    async fn credentials(&self, node: &NodeName) -> Result<Arc<Credentials>, AgentError> {
        if let Some(credentials) = self.fresh_credentials() {
            return Ok(credentials);
        }
        let failed = |cause: CaError| {
            let (code, hint) = (cause.code(), cause.hint());
            AgentError::NoCredentials { node: node.clone(), code, hint, cause: Arc::new(cause) }
        };
        let ca = self.ca.get().await.map_err(failed)?;
        let client = ca.client().map_err(failed)?;
        let credentials = Arc::new(Credentials { ca: ca.certificate().clone(), client });
        let kept = (self.clock.now(), Arc::clone(&credentials));
        *self.credentials.lock().expect("no panic while held") = Some(kept);
        Ok(credentials)
    }

    async fn current(&self, node: &NodeName) -> Option<NodeRecord> {
        let kept = get_json::<NodeRecord>(&*self.store, &keys::node(node)).await.ok()??;
        Some(kept.value)
    }

    async fn renew_expired(&self, node: &NodeRecord) -> Result<NodeRecord, AgentError> {
        tracing::info!(node = %node.name, "the node's certificate has expired: renewing it over SSH");
        let name = &node.name;
        let failed = |cause: HostError| renewal(name, cause.code(), cause.hint(), cause);
        let host = self.hosts.get(&node.contact);
        let run = async |script: String, stdin: &[u8], what| {
            let script = tunnel::as_agent_user(node, &script);
            host.run(&script, stdin).await.and_then(|output| output.checked(&*host, what)).map_err(failed)
        };
        let enrolled = run(install::enrol_script(node), b"", "making a key").await?;
        let certificate = self.sign(name, &install::csr_in(&enrolled.text())).await?;
        self.announce(name, &certificate.public_key).await?;
        run(install::certificate_script(node), certificate.pem.as_bytes(), "installing a certificate")
            .await?;
        self.settle(name, &certificate.public_key).await
    }

    async fn renew(&self, node: &NodeRecord, agent: &dyn AgentApi) -> Result<(), AgentError> {
        tracing::info!(node = %node.name, "the node's certificate expires soon: renewing it");
        let csr = agent.request_certificate().await?;
        let certificate = self.sign(&node.name, &csr).await?;
        self.announce(&node.name, &certificate.public_key).await?;
        agent.install_certificate(certificate.pem).await?;
        self.settle(&node.name, &certificate.public_key).await?;
        Ok(())
    }
}
