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
    client_port: u16,
    peer_port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl EtcdServer {
    pub fn start() -> EtcdServer {
        EtcdServer::start_with("http", &[])
    }

    pub fn start_with(scheme: &str, arguments: &[String]) -> EtcdServer {
        let (client_port, peer_port) = (free_port(), free_port());
        let mut arguments = arguments.to_vec();
        for (name, port) in [("--listen-client-urls", client_port), ("--advertise-client-urls", client_port)]
        {
            arguments.extend([name.into(), format!("{scheme}://127.0.0.1:{port}")]);
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut server = EtcdServer { folder, client_port, peer_port, arguments, process: None };
        server.run();
        server
    }

    /// Starts the process on the data of the one before.
    pub fn run(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let log = self.folder.path().join("log");
        let mut command = Command::new("etcd");
        command.args([
            "--name",
            "one",
            "--unsafe-no-fsync",
            "--heartbeat-interval",
            "50",
            "--election-timeout",
            "250",
        ]);
        command.arg("--data-dir").arg(self.folder.path().join("data")).args(["--listen-peer-urls", &peer]);
        command.args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("one={peer}")]);
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
