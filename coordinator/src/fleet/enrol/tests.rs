//! Enrolment for real: sshd, the agent's binary, certificates, two fleets, and everything cut off in between.

mod ways;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::authority::FleetAuthority;
use super::*;
use crate::clock::{SystemClock, UnixMillis};
use crate::fleet::keyring::Keyring;
use crate::ssh::Contact;
use crate::ssh::sshd::Sshd;
use crate::store::json::get_json;
use crate::store::sqlite::SqliteStore;

const DAY: i64 = 24 * 3600 * 1000;

/// Days away from now.
struct Shifted(i64);

impl Clock for Shifted {
    fn now(&self) -> UnixMillis {
        SystemClock.now() + self.0 * DAY
    }
}

/// A coordinator with a folder, a store and ways to machines.
struct Desk {
    dir: TempDir,
    enrolment: Enrolment,
    store: Arc<dyn Store>,
}

impl Desk {
    async fn new(sshd: &Sshd) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&dir.path().join("db"), Arc::new(SystemClock)).await.expect("store"));
        let enrolment = Self::enrolment(&dir, &store, sshd, 0);
        Self { dir, enrolment, store }
    }

    /// Another coordinator of the same fleet, whose clock is some days off.
    fn enrolment(dir: &TempDir, store: &Arc<dyn Store>, sshd: &Sshd, days: i64) -> Enrolment {
        let clock: Arc<dyn Clock> = Arc::new(Shifted(days));
        let keyring = Arc::new(Keyring::from_file(&dir.path().join("master.key")).expect("keyring"));
        let hosts = Arc::new(Hosts::new(dir.path(), Some(sshd.ssh_config())).expect("hosts"));
        let ca = Arc::new(CertificateAuthority::new(Arc::clone(store), keyring, Arc::clone(&clock)));
        let authority =
            FleetAuthority::new(Arc::clone(&ca), Arc::clone(store), Arc::clone(&hosts), Arc::clone(&clock));
        let agents = Arc::new(Agents::new(Arc::clone(&hosts), Arc::new(authority), Arc::clone(&clock)));
        let binaries = AgentBinaries::in_folders(vec![dir.path().join("agents"), agent_folder()]);
        let (store, data_dir) = (Arc::clone(store), dir.path().to_owned());
        Enrolment { store, hosts, agents, ca, binaries, clock, data_dir }
    }

    fn again(&self, sshd: &Sshd, days: i64) -> Enrolment {
        Self::enrolment(&self.dir, &self.store, sshd, days)
    }

    async fn record(&self, name: &str) -> Option<NodeRecord> {
        let name = NodeName::parse(name).expect("name");
        let kept = get_json::<NodeRecord>(&*self.store, &keys::node(&name)).await.expect("store");
        kept.map(|kept| kept.value)
    }
}

fn agent_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("exe");
    let folder = exe.ancestors().nth(2).expect("target folder").to_owned();
    assert!(folder.join("node-agent").exists(), "build the agent first: cargo build -p node-agent");
    folder
}

/// A machine, whose agent ends with it.
struct Machine(Sshd);

impl Machine {
    fn new() -> Self {
        Self(Sshd::machine())
    }

    /// The agent's folder, as seen from here.
    fn data(&self) -> PathBuf {
        self.0.dir.path().join("machine/orchestrator")
    }

    fn request(&self, name: &str) -> v1::AddNodeRequest {
        let Contact::Ssh { destination, port, identity } = self.0.contact() else { unreachable!() };
        let ssh = v1::add_node_request::Ssh {
            destination,
            port: port.map_or(0, u32::from),
            identity: identity.expect("identity").display().to_string(),
            accept_new_host_key: false,
        };
        let target = Some(v1::add_node_request::Target::Ssh(ssh));
        let free =
            std::net::TcpListener::bind("0.0.0.0:0").expect("bound").local_addr().expect("bound").port();
        v1::AddNodeRequest { name: name.into(), target, labels: BTreeMap::new(), agent_port: u32::from(free) }
    }

    fn agent(&self, words: &[&str]) -> bool {
        let data = self.data();
        let done =
            Command::new(agent_folder().join("node-agent")).args(words).arg("--data-dir").arg(&data).output();
        done.is_ok_and(|output| output.status.success())
    }

    /// Puts another certificate in the place of the agent's, as time or a mistake would.
    fn replace_certificate(&self, pem: &str) {
        let leaf_end =
            pem.find("-----END CERTIFICATE-----\n").expect("pem") + "-----END CERTIFICATE-----\n".len();
        fs::write(self.data().join("identity/cert.pem"), &pem[..leaf_end]).expect("written");
        assert!(self.agent(&["stop"]));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.agent(&["stop", "--instances"]);
    }
}

/// Adds and gives the record with all that was said.
async fn add(
    enrolment: &Enrolment,
    request: &v1::AddNodeRequest,
) -> Result<(NodeRecord, Vec<Note>), EnrolError> {
    let notes = Mutex::new(Vec::new());
    let record = enrolment.add(request, &|note| notes.lock().expect("no panic").push(note)).await?;
    Ok((record, notes.into_inner().expect("no panic")))
}

async fn observe(enrolment: &Enrolment, record: &NodeRecord) -> Result<v1::Report, AgentError> {
    enrolment.agents.dial(record).await?.observe().await
}

fn said(notes: &[Note], text: &str) -> bool {
    notes.iter().any(|note| matches!(note, Note::Step(said) | Note::Warning(said) if said.contains(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_only_sshd_becomes_a_node_and_adding_it_again_changes_nothing() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let mut request = machine.request("attic");
    let (record, notes) = add(&desk.enrolment, &request).await.expect("added");
    assert_eq!(desk.record("attic").await.as_ref(), Some(&record));
    assert_eq!(observe(&desk.enrolment, &record).await.expect("answers").node, "attic");
    assert!(said(&notes, "neither systemd nor cron"), "{notes:?}");
    assert_eq!(record.facts.arch, std::env::consts::ARCH);

    request.labels.insert("room".into(), "attic".into());
    let (again, notes) = add(&desk.again(&machine.0, 0), &request).await.expect("added again");
    assert!(said(&notes, "enrolled already") && !said(&notes, "sending"), "{notes:?}");
    assert_eq!(
        (&again.public_key, again.labels.get("room").map(String::as_str)),
        (&record.public_key, Some("attic"))
    );

    // It has another address by now.
    let former = |kept: &mut NodeRecord| kept.address = "127.9.9.9:1".into();
    authority::edit_record(&*desk.store, &record.name, former).await.expect("edited");
    let (again, notes) = add(&desk.again(&machine.0, 0), &request).await.expect("added again");
    assert!(said(&notes, "enrolled already"), "{notes:?}");
    assert_eq!(again.address, record.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_is_started_by_the_next_dial() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    assert!(machine.agent(&["stop"]));
    // The very same object finds its way again, and so does another coordinator.
    observe(&desk.enrolment, &record).await.expect("answers again");
    assert!(machine.agent(&["stop"]));
    observe(&desk.again(&machine.0, 0), &record).await.expect("answers another coordinator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_stays_with_its_machine_and_a_machine_with_its_name() {
    let (machine, other) = (Machine::new(), Machine::new());
    let desk = Desk::new(&machine.0).await;
    add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let renamed = add(&desk.enrolment, &machine.request("cellar")).await.expect_err("refused");
    assert!(matches!(&renamed, EnrolError::OtherName { known } if known.as_str() == "attic"), "{renamed:?}");
    let at_other = desk.again(&other.0, 0);
    let moved = add(&at_other, &other.request("attic")).await.expect_err("refused");
    assert!(matches!(moved, EnrolError::OtherMachine { .. }), "{moved:?}");
    assert!(moved.hint().is_some_and(|hint| hint.contains("node remove attic --force")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_another_fleet_is_neither_taken_over_nor_spoken_to() {
    let machine = Machine::new();
    let (theirs, ours) = (Desk::new(&machine.0).await, Desk::new(&machine.0).await);
    let (record, _) = add(&theirs.enrolment, &machine.request("attic")).await.expect("added");
    let error = add(&ours.enrolment, &machine.request("attic")).await.expect_err("refused");
    let EnrolError::OtherFleet { fleet, node, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*fleet, theirs.enrolment.ca.get().await.expect("ca").fleet_id());
    assert_eq!(node, "attic");
    let error = observe(&ours.enrolment, &record).await.expect_err("not ours");
    assert!(matches!(error, AgentError::NotOurs { .. }), "{error:?}");
    observe(&theirs.enrolment, &record).await.expect("still answers its fleet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expired_while_we_were_away_is_renewed_over_ssh() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let pem = certificate_signed(&desk, &machine, -91).await;
    machine.replace_certificate(&pem);
    let report = observe(&desk.again(&machine.0, 0), &record).await.expect("renewed");
    assert!(days_left(&report) > 80, "{report:?}");
    let renewed = desk.record("attic").await.expect("record");
    assert_ne!(renewed.public_key, record.public_key);
    assert_eq!(renewed.install.next_public_key, None);
    observe(&desk.again(&machine.0, 0), &record)
        .await
        .expect("a coordinator with the old record finds the new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_soon_is_renewed_over_the_live_connection() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let pem = certificate_signed(&desk, &machine, -80).await;
    machine.replace_certificate(&pem);
    observe(&desk.again(&machine.0, 0), &record).await.expect("answers");
    assert_ne!(desk.record("attic").await.expect("record").public_key, record.public_key);
    let report = observe(&desk.again(&machine.0, 0), &record).await.expect("answers with its new key");
    assert!(days_left(&report) > 80, "{report:?}");
}

/// A certificate for the agent's present key, signed some days from now.
async fn certificate_signed(desk: &Desk, machine: &Machine, days: i64) -> String {
    let key = fs::read_to_string(machine.data().join("identity/key.pem")).expect("key");
    let key = rcgen::KeyPair::from_pem(&key).expect("key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key).expect("request");
    let ca = desk.again(&machine.0, days).ca.get().await.expect("ca");
    ca.sign_node(&NodeName::parse("attic").expect("name"), &csr.pem().expect("pem")).expect("signed").pem
}

fn days_left(report: &v1::Report) -> i64 {
    (report.certificate_expires_unix * 1000 - SystemClock.now()) / DAY
}

#[tokio::test(flavor = "multi_thread")]
async fn another_binary_is_sent_and_started() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let request = machine.request("attic");
    let (record, _) = add(&desk.enrolment, &request).await.expect("added");
    let mut newer = fs::read(agent_folder().join("node-agent")).expect("binary");
    newer.push(0);
    fs::create_dir(desk.dir.path().join("agents")).expect("made");
    fs::write(desk.dir.path().join("agents/node-agent"), &newer).expect("written");
    let (repaired, notes) = add(&desk.again(&machine.0, 0), &request).await.expect("repaired");
    assert!(said(&notes, "sending the agent") && said(&notes, "repaired"), "{notes:?}");
    assert_ne!(repaired.install.agent_digest, record.install.agent_digest);
    observe(&desk.again(&machine.0, 0), &repaired).await.expect("answers");
    let sent = fs::read(machine.data().join("bin/node-agent")).expect("binary");
    assert!(sent == newer, "the node has the newer binary");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_for_a_newer_glibc_is_refused_with_its_version() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let mut newer = fs::read(agent_folder().join("node-agent")).expect("binary");
    let (present, wanted) = (b"\0GLIBC_2.34\0", b"\0GLIBC_9.99\0");
    let places: Vec<_> = newer.windows(present.len()).enumerate().filter(|(_, at)| *at == present).collect();
    let places: Vec<_> = places.into_iter().map(|(place, _)| place).collect();
    assert!(!places.is_empty(), "it is built for this machine's glibc");
    for place in places {
        newer[place..place + wanted.len()].copy_from_slice(wanted);
    }
    fs::create_dir(desk.dir.path().join("agents")).expect("made");
    fs::write(desk.dir.path().join("agents/node-agent"), &newer).expect("written");
    let error = add(&desk.again(&machine.0, 0), &machine.request("attic")).await.expect_err("refused");
    assert!(matches!(error, EnrolError::DoesNotRun { .. }), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("glibc 9.99")), "{:?}", error.hint());
    assert!(!machine.data().join("bin/node-agent").exists(), "nothing was installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_cut_off_anywhere_is_completed_by_the_next() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let request = machine.request("attic");
    for cut_after in 1.. {
        let (count, reached) = (Mutex::new(0), Notify::new());
        let listener = |_| {
            let mut count = count.lock().expect("no panic");
            *count += 1;
            if *count == cut_after {
                reached.notify_one();
            }
        };
        let coordinator = desk.again(&machine.0, 0);
        let cut = async {
            reached.notified().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        tokio::select! {
            done = coordinator.add(&request, &listener) => {
                done.expect("added");
                break;
            }
            () = cut => {}
        }
        assert!(cut_after < 20);
    }
    let (record, _) = add(&desk.enrolment, &request).await.expect("whole");
    observe(&desk.enrolment, &record).await.expect("answers");
    let left: Vec<_> =
        fs::read_dir(machine.data().join("bin")).expect("bin").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["node-agent"], "no half upload stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_coordinators_may_add_the_same_machine_at_once() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let request = machine.request("attic");
    let others = [desk.again(&machine.0, 0), desk.again(&machine.0, 0)];
    let added = futures::future::join_all(others.iter().map(|other| add(other, &request))).await;
    assert!(added.iter().any(Result::is_ok), "{added:?}");
    let (record, _) = add(&desk.enrolment, &request).await.expect("whole");
    observe(&desk.enrolment, &record).await.expect("answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_leaves_nothing_but_its_volumes() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    fs::create_dir_all(machine.data().join("volumes/db.0")).expect("made");
    let spec = crate::fleet::record::put_spec(&record.name, &v1::NodeSpec::default());
    desk.store.commit(Txn::new().then(spec)).await.expect("kept");
    desk.enrolment.remove(&record.name, false, &|_| {}).await.expect("removed");
    let left: Vec<_> = fs::read_dir(machine.data()).expect("dir").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["volumes"]);
    assert_eq!(desk.record("attic").await, None);
    assert!(tokio::net::TcpStream::connect(&record.address).await.is_err(), "nothing listens any more");
    assert!(desk.store.get(&keys::desired(&record.name)).await.expect("store").is_none());
    let gone = desk.enrolment.remove(&record.name, false, &|_| {}).await;
    assert!(matches!(gone, Err(EnrolError::NoSuchNode { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_is_only_removed_by_force() {
    let machine = Machine::new();
    let desk = Desk::new(&machine.0).await;
    let (record, _) = add(&desk.enrolment, &machine.request("attic")).await.expect("added");
    let away = NodeRecord {
        contact: Contact::Ssh { destination: "127.0.0.1".into(), port: Some(1), identity: None },
        ..record.clone()
    };
    authority::edit_record(&*desk.store, &record.name, |kept| *kept = away.clone()).await.expect("edited");
    let error = desk.enrolment.remove(&record.name, false, &|_| {}).await.expect_err("unreachable");
    assert!(matches!(error, EnrolError::Cleanup { .. }), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--force")));
    desk.enrolment.remove(&record.name, true, &|_| {}).await.expect("forgotten");
    assert_eq!(desk.record("attic").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_a_node_without_ssh_and_without_a_fixed_port() {
    let sshd = Sshd::start();
    let desk = Desk::new(&sshd).await;
    let target = Some(v1::add_node_request::Target::Local(v1::add_node_request::Local {}));
    let request = v1::AddNodeRequest { name: "local".into(), target, ..Default::default() };
    let (record, notes) = add(&desk.enrolment, &request).await.expect("added");
    let data = desk.dir.path().join("node");
    assert_eq!(record.data_dir, data);
    assert!(record.address.starts_with("127.0.0.1:") && !record.address.ends_with(":0"), "{record:?}");
    assert!(said(&notes, "nothing starts the agent of this machine after a reboot"), "{notes:?}");
    let stop = || {
        let agent =
            Command::new(data.join("bin/node-agent")).args(["stop", "--data-dir"]).arg(&data).status();
        assert!(agent.is_ok_and(|status| status.success()));
    };
    stop();
    observe(&desk.again(&sshd, 0), &record).await.expect("started again at the same port");
    let (again, notes) = add(&desk.again(&sshd, 0), &request).await.expect("added again");
    assert!(said(&notes, "enrolled already"), "{notes:?}");
    assert_eq!(again.address, record.address);
    assert_eq!(sshd.connections(), 0);
    stop();
}
