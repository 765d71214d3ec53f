//! SQLite: the contract, several processes, killed writers, and files that cannot be used.

use std::sync::Arc;

use coordinator::clock::SystemClock;
use coordinator::store::Store;
use coordinator::store::sqlite::SqliteStore;
use proptest::prelude::*;
use tempfile::TempDir;

use super::model;
use super::suite::{Bed, cases};

cases!(SqliteBed::new());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn agrees_with_a_map(commits in model::commits()) {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        runtime.block_on(async { model::agrees(&*SqliteBed::new().open().await, &commits).await });
    }
}

struct SqliteBed {
    folder: TempDir,
}

impl SqliteBed {
    fn new() -> SqliteBed {
        SqliteBed { folder: tempfile::tempdir().expect("temporary folder") }
    }
}

impl Bed for SqliteBed {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.folder.path().join("data/orchestrator.db");
        Arc::new(SqliteStore::open(&path, Arc::new(SystemClock)).await.expect("open"))
    }
}
