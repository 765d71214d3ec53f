//! What every host must do, run against a real sshd and against this machine; and what only SSH can do wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ssh::diagnosis::ConnectFailure;
use crate::ssh::hosts::Hosts;
use crate::ssh::local::Local;
use crate::ssh::master::Patience;
use crate::ssh::sshd::{Sshd, keygen};
use crate::ssh::{Contact, Host, HostError, NewHostKeys, shell};

async fn every_rule(host: &dyn Host) {
    gives_status_and_both_outputs(host).await;
    feeds_large_input(host).await;
    passes_words_unchanged(host).await;
    ends_what_was_opened(host).await;
    runs_commands_at_once(host).await;
}

async fn gives_status_and_both_outputs(host: &dyn Host) {
    let output = host.run("echo out; echo err >&2; exit 7", b"").await.expect("runs");
    assert_eq!((output.exit_code, &output.stdout[..], &output.stderr[..]), (7, &b"out\n"[..], &b"err\n"[..]));
    let missing = host.run("no-such-command", b"").await.expect("runs");
    assert_eq!(missing.exit_code, 127);
    let killed = host.run("sh -c 'kill -9 $$'", b"").await.expect("runs");
    assert_eq!(killed.exit_code, 137);
    let deaf = host.run("exit 3", &vec![b'x'; 1 << 20]).await.expect("runs");
    assert_eq!(deaf.exit_code, 3, "a command need not read its input");
    assert_eq!(host.run("cat", b"in").await.expect("runs").stdout, b"in");
}

async fn feeds_large_input(host: &dyn Host) {
    const SIZE: u64 = 10 << 20;
    let told = AtomicU64::new(0);
    let input = Box::pin(tokio::io::repeat(b'z').take(SIZE));
    let sent = |bytes| told.store(bytes, Ordering::Relaxed);
    let output = host.feed("sha256sum", input, &sent).await.expect("feeds");
    let digest = ring::digest::digest(&ring::digest::SHA256, &vec![b'z'; 10 << 20]);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(output.text(), format!("{hex}  -"));
    assert_eq!(told.load(Ordering::Relaxed), SIZE);
}

async fn passes_words_unchanged(host: &dyn Host) {
    let word =
        "a b 'c' \"d\" \\ $HOME `id` $(id) !x\n\nnew line\ttab ä漢🦀 %s * ? [a] {a,b} ~ # & ; | <> end";
    let output = host.run(&format!("printf %s {}", shell::quote(word)), b"").await.expect("runs");
    assert_eq!(String::from_utf8(output.stdout).expect("text"), word);
    let two_lines = host.run("if true; then\n  echo yes # comment\nfi", b"").await.expect("runs");
    assert_eq!(two_lines.stdout, b"yes\n");
}

async fn ends_what_was_opened(host: &dyn Host) {
    let mut stream = host.open("echo $$; cat; echo bye").await.expect("opens");
    stream.write_all(b"hello\n").await.expect("writes");
    stream.shutdown().await.expect("closes");
    let mut all = String::new();
    stream.read_to_string(&mut all).await.expect("reads");
    assert!(all.ends_with("hello\nbye\n"), "{all:?}");

    let mut stream = host.open("sleep 1000 & echo $$ $!; sleep 1000").await.expect("opens");
    let mut said = [0; 64];
    let count = stream.read(&mut said).await.expect("reads");
    let pids: Vec<i32> = String::from_utf8_lossy(&said[..count])
        .split_whitespace()
        .map(|pid| pid.parse().expect("pid"))
        .collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    drop(stream);
    for pid in pids {
        until(&format!("process {pid} ends"), || !is_alive(pid)).await;
    }
}

async fn runs_commands_at_once(host: &dyn Host) {
    let echo =
        |n: usize| async move { host.run(&format!("sleep 0.2; echo {n}"), b"").await.expect("runs").text() };
    let said = futures::future::join_all((0..20).map(echo)).await;
    assert_eq!(said, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const IMPATIENT: Patience =
    Patience { connect: Duration::from_secs(2), alive: Duration::from_secs(1), idle: Duration::from_secs(3) };

/// A coordinator's hosts, and its data folder.
fn hosts(sshd: &Sshd) -> (Hosts, TempDir) {
    let data = tempfile::tempdir().expect("temp dir");
    (Hosts::with_patience(data.path(), Some(sshd.ssh_config()), IMPATIENT).expect("hosts"), data)
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_follows_every_rule() {
    every_rule(&Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_over_ssh_follows_every_rule_on_one_connection() {
    let sshd = Sshd::start();
    let (hosts, _data) = hosts(&sshd);
    every_rule(&*hosts.get(&sshd.contact())).await;
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_coordinator_uses_the_connection_of_the_last_one() {
    let sshd = Sshd::start();
    let (first, data) = hosts(&sshd);
    first.get(&sshd.contact()).run("true", b"").await.expect("runs");
    drop(first);
    let second = Hosts::with_patience(data.path(), Some(sshd.ssh_config()), IMPATIENT).expect("hosts");
    second.get(&sshd.contact()).run("true", b"").await.expect("runs");
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_one_coordinator_had_no_patience_for_is_the_next_one_s_connection() {
    let sshd = Sshd::start();
    let slow = "bash -c 'sleep 1; exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'";
    let config = std::fs::read_to_string(sshd.ssh_config()).expect("config");
    std::fs::write(sshd.ssh_config(), format!("{config}  ProxyCommand {slow}\n")).expect("written");
    let (first, data) = hosts(&sshd);
    let host = first.get(&sshd.contact());
    let hasty = tokio::time::timeout(Duration::from_millis(300), host.run("true", b"")).await;
    assert!(hasty.is_err(), "{hasty:?}");
    drop((first, host));
    until("the attempt connects", || sshd.connections() == 1).await;
    let second = Hosts::with_patience(data.path(), Some(sshd.ssh_config()), IMPATIENT).expect("hosts");
    second.get(&sshd.contact()).run("true", b"").await.expect("runs");
    assert_eq!(sshd.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_is_made_anew() {
    let sshd = Sshd::start();
    let (hosts, _data) = hosts(&sshd);
    let host = hosts.get(&sshd.contact());
    host.run("true", b"").await.expect("runs");
    sshd.cut();
    // The master may still be noticing; whichever command meets it says so.
    let again = host.run("echo again", b"").await;
    if let Err(error) = again {
        assert!(matches!(error, HostError::Lost { .. }), "{error:?}");
    }
    assert_eq!(host.run("echo again", b"").await.expect("reconnects").stdout, b"again\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_cut_in_mid_upload_is_an_error_in_bounded_time() {
    let sshd = Sshd::start();
    let (hosts, _data) = hosts(&sshd);
    let host = hosts.get(&sshd.contact());
    let start = Instant::now();
    let freeze_once = std::sync::Once::new();
    let sent = |bytes: u64| {
        if bytes > 1 << 20 {
            freeze_once.call_once(|| sshd.freeze());
        }
    };
    let fed = host.feed("cat >/dev/null", Box::pin(tokio::io::repeat(b'z')), &sent).await;
    assert!(matches!(fed, Err(HostError::Lost { .. })), "{fed:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_key_is_refused_with_its_fingerprint_and_accepted_when_told() {
    let sshd = Sshd::start();
    sshd.forget_all();
    let (hosts, _data) = hosts(&sshd);
    let error = hosts.get(&sshd.contact()).run("true", b"").await.expect_err("refused");
    let HostError::UnknownHostKey { offered, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*offered, format!("ED25519 {}", sshd.fingerprint("host")));
    assert!(error.hint().is_some_and(|hint| hint.contains("--accept-new-host-key")));
    hosts.get_with(&sshd.contact(), NewHostKeys::Accept).run("true", b"").await.expect("accepted");
    hosts.get(&sshd.contact()).run("true", b"").await.expect("known from now on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_is_refused_with_both_fingerprints_even_when_new_ones_are_accepted() {
    let sshd = Sshd::start();
    keygen(&sshd.dir.path().join("old"));
    sshd.trust("old");
    sshd.trust_also_ecdsa();
    let (hosts, _data) = hosts(&sshd);
    for new_keys in [NewHostKeys::AsConfigured, NewHostKeys::Accept] {
        let error = hosts.get_with(&sshd.contact(), new_keys).run("true", b"").await.expect_err("refused");
        let HostError::ChangedHostKey { known, offered, .. } = &error else { panic!("{error:?}") };
        assert!(known.starts_with(&format!("ED25519 {}", sshd.fingerprint("old"))), "{known}");
        assert_eq!(*offered, format!("ED25519 {}", sshd.fingerprint("host")));
        assert!(error.hint().is_some_and(|hint| hint.contains("ssh-keygen -R '[127.0.0.1]:")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_named() {
    let sshd = Sshd::start();
    keygen(&sshd.dir.path().join("stranger"));
    let (hosts, _data) = hosts(&sshd);
    let error = hosts.get(&sshd.contact_with("stranger")).run("true", b"").await.expect_err("refused");
    let HostError::KeyRefused { cause, .. } = &error else { panic!("{error:?}") };
    assert!(cause.tried.iter().any(|key| key.contains(&sshd.fingerprint("stranger"))), "{cause}");
    assert!(error.hint().is_some_and(|hint| hint.contains("ssh-copy-id -p")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_port_a_silent_server_and_an_unknown_name_are_told_apart() {
    let sshd = Sshd::start();
    let (hosts, _data) = hosts(&sshd);
    let at = |destination: &str, port| Contact::Ssh {
        destination: destination.to_owned(),
        port: Some(port),
        identity: None,
    };
    let failure = async |contact: Contact| match hosts.get(&contact).run("true", b"").await {
        Err(HostError::Connect { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound").port();
    assert_eq!(failure(at("127.0.0.1", closed)).await, ConnectFailure::Refused);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = silent.local_addr().expect("bound").port();
    let start = Instant::now();
    assert_eq!(failure(at("127.0.0.1", port)).await, ConnectFailure::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(failure(at("no-such-host.invalid", 22)).await, ConnectFailure::UnknownName);
    assert!(matches!(
        failure(at("-oProxyCommand=touch /tmp/x", 22)).await,
        ConnectFailure::BadDestination(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_commands_that_wait_for_a_connection_share_one_attempt() {
    let sshd = Sshd::start();
    let (hosts, _data) = hosts(&sshd);
    let host = hosts.get(&sshd.contact());
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let host = Arc::clone(&host);
            tokio::spawn(async move { host.run("true", b"").await.expect("runs").exit_code })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), 0);
    }
    assert_eq!(sshd.connections(), 1);
}
