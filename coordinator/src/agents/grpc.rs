//! The agent's API over one connection that is made when needed, and made anew when it has died.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use hyper_util::rt::TokioIo;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::agent_client::AgentClient;
use proto::v1::runs_client::RunsClient;
use proto::v1::upgrade_request::Act;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

use crate::agents::deliver::{Cargo, Trouble};
use crate::agents::dial::Dialer;
use crate::agents::{AgentApi, AgentError, AgentStream, Parcel, deliver};
use crate::fault;
use crate::ssh::flight::Flight;

const CALL_LIMIT: Duration = Duration::from_secs(10);
/// The agent makes the spec durable before it answers, perhaps on an SD card.
const APPLY_LIMIT: Duration = Duration::from_secs(30);
const STORE: &str = "store the package";
const STORE_AGENT: &str = "take another build of itself";
const UPGRADE: &str = "upgrade itself";
/// A record may have a whole output in it; see `plan::journal::MAX_RECORD`.
const MAX_OUTPUT: usize = 16 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(5);

/// A connection with the agent, shared by all calls.
#[derive(Clone)]
pub struct Live {
    client: AgentClient<Channel>,
    runs: RunsClient<Channel>,
    is_dead: Arc<AtomicBool>,
    pub is_tunnelled: bool,
    pub expires_unix: i64,
}

impl Live {
    /// Speaks HTTP/2 over a stream that is already encrypted and accepted.
    pub async fn start(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        is_tunnelled: bool,
        expires_unix: i64,
    ) -> Result<Self, tonic::transport::Error> {
        let is_dead = Arc::new(AtomicBool::new(false));
        let watched = Watched { io: stream, is_dead: Arc::clone(&is_dead) };
        let mut once = Some(TokioIo::new(watched));
        // Reconnecting is ours, so that the error says what is wrong.
        let connector = tower::service_fn(move |_| {
            std::future::ready(once.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
        });
        let channel = Endpoint::from_static("http://agent")
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_LIMIT)
            .keep_alive_while_idle(true)
            .connect_with_connector(connector)
            .await?;
        let runs = RunsClient::new(channel.clone()).max_decoding_message_size(MAX_OUTPUT);
        Ok(Self { client: AgentClient::new(channel), runs, is_dead, is_tunnelled, expires_unix })
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }
}

/// One node's agent.
pub struct Agent {
    name: NodeName,
    dialer: Arc<Dialer>,
    live: Mutex<Option<Live>>,
    dialing: Flight<Result<Live, AgentError>>,
}

impl Agent {
    pub fn new(dialer: Dialer) -> Self {
        Self {
            name: dialer.name(),
            dialer: Arc::new(dialer),
            live: Mutex::new(None),
            dialing: Flight::default(),
        }
    }

    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// The connection that stands, or a new one.
    pub async fn connect(&self) -> Result<Live, AgentError> {
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let dialer = Arc::clone(&self.dialer);
        let live = self.dialing.join(|| async move { dialer.dial().await }.boxed()).await?;
        *self.live.lock().expect("no panic while held") = Some(live.clone());
        Ok(live)
    }

    fn live(&self) -> Option<Live> {
        self.live.lock().expect("no panic while held").clone().filter(|live| !live.is_dead())
    }

    /// Calls the agent; once more where the connection turns out to have died, since every call bears repetition.
    async fn call<R: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        operation: &'static str,
        limit: Duration,
        request: R,
        call: impl Fn(AgentClient<Channel>, R) -> F,
    ) -> Result<T, AgentError> {
        let live = self.connect().await?;
        let first = self.answer(operation, limit, call(live.client.clone(), request.clone())).await;
        if first.is_err() && live.is_dead() {
            let live = self.connect().await?;
            return self.answer(operation, limit, call(live.client, request)).await;
        }
        first
    }

    /// Not repeated: what was read of the parcel is gone.
    async fn deliver(
        &self,
        cargo: Cargo,
        operation: &'static str,
        parcel: Parcel,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), AgentError> {
        let client = self.connect().await?.client;
        let node = self.name.clone();
        deliver::deliver(client, cargo, parcel, sent).await.map_err(|trouble| match trouble {
            Trouble::Answer(status) => failed(&node, self.dialer.address(), operation, *status),
            Trouble::Content(cause) => AgentError::Package { node, cause: Arc::new(cause) },
            Trouble::Silent(after) => AgentError::TimedOut { node, operation, after },
        })
    }

    async fn answer<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, AgentError> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(failed(&self.name, self.dialer.address(), operation, status)),
            Err(_) => Err(AgentError::TimedOut { node: self.name.clone(), operation, after: limit }),
        }
    }

    fn stream<T: Send + 'static>(&self, operation: &'static str, stream: Streaming<T>) -> AgentStream<T> {
        let (name, address) = (self.name.clone(), self.dialer.address());
        stream
            .map(move |item| item.map_err(|status| failed(&name, address.clone(), operation, status)))
            .boxed()
    }
}

fn failed(name: &NodeName, address: String, operation: &'static str, status: Status) -> AgentError {
    let node = name.clone();
    // A status that the agent sent has no source; one that the transport made has.
    if std::error::Error::source(&status).is_some() {
        return AgentError::Unreachable { node, address, cause: Arc::new(status) };
    }
    AgentError::Call { node, operation, status: Box::new(status) }
}

#[async_trait]
impl AgentApi for Agent {
    async fn observe(&self) -> Result<v1::Report, AgentError> {
        let request = v1::ObserveRequest {};
        self.call("observe", CALL_LIMIT, request, |mut client: AgentClient<Channel>, request| async move {
            client.observe(request).await
        })
        .await
    }

    async fn watch(&self, heartbeat: Duration) -> Result<AgentStream<v1::Report>, AgentError> {
        let heartbeat_ms = u32::try_from(heartbeat.as_millis()).unwrap_or(u32::MAX);
        let request = v1::WatchRequest { heartbeat_ms };
        let call = |mut client: AgentClient<Channel>, request| async move { client.watch(request).await };
        Ok(self.stream("watch", self.call("watch", CALL_LIMIT, request, call).await?))
    }

    async fn apply(&self, spec: v1::NodeSpec) -> Result<v1::ApplyReply, AgentError> {
        let request = v1::ApplyRequest { spec: Some(spec) };
        self.call("apply", APPLY_LIMIT, request, |mut client: AgentClient<Channel>, request| async move {
            client.apply(request).await
        })
        .await
    }

    async fn receive(&self, parcel: Parcel, sent: &(dyn Fn(u64) + Send + Sync)) -> Result<(), AgentError> {
        self.deliver(Cargo::Package, STORE, parcel, sent).await
    }

    async fn receive_agent(&self, parcel: Parcel) -> Result<(), AgentError> {
        self.deliver(Cargo::Agent, STORE_AGENT, parcel, &|_| fault::point("upgrade.sending")).await
    }

    async fn upgrade(&self, act: Act) -> Result<v1::UpgradeReply, AgentError> {
        // Each bears repetition: what is asked for is in it.
        let request = v1::UpgradeRequest { act: Some(act) };
        self.call(UPGRADE, APPLY_LIMIT, request, |mut client: AgentClient<Channel>, request| async move {
            client.upgrade(request).await
        })
        .await
    }

    async fn logs(&self, request: v1::AgentLogsRequest) -> Result<AgentStream<v1::LogLine>, AgentError> {
        let call = |mut client: AgentClient<Channel>, request| async move { client.logs(request).await };
        Ok(self.stream("send logs", self.call("send logs", CALL_LIMIT, request, call).await?))
    }

    async fn exec(&self, request: v1::ExecRequest) -> Result<AgentStream<v1::ExecOutput>, AgentError> {
        // Not repeated: the command may have run.
        let mut client = self.connect().await?.client;
        let output = self.answer("run a command", CALL_LIMIT, client.exec(request)).await?;
        Ok(self.stream("run a command", output))
    }

    async fn act(&self, request: v1::ActRequest) -> Result<AgentStream<v1::ExecOutput>, AgentError> {
        // Not repeated: the action may have run.
        let mut client = self.connect().await?.client;
        let output = self.answer("run an action", CALL_LIMIT, client.act(request)).await?;
        Ok(self.stream("run an action", output))
    }

    async fn request_certificate(&self) -> Result<String, AgentError> {
        let request = v1::RequestCertificateRequest {};
        let call = |mut client: AgentClient<Channel>, request| async move {
            client.request_certificate(request).await
        };
        Ok(self.call("request a certificate", CALL_LIMIT, request, call).await?.csr_pem)
    }

    async fn install_certificate(&self, certificate_pem: String) -> Result<(), AgentError> {
        let request = v1::InstallCertificateRequest { certificate_pem };
        let call = |mut client: AgentClient<Channel>, request| async move {
            client.install_certificate(request).await
        };
        self.call("install a certificate", APPLY_LIMIT, request, call).await?;
        Ok(())
    }

    async fn begin_run(&self, request: v1::BeginRunRequest) -> Result<v1::BeginRunReply, AgentError> {
        let mut live = self.connect().await?;
        self.answer("begin a run", APPLY_LIMIT, live.runs.begin(request)).await
    }

    async fn follow_run(
        &self,
        inputs: mpsc::Receiver<v1::RunInput>,
    ) -> Result<AgentStream<v1::RunOutput>, AgentError> {
        let mut live = self.connect().await?;
        let followed = live.runs.follow(ReceiverStream::new(inputs));
        let output = self.answer("tell of a run", CALL_LIMIT, followed).await?;
        Ok(self.stream("tell of a run", output))
    }

    async fn list_runs(&self) -> Result<Vec<v1::NodeRun>, AgentError> {
        let mut live = self.connect().await?;
        let listed = live.runs.list(v1::ListNodeRunsRequest {});
        Ok(self.answer("list its runs", CALL_LIMIT, listed).await?.runs)
    }

    fn is_tunnelled(&self) -> bool {
        self.live().is_some_and(|live| live.is_tunnelled)
    }
}

/// Says when the connection is gone: whoever drives it drops it then.
struct Watched<IO> {
    io: IO,
    is_dead: Arc<AtomicBool>,
}

impl<IO> Drop for Watched<IO> {
    fn drop(&mut self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
