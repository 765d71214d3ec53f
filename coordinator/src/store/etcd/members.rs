//! The endpoints of one etcd, and how a call gets past the dead ones. Each has a client of its own: a client
//! with several endpoints spreads its calls over all of them, and every call on a dead one fails.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::store::StoreError;
use crate::store::etcd::fault::{Kind, Trouble};
use crate::store::url::{EtcdUrl, Tls};

/// How long a call may take, over all endpoints.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Shorter than an attempt: of a commit it must be known that it was not sent.
const CONNECT: Duration = Duration::from_millis(1500);
/// How long one of several endpoints may take until the next one is asked.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Rounds over all endpoints while none can be reached: more than one, since the first may only have found out
/// that a connection is dead.
const ROUNDS: usize = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// etcd hangs up on who pings more often than every 5 s.
const PING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(3));

#[derive(Clone)]
pub(super) struct Members {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    members: Vec<Member>,
    options: ConnectOptions,
    has_user: bool,
    has_tls: bool,
    /// The one that answered last.
    preferred: AtomicUsize,
}

struct Member {
    endpoint: String,
    url: String,
    client: OnceCell<Client>,
}

impl Members {
    pub(super) async fn new(url: &EtcdUrl) -> Result<Members, StoreError> {
        let (interval, wait) = PING;
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(interval, wait)
            .with_keep_alive_while_idle(false)
            .with_require_leader(true);
        if let Some(user) = &url.user {
            options = options.with_user(&user.name, &user.password);
        }
        if let Some(tls) = &url.tls {
            options = options.with_tls(read_tls(tls)?);
        }
        let scheme = if url.tls.is_some() { "https" } else { "http" };
        let members = url.endpoints.iter().map(|endpoint| Member {
            endpoint: endpoint.clone(),
            url: format!("{scheme}://{endpoint}"),
            client: OnceCell::new(),
        });
        let shared = Shared {
            name: format!("etcd://{}", url.endpoints.join(",")),
            members: members.collect(),
            options,
            has_user: url.user.is_some(),
            has_tls: url.tls.is_some(),
            preferred: AtomicUsize::new(0),
        };
        Ok(Members { shared: Arc::new(shared) })
    }

    pub(super) fn name(&self) -> &str {
        &self.shared.name
    }

    /// Makes a call that may be made twice, at one endpoint after the other until one answers.
    pub(super) async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.until_done(&call, Trouble::is_passing).await
    }

    /// Makes a call that must not be made twice: tries the next endpoint only where nothing was sent.
    pub(super) async fn call_once<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.until_done(&call, |trouble| matches!(trouble.kind, Kind::NotSent | Kind::Leaderless)).await
    }

    async fn until_done<T, F>(
        &self,
        call: &impl Fn(Client) -> F,
        may_repeat: impl Fn(&Trouble) -> bool,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + DEADLINE;
        for round in 1.. {
            let trouble = match self.round(call, &may_repeat, deadline).await {
                ControlFlow::Break(outcome) => return outcome,
                ControlFlow::Continue(trouble) => trouble,
            };
            // A cluster that elects is waited for; one that cannot be reached is told soon.
            let is_hopeless = trouble.kind != Kind::Leaderless && round >= ROUNDS;
            if is_hopeless || Instant::now() + PAUSE >= deadline {
                return Err(trouble);
            }
            sleep(PAUSE).await;
        }
        Err(Trouble::timed_out())
    }

    /// Asks each endpoint until one answers; goes on with what they all said.
    async fn round<T, F>(
        &self,
        call: &impl Fn(Client) -> F,
        may_repeat: impl Fn(&Trouble) -> bool,
        deadline: Instant,
    ) -> ControlFlow<Result<T, Trouble>, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (mut texts, mut kind) = (Vec::new(), Kind::NotSent);
        let count = self.shared.members.len();
        let first = self.shared.preferred.load(Ordering::Relaxed);
        for index in (first..first + count).map(|index| index % count) {
            let member = &self.shared.members[index];
            let limit = if count == 1 { deadline } else { deadline.min(Instant::now() + ATTEMPT) };
            let answer = timeout_at(limit, self.attempt(member, call)).await;
            match answer.unwrap_or_else(|_| Err(Trouble::timed_out())) {
                Ok(answer) => {
                    self.shared.preferred.store(index, Ordering::Relaxed);
                    return ControlFlow::Break(Ok(answer));
                }
                Err(trouble) if may_repeat(&trouble) => {
                    kind = if trouble.kind == Kind::NotSent { kind } else { trouble.kind };
                    texts.push(trouble.at(&member.endpoint).text);
                }
                Err(trouble) => return ControlFlow::Break(Err(trouble.at(&member.endpoint))),
            }
        }
        ControlFlow::Continue(Trouble { kind, text: texts.join("; ") })
    }

    async fn attempt<T, F>(&self, member: &Member, call: &impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let client = self.client(member).await?;
        let trouble = match call(client.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => Trouble::from_error(&error),
        };
        // In TLS 1.3 the server looks at our certificate after the handshake, and just hangs up.
        if self.shared.has_tls && trouble.is_hang_up() {
            let text = format!("{} (it may not accept our certificate)", trouble.text);
            return Err(Trouble { text, ..trouble });
        }
        if trouble.kind != Kind::StaleToken || !self.shared.has_user {
            return Err(trouble);
        }
        client.refresh_token().await.map_err(|error| unsent(&error))?;
        call(client).await.map_err(|error| Trouble::from_error(&error))
    }

    async fn client(&self, member: &Member) -> Result<Client, Trouble> {
        let options = self.shared.options.clone();
        let connect = || Client::connect([member.url.clone()], Some(options));
        let client = member.client.get_or_try_init(connect).await;
        client.cloned().map_err(|error| unsent(&error))
    }

    /// A client for a stream, with a fresh token, at the `turn`-th endpoint counted from the preferred one.
    pub(super) async fn for_stream(&self, turn: usize) -> Result<Client, Trouble> {
        let first = self.shared.preferred.load(Ordering::Relaxed);
        let member = &self.shared.members[(first + turn) % self.shared.members.len()];
        let connected = timeout(DEADLINE, async {
            let client = self.client(member).await?;
            // etcd answers a stream with a stale token by "permission denied".
            if self.shared.has_user {
                client.refresh_token().await.map_err(|error| unsent(&error))?;
            }
            Ok(client)
        });
        connected.await.unwrap_or_else(|_| Err(Trouble::timed_out()))
    }
}

/// A failure to log in: whatever it was, the request itself was not sent.
fn unsent(error: &Error) -> Trouble {
    let trouble = Trouble::from_error(error);
    match trouble.kind {
        Kind::Lost => Trouble { kind: Kind::NotSent, ..trouble },
        // etcd calls a wrong password an invalid argument.
        Kind::Refused => Trouble { kind: Kind::Denied, ..trouble },
        _ => trouble,
    }
}

fn read_tls(tls: &Tls) -> Result<TlsOptions, StoreError> {
    let read = |path: &std::path::Path| {
        fs::read(path).map_err(|cause| StoreError::File { path: path.to_owned(), cause })
    };
    let mut options = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&tls.ca)?));
    if let Some(client) = &tls.client {
        options = options.identity(Identity::from_pem(read(&client.cert)?, read(&client.key)?));
    }
    Ok(options)
}
