//! SQLite: the contract, several processes, killed writers, and files that cannot be used.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use coordinator::clock::SystemClock;
use coordinator::store::sqlite::SqliteStore;
use coordinator::store::{Event, Op, Revision, Store, StoreError, Txn};
use proptest::prelude::*;
use tempfile::TempDir;

use super::model;
use super::suite::{Bed, cases, increment, next, put, take};

cases!(SqliteBed::new());

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]
    #[test]
    fn agrees_with_a_map(commits in model::commits()) {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        runtime.block_on(async { model::agrees(&*SqliteBed::new().open().await, &commits).await });
    }
}

#[tokio::test]
async fn every_acknowledged_commit_survives_a_killed_writer() {
    let bed = SqliteBed::new();
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut writer = child("writes_for_ever", &bed.path());
        let lines = BufReader::new(writer.stdout.take().expect("stdout")).lines();
        let told = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("wrote ")?.parse().ok());
        // Killed at another moment each time, in the middle of what comes after.
        acknowledged = told.take(3 + round * 7).last().unwrap_or(acknowledged);
        writer.kill().expect("kill");
        writer.wait().expect("reap");
        let listing = bed.open().await.list("/n/").await.expect("list");
        let there = listing.entries.len();
        assert!(there >= acknowledged, "round {round}: {acknowledged} acknowledged, {there} there");
        assert!(listing.entries.iter().enumerate().all(|(index, (key, _))| *key == number(index)), "no gaps");
        acknowledged = there;
    }
}

/// Not a test: the process that the test above kills.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn writes_for_ever() {
    let Some(store) = childs_store().await else { return };
    let first = store.list("/n/").await.expect("list").entries.len();
    for index in first.. {
        put(&store, &number(index), "value").await;
        println!("wrote {}", index + 1);
    }
}

#[tokio::test]
async fn a_watch_tells_what_other_processes_write() {
    let bed = SqliteBed::new();
    let store = bed.open().await;
    let mut watch = store.watch("/count", Revision(0)).await.expect("watch");
    let mut children = [child("counts_to_fifty", &bed.path()), child("counts_to_fifty", &bed.path())];
    let events = take(&mut watch, 100).await;
    for (index, event) in events.iter().enumerate() {
        assert!(matches!(event, Event::Put { value, .. } if *value == (index + 1).to_string().into_bytes()));
    }
    assert!(children.iter_mut().all(|child| child.wait().expect("reap").success()));
}

/// Not a test: the process that the test above watches.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn counts_to_fifty() {
    let Some(store) = childs_store().await else { return };
    for _ in 0..50 {
        increment(&store, "/count").await;
    }
}

#[tokio::test]
async fn processes_that_begin_at_once_make_one_file() {
    for _ in 0..5 {
        let bed = SqliteBed::new();
        let mut children: Vec<Child> = (0..4).map(|_| child("counts_to_fifty", &bed.path())).collect();
        assert!(children.iter_mut().all(|child| child.wait().expect("reap").success()));
        let count = bed.open().await.get("/count").await.expect("get").expect("is there");
        assert_eq!(count.value, b"200");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let bed = SqliteBed::new();
    in_mounts("mount -t tmpfs -o size=2m none DIR", "fills_its_disk", bed.folder.path());
}

/// Not a test: runs on a disk of 2 MB.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn fills_its_disk() {
    let Some(store) = childs_store().await else { return };
    let filler = PathBuf::from(env::var_os(DATABASE).expect("set")).with_file_name("filler");
    fs::write(&filler, vec![1; 1 << 20]).expect("fill half");
    let mut written = 0;
    let error = loop {
        let op = Op::put(number(written), vec![2; 50_000]);
        match store.commit(Txn::new().then(op)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(error.hint().is_some());
    assert_eq!(store.list("/n/").await.expect("list").entries.len(), written);
    fs::remove_file(filler).expect("make space");
    put(&store, "/after", "1").await;
}

#[tokio::test]
async fn a_read_only_place_is_told() {
    let bed = SqliteBed::new();
    put(&*bed.open().await, "/a", "1").await;
    let read_only = "mount --bind DIR DIR && mount -o remount,bind,ro DIR";
    in_mounts(read_only, "cannot_write", bed.folder.path());
}

/// Not a test: runs where nothing can be written.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn cannot_write() {
    let Some(path) = env::var_os(DATABASE).map(PathBuf::from) else { return };
    for path in [path.clone(), path.with_file_name("new.db"), path.with_file_name("new/new.db")] {
        let error = refusal(&path).await;
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().expect("utf-8")), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_understood_is_told() {
    let bed = SqliteBed::new();
    let garbage = bed.folder.path().join("garbage.db");
    for text in ["this is not a database, whatever its name says", "short"] {
        fs::write(&garbage, text).expect("write");
        let error = refusal(&garbage).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{text:?}: {error:?}");
        assert_eq!(fs::read_to_string(&garbage).expect("text"), text);
    }

    let store = bed.open().await;
    for index in 0..200 {
        put(&*store, &number(index), &"value".repeat(100)).await;
    }
    drop(store);
    raw(&bed.path()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoint");
    let mut bytes = fs::read(bed.path()).expect("read");
    bytes[8192..].fill(0x5a);
    fs::write(bed.path(), bytes).expect("write");
    let error = bed.open().await.list("/").await.expect_err("is damaged");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");

    let newer = SqliteBed::new();
    drop(newer.open().await);
    raw(&newer.path()).pragma_update(None, "user_version", 99).expect("set");
    let error = refusal(&newer.path()).await;
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_locked_by_another_process_is_told_and_still_read() {
    let bed = SqliteBed::new();
    let store = bed.open().await;
    put(&*store, "/a", "1").await;
    let other = raw(&bed.path());
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    assert!(store.get("/a").await.expect("get").is_some());
    assert!(bed.open().await.get("/a").await.expect("get").is_some());
    let error = store.commit(Txn::new().then(Op::put("/a", "2"))).await.expect_err("is locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    other.execute_batch("ROLLBACK").expect("unlock");
    put(&*store, "/a", "2").await;
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let bed = SqliteBed::new();
    let store = bed.open().await;
    put(&*store, "/a", "1").await;
    let folder = bed.path().parent().expect("a folder").to_owned();
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(folder).expect("read folder") {
        let path = entry.expect("entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn the_log_of_changes_stays_small() {
    let bed = SqliteBed::new();
    let store = bed.open().await;
    let large = vec![0; 1 << 20];
    for _ in 0..128 {
        store.commit(Txn::new().then(Op::put("/large", large.clone()))).await.expect("commit");
    }
    drop(store);
    let size = fs::metadata(bed.path()).expect("metadata").len();
    assert!(size < 100 << 20, "{size} bytes for a value of 1 MiB");
    let mut watch = bed.open().await.watch("/large", Revision(1)).await.expect("watch");
    let told = next(&mut watch).await.expect("an item");
    assert!(matches!(told, Err(StoreError::Compacted { .. })), "{told:?}");
}

struct SqliteBed {
    folder: TempDir,
}

impl SqliteBed {
    fn new() -> SqliteBed {
        SqliteBed { folder: tempfile::tempdir().expect("temporary folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data/orchestrator.db")
    }
}

impl Bed for SqliteBed {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path(), Arc::new(SystemClock)).await.expect("open"))
    }
}

/// Where a process of a test finds its database.
const DATABASE: &str = "TEST_DATABASE";

fn child(role: &str, database: &Path) -> Child {
    as_child(Command::new(env::current_exe().expect("our path")), role, database).spawn().expect("spawn")
}

fn as_child(mut command: Command, role: &str, database: &Path) -> Command {
    command.args(["--ignored", "--exact", "--nocapture", &format!("store::sqlite::{role}")]);
    command.env(DATABASE, database).stdout(Stdio::piped());
    command
}

/// Runs `role` in a mount namespace of its own, where DIR is the folder.
fn in_mounts(mount: &str, role: &str, folder: &Path) {
    let folder_text = folder.to_str().expect("utf-8");
    let script = format!("{} && exec \"$0\" \"$@\"", mount.replace("DIR", folder_text));
    let mut command = Command::new("unshare");
    let is_root = fs::metadata("/proc/self").expect("proc").uid() == 0;
    command.arg(if is_root { "-m" } else { "-Urm" }).args(["sh", "-c", &script]);
    command.arg(env::current_exe().expect("our path"));
    let output = as_child(command, role, &folder.join("data/orchestrator.db")).output().expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// `None` in an ordinary run of all ignored tests.
async fn childs_store() -> Option<SqliteStore> {
    let path = env::var_os(DATABASE)?;
    Some(SqliteStore::open(Path::new(&path), Arc::new(SystemClock)).await.expect("open"))
}

async fn refusal(path: &Path) -> StoreError {
    let opened = SqliteStore::open(path, Arc::new(SystemClock)).await;
    opened.err().expect("must not open")
}

fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).expect("open")
}

fn number(index: usize) -> String {
    format!("/n/{index:06}")
}
