//! A real agent, a folder with something to lose in it, a server that nobody may speak to, and the check of a row.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use plan::plan::Plan;
use plan::policy::Policy;
use plan::run::event::{Ending, Event};
use plan::validate::Surroundings;
use serde_json::Value;
use tempfile::TempDir;

use crate::node::Node;
use crate::run::{Client, Follower, with_policy};

pub const SECRET: &str = "hunter2-hunter2";
/// What only a step that got through would make, outside the folder.
const OUTSIDE: [&str; 10] = [
    "/etc/cron.d/proof",
    "/etc/systemd/system/proof.service",
    "/etc/ld.so.preload",
    "/etc/sudoers.d/proof",
    "/var/spool/cron/proof",
    "/root/.ssh/proof",
    "/run/systemd/system/proof.service",
    "/run/udev/rules.d/proof.rules",
    "/usr/local/bin/proof",
    "/var/lib/dpkg/info/proof.postinst",
];
const DONE: &str = "IT WAS DONE";
/// Nobody answers a request for approval in a row that asks for none.
const NOBODY_MS: u32 = 1500;

/// What is tried, the step that tries it, and what the run says of it.
pub struct Row {
    pub tries: &'static str,
    pub step: Value,
    pub says: &'static str,
}

pub fn row(tries: &'static str, step: Value, says: &'static str) -> Row {
    Row { tries, step, says }
}

pub struct Bench {
    pub node: Node,
    pub client: Client,
    pub policy: Policy,
    pub folder: PathBuf,
    /// A port of this machine; who connects is counted.
    pub trap: u16,
    caught: Arc<AtomicU32>,
    _dir: TempDir,
    runs: u32,
}

impl Bench {
    pub async fn new() -> Self {
        let (node, _) = Node::running().await;
        let client = node.runs().await;
        let dir = tempfile::tempdir().expect("tempdir");
        let folder = dir.path().canonicalize().expect("there");
        std::fs::write(folder.join("victim"), "precious").expect("written");
        let (trap, caught) = trap();
        Self { node, client, policy: Policy::standard(), folder, trap, caught, _dir: dir, runs: 0 }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("text").to_owned()
    }

    /// A path of the agent's own data.
    pub fn own(&self, name: &str) -> String {
        self.node.path(name).canonicalize().expect("there").to_str().expect("text").to_owned()
    }

    /// The name of the run that was begun last.
    pub fn run(&self) -> String {
        format!("r{}", self.runs)
    }

    pub async fn begin_plan(&mut self, plan: &Plan, wait_ms: u32) -> Result<Follower, tonic::Status> {
        self.runs += 1;
        let run = self.run();
        let mut request = with_policy(&run, plan, &self.policy);
        request.secrets = vec![SECRET.to_owned()];
        request.approval_timeout_ms = wait_ms;
        self.client.begin(request).await?;
        Follower::try_attach(&mut self.client, &run).await
    }

    /// Begins a plan that is sound.
    pub async fn begin(&mut self, steps: &[Value]) -> Follower {
        let plan = parse(steps).expect("a plan");
        self.begin_plan(&plan, 60_000).await.expect("begun")
    }

    /// Tries a step that must not get through; what is said of it, wherever it is stopped.
    pub async fn attempt(&mut self, step: &Value) -> String {
        let plan = match parse(std::slice::from_ref(step)) {
            Ok(plan) => plan,
            Err(refused) => return format!("not a plan: {refused}"),
        };
        match self.begin_plan(&plan, NOBODY_MS).await {
            Ok(mut follower) => told(&mut follower).await,
            Err(refused) => format!("not begun: {}", refused.message()),
        }
    }

    /// Everything that a step could have changed, looked at from outside.
    pub fn world(&self) -> BTreeMap<String, Vec<u8>> {
        let mut world = BTreeMap::new();
        look(&self.folder, &mut world);
        for path in OUTSIDE {
            world.insert(path.to_owned(), std::fs::read(path).unwrap_or_default());
        }
        for name in ["receipt-key", "ledger"] {
            world.insert(name.to_owned(), std::fs::read(self.node.path(name)).unwrap_or_default());
        }
        let caught = self.caught.load(Ordering::SeqCst);
        world.insert("connections".to_owned(), caught.to_string().into_bytes());
        world
    }

    /// Each row is stopped for its own reason, and leaves the world as it was.
    pub async fn check(&mut self, rows: &[Row]) {
        let mut open = Vec::new();
        for row in rows {
            let before = self.world();
            let told = self.attempt(&row.step).await;
            if told.starts_with(DONE) || !told.contains(row.says) {
                open.push(format!("{}: expected {:?}, but {told}", row.tries, row.says));
            }
            if self.world() != before {
                open.push(format!("{}: it has changed something", row.tries));
            }
        }
        assert!(open.is_empty(), "{} of {}:\n{}", open.len(), rows.len(), open.join("\n"));
    }
}

pub fn parse(steps: &[Value]) -> Result<Plan, String> {
    let steps: Vec<String> = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let text = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 1000, time: 1h, steps: 50}}\nsteps:\n{}",
        steps.concat()
    );
    Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default()).map_err(|error| error.to_string())
}

/// Follows a run to its end; why its step `a` was not done, or that it was.
pub async fn told(follower: &mut Follower) -> String {
    let ending = follower.ending().await;
    let returned = |event: &Event| matches!(event, Event::Returned { step, .. } if step.as_str() == "a");
    let has_returned = follower.records.iter().any(|record| returned(&record.event));
    match (ending, has_returned) {
        (Ending::Failed { why, .. }, false) => why,
        (ending, _) => format!("{DONE}: {ending:?} {:#?}", follower.events()),
    }
}

fn look(folder: &Path, world: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("there").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("known");
        let content = if kind.is_file() { std::fs::read(&path).expect("read") } else { Vec::new() };
        world.insert(format!("{} {kind:?}", path.display()), content);
        if kind.is_dir() {
            look(&path, world);
        }
    }
}

fn trap() -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let caught = Arc::new(AtomicU32::new(0));
    let own = caught.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            own.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, caught)
}
