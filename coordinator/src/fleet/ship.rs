//! Packages on their way to a node: over the connection with its agent; over SSH where that is the only way, or where the
//! agent is too old to take them.

use std::collections::BTreeMap;

use proto::v1;
use tokio::fs::File;

use super::{Deliveries, Fleet, FleetError, Progress};
use crate::agents::tunnel::agent_command;
use crate::agents::{AgentApi, Parcel};
use crate::blobs::{BlobError, Fetched};
use crate::domain::node::NodeRecord;
use crate::fault;

/// A package, and whom it is for.
struct Shipment<'s> {
    node: &'s NodeRecord,
    digest: &'s str,
    size: u64,
    progress: &'s Progress,
    deliveries: &'s Deliveries,
}

impl Fleet {
    /// Brings the packages of `wanted` that are not in `report`. Whether there was any.
    pub(super) async fn ship_missing(
        &self,
        node: &NodeRecord,
        agent: &dyn AgentApi,
        wanted: &v1::NodeSpec,
        report: &v1::Report,
        progress: &Progress,
    ) -> Result<bool, FleetError> {
        let mut is_any = false;
        let releases = wanted.instances.iter().filter_map(|instance| instance.release.as_ref());
        let releases: BTreeMap<&str, _> =
            releases.map(|release| (release.digest.as_str(), release)).collect();
        for (digest, release) in releases {
            if report.releases.iter().any(|present| present == digest) {
                progress.transfer(node.name.as_str(), 0, 0);
            } else {
                self.ship(node, agent, release, progress).await?;
                is_any = true;
            }
        }
        Ok(is_any)
    }

    async fn ship(
        &self,
        node: &NodeRecord,
        agent: &dyn AgentApi,
        release: &v1::Release,
        progress: &Progress,
    ) -> Result<(), FleetError> {
        let digest = release.digest.as_str();
        let package = self.package_of(release).await?;
        let shipment = Shipment { node, digest, size: package.size, progress, deliveries: &self.deliveries };
        let open = || async {
            let unreadable = |cause: std::io::Error| FleetError::Unreadable {
                what: format!("package {digest}"),
                cause: cause.into(),
            };
            File::open(package.path()).await.map_err(unreadable)
        };
        fault::point("ship.before");
        let received = if agent.is_tunnelled() {
            self.feed(&shipment, open().await?).await
        } else {
            match shipment.deliver(agent, open().await?).await {
                Err(FleetError::Agent(error)) if error.is_unknown_call() => {
                    self.feed(&shipment, open().await?).await
                }
                tried => tried,
            }
        };
        fault::point("ship.after");
        if received.is_err() {
            // If it is damaged here, every node refuses it, now and later.
            self.check_package(digest).await?;
        }
        received
    }

    /// The coordinator that was given the package may be another one; what is built in is packed anew here.
    async fn package_of(&self, release: &v1::Release) -> Result<Fetched, FleetError> {
        match self.package(&release.digest).await {
            Err(FleetError::Blob(BlobError::Missing { .. })) => {}
            found => return found,
        }
        // Where it is not built in, the second look tells what is missing.
        let _ = self.resolve(&release.module).await;
        self.package(&release.digest).await.map_err(|error| missing_here(error, release))
    }

    /// Over SSH, into a `receive` of the agent's program.
    async fn feed(&self, shipment: &Shipment<'_>, content: File) -> Result<(), FleetError> {
        let host = self.hosts.get(&shipment.node.contact);
        let words = format!("receive --digest {} --size {}", shipment.digest, shipment.size);
        let script = format!("exec {}", agent_command(shipment.node, &words));
        let fed = host.feed(&script, Box::pin(content), &|bytes| shipment.tell(bytes)).await?;
        fed.checked(host.as_ref(), "receiving the package")?;
        Ok(())
    }
}

fn missing_here(error: FleetError, release: &v1::Release) -> FleetError {
    match error {
        FleetError::Blob(cause @ BlobError::Missing { .. }) => {
            let (module, version) = (release.module.clone(), release.version.clone());
            FleetError::NoPackageHere { module, version, cause }
        }
        other => other,
    }
}

impl Shipment<'_> {
    async fn deliver(&self, agent: &dyn AgentApi, content: File) -> Result<(), FleetError> {
        let parcel = Parcel { digest: self.digest.to_owned(), size: self.size, content: Box::pin(content) };
        Ok(agent.receive(parcel, &|bytes| self.tell(bytes)).await?)
    }

    fn tell(&self, bytes: u64) {
        self.deliveries.note(&self.node.name);
        self.progress.transfer(self.node.name.as_str(), bytes, self.size);
        fault::point("ship.mid");
    }
}
