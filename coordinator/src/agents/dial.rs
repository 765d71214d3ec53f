//! Finds a way to a node's agent: its port; its port once SSH has started it; its port by way of SSH.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{Either, select};
use proto::ids::NodeName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::agents::grpc::{Agent, Live};
use crate::agents::{AgentApi, AgentError, Authority, tls, tunnel};
use crate::clock::Clock;
use crate::domain::node::NodeRecord;
use crate::ssh::Host;
use crate::ssh::hosts::Hosts;

/// A port that does not answer by then may be filtered, and SSH is tried beside.
const HEAD_START: Duration = Duration::from_millis(400);
/// A port that does not answer by then is taken for filtered.
const DIRECT_LIMIT: Duration = Duration::from_millis(1500);
/// What accepts a connection and then says nothing for so long may not be an agent: SSH is tried beside.
const SILENCE: Duration = Duration::from_secs(2);
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const HANDSHAKES: usize = 32;
/// Certificates are renewed when less than this is left.
const RENEWAL_SECONDS: i64 = 30 * 24 * 3600;

/// Connections with the agents, made on first use and shared.
pub struct Agents {
    shared: Arc<Shared>,
    known: Mutex<BTreeMap<NodeName, Arc<Agent>>>,
}

struct Shared {
    hosts: Arc<Hosts>,
    authority: Arc<dyn Authority>,
    clock: Arc<dyn Clock>,
    handshakes: Semaphore,
}

impl Agents {
    pub fn new(hosts: Arc<Hosts>, authority: Arc<dyn Authority>, clock: Arc<dyn Clock>) -> Self {
        let handshakes = Semaphore::new(HANDSHAKES);
        let shared = Arc::new(Shared { hosts, authority, clock, handshakes });
        Self { shared, known: Mutex::default() }
    }

    /// Connects with the node's agent, starting it and renewing its certificate where needed.
    pub async fn dial(&self, node: &NodeRecord) -> Result<Arc<dyn AgentApi>, AgentError> {
        let agent = self.agent(node);
        let live = agent.connect().await?;
        let left = live.expires_unix.saturating_sub(self.shared.clock.now() / 1000);
        if left < RENEWAL_SECONDS && agent.dialer().may_renew() {
            let renewed = self.shared.authority.renew(&agent.dialer().record(), &*agent).await;
            if let Err(error) = renewed {
                tracing::warn!(node = %node.name, %error, "could not renew a certificate that expires soon");
            }
        }
        Ok(agent)
    }

    /// The machine of the node, for what is not the agent's part.
    pub fn host(&self, node: &NodeRecord) -> Arc<dyn Host> {
        self.shared.hosts.get(&node.contact)
    }

    /// Forgets the connection, as when the node was removed.
    pub fn forget(&self, node: &NodeName) {
        self.known().remove(node);
    }

    fn agent(&self, node: &NodeRecord) -> Arc<Agent> {
        let mut known = self.known();
        if let Some(agent) = known.get(&node.name)
            && agent.dialer().is_for(node)
        {
            return Arc::clone(agent);
        }
        let agent = Arc::new(Agent::new(Dialer::new(node.clone(), Arc::clone(&self.shared))));
        known.insert(node.name.clone(), Arc::clone(&agent));
        agent
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeName, Arc<Agent>>> {
        self.known.lock().expect("no panic while held")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Tunnel,
}

struct State {
    /// As last seen in the store, which may be newer than what the caller brought.
    record: NodeRecord,
    /// Tried first.
    way: Way,
    may_renew: bool,
}

/// See `Dialer::turn`.
struct Turn<'a> {
    credentials: Arc<tls::Credentials>,
    _permit: SemaphorePermit<'a>,
}

/// Knows how to connect with one node's agent.
pub struct Dialer {
    shared: Arc<Shared>,
    given: NodeRecord,
    state: Mutex<State>,
}

impl Dialer {
    fn new(record: NodeRecord, shared: Arc<Shared>) -> Self {
        let state = State { record: record.clone(), way: Way::Direct, may_renew: true };
        Self { shared, given: record, state: Mutex::new(state) }
    }

    pub fn name(&self) -> NodeName {
        self.given.name.clone()
    }

    pub fn address(&self) -> String {
        self.state().record.address.clone()
    }

    fn record(&self) -> NodeRecord {
        self.state().record.clone()
    }

    /// The caller's record leads to the same agent as ours.
    fn is_for(&self, node: &NodeRecord) -> bool {
        let leads_to = |record: &NodeRecord| {
            (
                record.address.clone(),
                record.contact.clone(),
                record.public_key.clone(),
                record.install.clone(),
            )
        };
        leads_to(node) == leads_to(&self.given) || leads_to(node) == leads_to(&self.state().record)
    }

    /// True once.
    fn may_renew(&self) -> bool {
        std::mem::replace(&mut self.state().may_renew, false)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    pub async fn dial(&self) -> Result<Live, AgentError> {
        let record = self.record();
        let error = match self.reach(&record).await {
            Ok(live) => return Ok(live),
            Err(error) => error,
        };
        let newer = match &error {
            AgentError::CertificateExpired { .. } => {
                Some(self.shared.authority.renew_expired(&record).await?)
            }
            AgentError::NotOurs { .. } => self.shared.authority.current(&record.name).await,
            _ => None,
        };
        match newer.filter(|newer| *newer != record) {
            Some(newer) => {
                self.state().record = newer.clone();
                self.reach(&newer).await
            }
            None => Err(error),
        }
    }

    async fn reach(&self, record: &NodeRecord) -> Result<Live, AgentError> {
        let way = self.state().way;
        if way == Way::Tunnel {
            return self.through_tunnel(record).await;
        }
        let mut direct = Box::pin(connect_port(&record.address));
        let refused = match tokio::time::timeout(HEAD_START, &mut direct).await {
            Ok(Ok(stream)) => return self.meet(record, stream).await,
            Ok(Err(error)) => error,
            Err(_) => return self.race(record, direct).await,
        };
        tracing::debug!(node = %record.name, address = record.address, %refused, "the agent's port does not answer");
        if refused.kind() == io::ErrorKind::ConnectionRefused {
            tunnel::start(record, &*self.host(record)).await?;
            if let Ok(stream) = connect_port(&record.address).await {
                return self.meet(record, stream).await;
            }
        }
        self.through_tunnel(record).await
    }

    /// Somebody listens at the node's address. That may be another machine, as where the same private address is used
    /// on two networks, or a router that accepts every connection: then only SSH leads to the node.
    async fn meet(&self, record: &NodeRecord, stream: TcpStream) -> Result<Live, AgentError> {
        let turn = self.turn(record).await?;
        let mut direct = Box::pin(self.shake_hands(turn, record, stream, Way::Direct));
        let error = match tokio::time::timeout(SILENCE, &mut direct).await {
            Ok(Err(error)) if may_be_another(&error) => error,
            Ok(met) => return met,
            Err(_) => return first_of(direct, Box::pin(self.through_tunnel(record))).await,
        };
        if matches!(error, AgentError::NotOurs { .. }) && self.is_outdated(record).await {
            return Err(error);
        }
        tracing::debug!(node = %record.name, address = record.address, %error, "something else answers at its address");
        let tunnelled = self.through_tunnel(record).await;
        // The port costs little and may be the node's again by the next time.
        self.state().way = Way::Direct;
        tunnelled.map_err(|other| more_telling(error, other))
    }

    /// Whether another coordinator has given the node a new key since we read its record.
    async fn is_outdated(&self, record: &NodeRecord) -> bool {
        self.shared.authority.current(&record.name).await.is_some_and(|newer| newer != *record)
    }

    /// The port is slow to answer, perhaps filtered: SSH is tried beside, and the first way that works is taken.
    async fn race(
        &self,
        record: &NodeRecord,
        direct: impl Future<Output = io::Result<TcpStream>> + Send,
    ) -> Result<Live, AgentError> {
        let direct = async {
            let stream = direct.await.map_err(|cause| {
                let (node, address) = (record.name.clone(), record.address.clone());
                AgentError::Unreachable { node, address, cause: Arc::new(cause) }
            })?;
            self.shake_hands(self.turn(record).await?, record, stream, Way::Direct).await
        };
        first_of(Box::pin(direct), Box::pin(self.through_tunnel(record))).await
    }

    async fn through_tunnel(&self, record: &NodeRecord) -> Result<Live, AgentError> {
        let reached = async {
            let stream = tunnel::open(record, &*self.host(record)).await?;
            self.shake_hands(self.turn(record).await?, record, stream, Way::Tunnel).await
        };
        let reached = reached.await;
        self.state().way = if reached.is_ok() { Way::Tunnel } else { Way::Direct };
        reached
    }

    /// What it takes to shake hands: that not too many do so already, and something to show.
    async fn turn(&self, record: &NodeRecord) -> Result<Turn<'_>, AgentError> {
        let credentials = self.shared.authority.credentials(&record.name).await?;
        let permit = self.shared.handshakes.acquire().await.expect("the semaphore is never closed");
        Ok(Turn { credentials, _permit: permit })
    }

    async fn shake_hands(
        &self,
        turn: Turn<'_>,
        record: &NodeRecord,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        way: Way,
    ) -> Result<Live, AgentError> {
        let start = async {
            let accepted = tls::shake_hands(record, &turn.credentials, stream).await?;
            Live::start(accepted.stream, way == Way::Tunnel, accepted.expires_unix).await.map_err(|cause| {
                let (node, address) = (record.name.clone(), record.address.clone());
                AgentError::Unreachable { node, address, cause: Arc::new(cause) }
            })
        };
        tokio::time::timeout(HANDSHAKE_LIMIT, start).await.unwrap_or_else(|_| {
            let node = record.name.clone();
            Err(AgentError::TimedOut { node, operation: "the TLS handshake", after: HANDSHAKE_LIMIT })
        })
    }

    fn host(&self, record: &NodeRecord) -> Arc<dyn Host> {
        self.shared.hosts.get(&record.contact)
    }
}

/// The first way that works; where none does, the error that tells more.
async fn first_of(
    direct: impl Future<Output = Result<Live, AgentError>> + Unpin,
    tunnel: impl Future<Output = Result<Live, AgentError>> + Unpin,
) -> Result<Live, AgentError> {
    match select(direct, tunnel).await {
        Either::Left((Ok(live), _)) | Either::Right((Ok(live), _)) => Ok(live),
        Either::Left((Err(error), tunnel)) => tunnel.await.map_err(|other| more_telling(error, other)),
        Either::Right((Err(other), direct)) => direct.await.map_err(|error| more_telling(error, other)),
    }
}

/// Whether what was met at the node's address need not have been its agent.
fn may_be_another(error: &AgentError) -> bool {
    matches!(error, AgentError::NotOurs { .. } | AgentError::Unreachable { .. })
}

/// Who answered wrongly says more than a way that leads nowhere; else SSH says more than a port.
fn more_telling(direct: AgentError, tunnelled: AgentError) -> AgentError {
    match direct {
        AgentError::NotOurs { .. } if tunnelled.is_absence() => direct,
        _ => tunnelled,
    }
}

async fn connect_port(address: &str) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(DIRECT_LIMIT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::HostError;

    #[test]
    fn where_no_way_leads_to_the_node_the_error_says_who_answered_in_its_place() {
        let node = || NodeName::parse("attic").expect("a name");
        let address = || "192.168.1.10:7644".to_owned();
        let no_way = || {
            let cause = Box::new(HostError::Lost { host: "attic".to_owned() });
            AgentError::NoWay { node: node(), address: address(), cause }
        };
        let not_ours = || AgentError::NotOurs { node: node(), address: address(), reason: "x".to_owned() };
        let closed = AgentError::TimedOut { node: node(), operation: "", after: SILENCE };
        assert!(matches!(more_telling(not_ours(), no_way()), AgentError::NotOurs { .. }));
        assert!(matches!(more_telling(closed, no_way()), AgentError::NoWay { .. }));
        let expired = AgentError::CertificateExpired { node: node() };
        assert!(matches!(more_telling(not_ours(), expired), AgentError::CertificateExpired { .. }));
    }
}
