//! etcd: the contract, restarts, dead endpoints, lost answers, TLS and passwords.

use std::sync::Arc;

use coordinator::store::Store;
use proptest::prelude::*;

use super::etcd_server::EtcdServer;
use super::model;
use super::suite::{Bed, cases};

cases!(EtcdServer::start());

#[test]
fn agrees_with_a_map() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let server = EtcdServer::start();
    let store = runtime.block_on(server.store());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) };
    proptest!(config, |(commits in model::commits())| {
        runtime.block_on(model::agrees(&*store, &commits));
    });
}

impl Bed for EtcdServer {
    async fn open(&self) -> Arc<dyn Store> {
        self.store().await
    }
}
