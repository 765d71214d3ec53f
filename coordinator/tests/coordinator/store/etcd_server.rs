//! A real etcd on free ports of this machine, which ends with its owner.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use coordinator::clock::SystemClock;
use coordinator::store::url::StoreUrl;
use coordinator::store::{Store, StoreError, connect};
use tempfile::TempDir;

pub struct EtcdServer {
    folder: TempDir,
    name: String,
    /// `name=peer URL` of all members, and our own peer URL.
    cluster: String,
    peer: String,
    client_port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl EtcdServer {
    pub fn start() -> EtcdServer {
        EtcdServer::start_with("http", &[])
    }

    pub fn start_with(scheme: &str, arguments: &[String]) -> EtcdServer {
        let (name, peer) = ("one".to_owned(), format!("http://127.0.0.1:{}", free_port()));
        EtcdServer::member(scheme, &name, &format!("{name}={peer}"), &peer, arguments)
    }

    pub fn start_cluster() -> [EtcdServer; 3] {
        let names = ["one", "two", "three"];
        let peers = names.map(|_| format!("http://127.0.0.1:{}", free_port()));
        let cluster: Vec<String> =
            names.iter().zip(&peers).map(|(name, peer)| format!("{name}={peer}")).collect();
        [0, 1, 2]
            .map(|index| EtcdServer::member("http", names[index], &cluster.join(","), &peers[index], &[]))
    }

    fn member(scheme: &str, name: &str, cluster: &str, peer: &str, arguments: &[String]) -> EtcdServer {
        let client_port = free_port();
        let mut arguments = arguments.to_vec();
        for name in ["--listen-client-urls", "--advertise-client-urls"] {
            arguments.extend([name.into(), format!("{scheme}://127.0.0.1:{client_port}")]);
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        let (name, cluster, peer) = (name.to_owned(), cluster.to_owned(), peer.to_owned());
        let mut server = EtcdServer { folder, name, cluster, peer, client_port, arguments, process: None };
        server.run();
        server
    }

    /// Starts the process on the data of the one before.
    pub fn run(&mut self) {
        let log = self.folder.path().join("log");
        let mut command = Command::new("etcd");
        command.args(["--name", &self.name, "--unsafe-no-fsync"]);
        command.args(["--heartbeat-interval", "50", "--election-timeout", "250"]);
        command
            .arg("--data-dir")
            .arg(self.folder.path().join("data"))
            .args(["--listen-peer-urls", &self.peer]);
        command.args(["--initial-advertise-peer-urls", &self.peer, "--initial-cluster", &self.cluster]);
        command.args(["--logger", "zap", "--log-outputs"]).arg(log).args(&self.arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("etcd must be installed: apt-get install etcd-server"));
    }

    /// Ends it at once, like a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("kill etcd");
            process.wait().expect("reap etcd");
        }
    }

    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("runs").id()
    }

    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    pub async fn store(&self) -> Arc<dyn Store> {
        ready(&format!("etcd://{}", self.endpoint())).await
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Connects as soon as the server answers.
pub async fn ready(url: &str) -> Arc<dyn Store> {
    for _ in 0..50 {
        match try_connect(url).await {
            Err(StoreError::Unreachable { .. }) => {}
            connected => return connected.expect("connect"),
        }
    }
    panic!("etcd does not answer at {url}");
}

pub async fn try_connect(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    let url: StoreUrl = url.parse().expect("a store");
    connect(&url, Arc::new(SystemClock)).await
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("address").port()
}
