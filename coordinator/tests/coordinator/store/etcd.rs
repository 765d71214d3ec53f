//! etcd: the contract, restarts, dead endpoints, lost answers, TLS and passwords.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator::store::{Event, Op, Precondition, Revision, Store, StoreError, Txn};
use etcd_client::{Client, Permission, PermissionType};
use proptest::prelude::*;

use super::certificates::Authority;
use super::etcd_server::{EtcdServer, ready, try_connect};
use super::model;
use super::proxy::Proxy;
use super::suite::{Bed, cases, increment, next, put, revision_of, take};

/// The longest that a failing call may take.
const SOON: Duration = Duration::from_secs(6);

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_comes_in_pages_of_one_revision() {
    let server = EtcdServer::start();
    let store = server.store().await;
    for part in 0..12 {
        let keys = (0..100).map(|index| format!("/many/{:04}", part * 100 + index));
        store
            .commit(keys.fold(Txn::new(), |txn, key| txn.then(Op::put(key, vec![7; 9_000]))))
            .await
            .expect("commit");
    }
    put(&*store, "/many0", "not of them").await;
    let listing = store.list("/many/").await.expect("list");
    let keys: Vec<String> = (0..1200).map(|index| format!("/many/{index:04}")).collect();
    assert!(listing.entries.iter().map(|(key, _)| key).eq(&keys));
    let mut watch = store.watch("/many/", Revision(0)).await.expect("watch");
    assert_eq!(take(&mut watch, 1200).await.len(), 1200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleets_on_one_etcd_do_not_see_each_other() {
    let server = EtcdServer::start();
    let home = ready(&format!("etcd://{}?prefix=home", server.endpoint())).await;
    let homestead = ready(&format!("etcd://{}?prefix=homestead", server.endpoint())).await;
    put(&*home, "/a", "home").await;
    assert_eq!(homestead.list("").await.expect("list").entries, []);
    put(&*homestead, "/a", "homestead").await;
    let mut watch = home.watch("", Revision(0)).await.expect("watch");
    put(&*home, "/b", "home").await;
    assert!(
        take(&mut watch, 2)
            .await
            .iter()
            .all(|event| matches!(event, Event::Put { value, .. } if value == b"home"))
    );
    assert_eq!(home.list("").await.expect("list").entries.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_outlives_restarts_and_tells_everything_once() {
    let mut server = EtcdServer::start();
    let store = server.store().await;
    let from = put(&*store, "/w", "0").await;
    let mut watch = store.watch("/w", from).await.expect("watch");
    let mut want = Vec::new();
    for round in 0..3 {
        want.push(put(&*store, "/w", &format!("before {round}")).await);
        if round > 0 {
            assert_eq!(revision_of(&take(&mut watch, 1).await[0]), want[want.len() - 1]);
        }
        server.kill();
        let begun = Instant::now();
        let error = store.get("/w").await.expect_err("is down");
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        let error = store.commit(Txn::new().then(Op::put("/w", "down"))).await.expect_err("is down");
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        server.run();
        drop(server.store().await);
        want.push(put(&*store, "/w", &format!("after {round}")).await);
        if round == 0 {
            assert_eq!(revision_of(&take(&mut watch, 1).await[0]), want[0]);
        }
        assert_eq!(revision_of(&take(&mut watch, 1).await[0]), want[want.len() - 1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_whose_past_was_compacted_during_an_outage_says_so() {
    let mut server = EtcdServer::start();
    let proxy = Proxy::to(&server.endpoint()).await;
    let store = ready(&format!("etcd://{}", proxy.endpoint())).await;
    let from = put(&*store, "/w", "1").await;
    let mut watch = store.watch("/w", from).await.expect("watch");
    let seen = put(&*store, "/w", "2").await;
    assert_eq!(revision_of(&take(&mut watch, 1).await[0]), seen);
    proxy.cut();
    let direct = server.store().await;
    // The deletion is in the very revision that is compacted: etcd alone would not tell that it is gone.
    let deleted = direct.commit(Txn::new().then(Op::delete("/w"))).await.expect("delete");
    direct.compact(deleted).await.expect("compact");
    proxy.mend();
    let told = next(&mut watch).await.expect("an item");
    assert!(matches!(told, Err(StoreError::Compacted { from }) if from == seen), "{told:?}");
    server.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_among_several_fails_no_call() {
    let server = EtcdServer::start();
    drop(server.store().await);
    let (refusing, silent) = (super::etcd_server::free_port(), Silent::new().await);
    for dead in [refusing, silent.port] {
        let store = ready(&format!("etcd://127.0.0.1:{dead},{}", server.endpoint())).await;
        let key = format!("/{dead}");
        let mut watch = store.watch(&key, Revision(0)).await.expect("watch");
        let begun = Instant::now();
        for value in 0..10 {
            put(&*store, &key, &value.to_string()).await;
        }
        // A silent one lets a call wait for 1.5 seconds.
        assert!(begun.elapsed() < Duration::from_secs(8), "the dead one is asked every time");
        assert_eq!(take(&mut watch, 10).await.len(), 10);
        assert_eq!(store.list(&key).await.expect("list").entries.len(), 1);
        let lease = store.grant_lease(Duration::from_secs(9)).await.expect("grant");
        store.keep_alive(lease).await.expect("keep alive");
    }
    let late = ready(&format!("etcd://{},127.0.0.1:{}", server.endpoint(), silent.port)).await;
    drop(server);
    let begun = Instant::now();
    let error = late.commit(Txn::new().then(Op::put("/a", "1"))).await.expect_err("both are dead");
    assert!(matches!(error, StoreError::Unreachable { .. } | StoreError::Uncertain { .. }), "{error:?}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_serves_while_any_one_member_is_down() {
    let mut members = EtcdServer::start_cluster();
    let url = format!("etcd://{}", members.each_ref().map(EtcdServer::endpoint).join(","));
    let store = ready(&url).await;
    let from = put(&*store, "/count", "0").await;
    let mut watch = store.watch("/count", from).await.expect("watch");
    let mut count: u32 = 0;
    for down in [0, 1, 2, 0] {
        members[down].kill();
        for _ in 0..10 {
            // A compare-and-swap is never uncertain while the cluster serves.
            increment(&*store, "/count").await;
            count += 1;
            let found = store.get("/count").await.expect("get").expect("is there");
            assert_eq!(found.value, count.to_string().into_bytes());
        }
        for (event, want) in take(&mut watch, 10).await.iter().zip(count - 9..) {
            assert!(matches!(event, Event::Put { value, .. } if *value == want.to_string().into_bytes()));
        }
        members[down].run();
        drop(members[down].store().await);
    }
    members[0].kill();
    members[1].kill();
    let begun = Instant::now();
    let error = store.get("/count").await.expect_err("one of three knows nothing for sure");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    members[0].run();
    drop(members[0].store().await);
    assert!(store.get("/count").await.expect("get").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_etcd_at_all_is_told_soon() {
    let silent = Silent::new().await;
    for dead in [super::etcd_server::free_port(), silent.port] {
        let begun = Instant::now();
        let error = try_connect(&format!("etcd://127.0.0.1:{dead}")).await.err().expect("is dead");
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.starts_with(&format!("127.0.0.1:{dead}: ")), "{cause}");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_got_lost_is_found() {
    let server = EtcdServer::start();
    let direct = server.store().await;
    let proxy = Proxy::to(&server.endpoint()).await;
    let store = ready(&format!("etcd://{}", proxy.endpoint())).await;
    for round in 0..5 {
        let key = format!("/{round}");
        proxy.swallow_next_answer();
        let txn = Txn::new().when(Precondition::Absent { key: key.clone() }).then(Op::put(&key, "once"));
        let committed = store.commit(txn).await.expect("looked up");
        // Others commit in between: the marker alone does not tell any more.
        put(&*direct, "/other", "1").await;
        assert_eq!(direct.get(&key).await.expect("get").expect("is there").revision, committed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_looked_up_is_uncertain() {
    let server = EtcdServer::start();
    let store = server.store().await;
    put(&*store, "/a", "1").await;
    signal(&server, "STOP");
    let begun = Instant::now();
    let error = store.commit(Txn::new().then(Op::put("/a", "2"))).await.expect_err("is frozen");
    assert!(matches!(error, StoreError::Uncertain { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let error = store.get("/a").await.expect_err("is frozen");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    signal(&server, "CONT");
    put(&*store, "/b", "3").await;
    let found = server.store().await.get("/a").await.expect("get").expect("is there");
    assert!(found.value == b"1" || found.value == b"2", "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_asked_for_and_tokens_renewed() {
    let mut server = EtcdServer::start();
    drop(server.store().await);
    protect(&server.endpoint()).await;
    let url = |user: &str| format!("etcd://{user}{}", server.endpoint());
    for wrong in ["", "fleet:wrong@", "nobody:secret@"] {
        let error = try_connect(&url(wrong)).await.err().expect("is refused");
        assert!(matches!(error, StoreError::Denied { .. }), "{wrong}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"));
    }
    let elsewhere =
        try_connect(&format!("{}?prefix=elsewhere", url("fleet:secret@"))).await.err().expect("no right");
    assert!(matches!(elsewhere, StoreError::Denied { .. }), "{elsewhere:?}");
    let good = url("fleet:secret@");
    let store = ready(&good).await;
    let from = put(&*store, "/a", "1").await;
    let mut watch = store.watch("/a", from).await.expect("watch");
    put(&*store, "/a", "2").await;
    take(&mut watch, 1).await;
    // A restarted etcd knows no token any more.
    server.kill();
    server.run();
    drop(ready(&good).await);
    put(&*store, "/a", "3").await;
    take(&mut watch, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_knows_both_ends() {
    let authority = Authority::new();
    let folder = authority.folder();
    let option = |name: &str, file: &str| [name.to_owned(), folder.join(file).display().to_string()];
    let arguments = [
        option("--cert-file", "server.pem"),
        option("--key-file", "server.key"),
        option("--trusted-ca-file", "ca.pem"),
    ];
    let mut arguments: Vec<String> = arguments.into_iter().flatten().collect();
    arguments.push("--client-cert-auth".into());
    let server = EtcdServer::start_with("https", &arguments);
    let url = |options: &str| {
        format!("etcd://{}?{}", server.endpoint(), options.replace("DIR", folder.to_str().expect("utf-8")))
    };
    let store = ready(&url("ca=DIR/ca.pem&cert=DIR/client.pem&key=DIR/client.key")).await;
    put(&*store, "/a", "1").await;
    let stranger = Authority::new();
    let other = stranger.folder().display().to_string();
    let wrong = url(&format!("ca={other}/ca.pem&cert=DIR/client.pem&key=DIR/client.key"));
    let error = try_connect(&wrong).await.err().expect("is refused");
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    let foreign = url(&format!("ca=DIR/ca.pem&cert={other}/client.pem&key={other}/client.key"));
    for wrong in [url("ca=DIR/ca.pem"), foreign] {
        // The server says so only after the handshake; whether we still hear it is a matter of luck.
        let error = try_connect(&wrong).await.err().expect("is refused");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(matches!(error, StoreError::Denied { .. }) || cause.contains("certificate"), "{error:?}");
    }
    let plain = try_connect(&format!("etcd://{}", server.endpoint())).await.err().expect("is refused");
    assert!(matches!(plain, StoreError::Unreachable { .. }), "{plain:?}");
    let missing = try_connect(&url("ca=DIR/none.pem")).await.err().expect("is refused");
    assert!(missing.to_string().ends_with("none.pem"), "{missing}");
}

impl Bed for EtcdServer {
    async fn open(&self) -> Arc<dyn Store> {
        self.store().await
    }
}

/// Lets only the user `fleet` in, and only to the default prefix.
async fn protect(endpoint: &str) {
    let mut client = Client::connect([endpoint], None).await.expect("connect");
    client.user_add("root", "toor", None).await.expect("add root");
    client.role_add("root").await.expect("add role");
    client.user_grant_role("root", "root").await.expect("grant");
    client.user_add("fleet", "secret", None).await.expect("add user");
    client.role_add("fleet").await.expect("add role");
    let all = Permission::new(PermissionType::Readwrite, "orchestrator").with_prefix();
    client.role_grant_permission("fleet", all).await.expect("permit");
    client.user_grant_role("fleet", "fleet").await.expect("grant");
    client.auth_enable().await.expect("enable");
}

fn signal(server: &EtcdServer, name: &str) {
    let status = Command::new("kill").args(["-s", name, &server.process_id().to_string()]).status();
    assert!(status.expect("kill").success());
    // A thread that runs on another processor stops a moment later.
    let has_stopped = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process_id())).expect("its threads");
        tasks.flatten().all(|task| {
            std::fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))
        })
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while name == "STOP" && !has_stopped() {
        assert!(Instant::now() < deadline, "it stops");
        std::thread::yield_now();
    }
}

/// A port that takes no connection and refuses none, like a machine that has gone.
struct Silent {
    port: u16,
    _full: (TcpListener, Vec<tokio::net::TcpStream>),
}

impl Silent {
    async fn new() -> Silent {
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind("127.0.0.1:0".parse().expect("address")).expect("bind");
        let listener = socket.listen(0).expect("listen").into_std().expect("listener");
        let address = listener.local_addr().expect("address");
        let mut streams = Vec::new();
        // Its queue is full when one more connection waits.
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
        {
            streams.push(stream.expect("connect"));
        }
        Silent { port: address.port(), _full: (listener, streams) }
    }
}
