//! One check of an instance's health: does it answer on its port, does it serve a page, does its command succeed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock;
use crate::runtime::engine::Engine;
use crate::runtime::group;
use crate::runtime::group::state::{self, States};
use crate::runtime::spawn::Launch;

mod exec;

/// A check, with all references resolved.
pub enum Probe {
    Tcp {
        port: u16,
    },
    Http {
        port: u16,
        path: String,
    },
    Exec(Launch),
    /// A command in a container; becomes a part of `Containers`.
    Inside {
        service: Option<String>,
        command: Vec<String>,
    },
    /// A port in a container, by the address that it has on its network; becomes a part of `Containers`.
    Address(InnerPort),
    Containers(Box<InContainers>),
}

/// A port inside a container.
pub struct InnerPort {
    pub service: Option<String>,
    pub port: u16,
    /// Of the page that is asked for; none where a connection is enough.
    pub path: Option<String>,
    /// The same port on the node. Engines accept connections there whether or not anybody listens inside, and
    /// addresses inside cannot be reached with every engine: so both are asked, and only a refusal inside counts.
    pub published: Option<u16>,
}

/// Whether the containers of an instance are up, and then what its own check says.
pub struct InContainers {
    pub states: watch::Receiver<States>,
    pub then: Option<Inner>,
}

pub enum Inner {
    /// From outside, by a published port.
    Outside(Probe),
    /// A command in the container of this service, or of the last one.
    Inside { engine: Option<Arc<Engine>>, service: Option<String>, command: Vec<String> },
    /// From the node, by the container's own address.
    Address { engine: Option<Arc<Engine>>, at: InnerPort },
}

/// Whether the instance is healthy now; otherwise why not.
///
/// # Errors
/// The reason, for people.
pub async fn check(probe: Probe, limit: Duration) -> Result<(), String> {
    let slow = || format!("no answer within {limit:?}");
    match probe {
        Probe::Tcp { port } => timeout(limit, connect(&HERE, port)).await.map_err(|_| slow())?.map(drop),
        Probe::Http { port, path } => page(&HERE, port, &path, limit).await,
        Probe::Inside { .. } | Probe::Address(_) => Err("there is no container".to_owned()),
        Probe::Containers(probe) => Box::pin(check_containers(*probe, limit)).await,
        Probe::Exec(launch) => exec::check(launch, limit).await,
    }
}

async fn check_containers(probe: InContainers, limit: Duration) -> Result<(), String> {
    state::status(&probe.states.borrow(), probe.then.is_some(), clock::now())?;
    match probe.then {
        None => Ok(()),
        Some(Inner::Outside(probe)) => check(probe, limit).await,
        Some(Inner::Inside { engine, service, command }) => {
            let container = state::container(&probe.states.borrow(), service.as_deref());
            let container = container.ok_or("no container runs")?;
            let engine = engine.ok_or("its container engine does not answer")?;
            group::check::run(&engine, &container, &command, limit).await
        }
        Some(Inner::Address { engine, at }) => {
            let container = state::container(&probe.states.borrow(), at.service.as_deref());
            let container = container.ok_or("no container runs")?;
            let engine = engine.ok_or("its container engine does not answer")?;
            inner_port(&engine, &container, &at, limit).await
        }
    }
}

async fn inner_port(engine: &Engine, container: &str, at: &InnerPort, limit: Duration) -> Result<(), String> {
    let slow = || format!("no answer within {limit:?}");
    if let Some(port) = at.published {
        timeout(limit, connect(&HERE, port)).await.map_err(|_| slow())??;
    }
    let found = timeout(limit, engine.addresses(container)).await.map_err(|_| slow())?;
    let addresses = found.map_err(|error| format!("its address is not known: {error}"))?;
    match (&addresses[..], at.published, &at.path) {
        ([], Some(_), _) => Ok(()),
        ([], None, _) => Err("its container has no address on a network of this node".to_owned()),
        (addresses, None, Some(path)) => page(addresses, at.port, path, limit).await,
        (addresses, None, None) => {
            timeout(limit, connect(addresses, at.port)).await.map_err(|_| slow())?.map(drop)
        }
        (addresses, Some(_), _) => match timeout(limit, TcpStream::connect((addresses[0], at.port))).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(format!("port {} in the container: {error}", at.port))
            }
            Ok(_) | Err(_) => Ok(()),
        },
    }
}

/// Asks for a page, and reads it to its end.
async fn page(ips: &[IpAddr], port: u16, path: &str, limit: Duration) -> Result<(), String> {
    let slow = |_| format!("no answer within {limit:?}");
    let (answer, stream) = timeout(limit, get(ips, port, path)).await.map_err(slow)??;
    let _ = timeout(limit, read_out(stream)).await;
    answer
}

/// Some servers listen on IPv6 only.
const HERE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Connects to the first address that takes it.
async fn connect(ips: &[IpAddr], port: u16) -> Result<TcpStream, String> {
    let mut refused = String::new();
    for ip in ips {
        match TcpStream::connect(SocketAddr::new(*ip, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) if refused.is_empty() => refused = format!("port {port}: {error}"),
            Err(_) => {}
        }
    }
    Err(refused)
}

/// The rest of an answer: a server that is hung up on in the middle of it writes so into its log.
async fn read_out(stream: TcpStream) {
    const MOST: u64 = 4 << 20;
    let _ = tokio::io::copy(&mut stream.take(MOST), &mut tokio::io::sink()).await;
}

/// Asks for a page; gives whether its status is good, and the connection with the rest of it.
async fn get(ips: &[IpAddr], port: u16, path: &str) -> Result<(Result<(), String>, TcpStream), String> {
    let broken = |error: std::io::Error| format!("GET {path} on port {port}: {error}");
    let mut stream = connect(ips, port).await?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let request = format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: orchestrator\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::with_capacity(64);
    while head.len() < 12 {
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).await.map_err(broken)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(&bytes[..count]);
    }
    let answer = match status(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => Err(format!("GET {path} on port {port} answers {status}")),
        None => return Err(format!("port {port} does not speak HTTP")),
    };
    Ok((answer, stream))
}

/// The status code of `HTTP/1.x NNN …`.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_page_is_healthy_by_its_status() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", ""),
            ("HTTP/1.0 302 Found\r\n\r\n", ""),
            ("HTTP/1.1 503 Unavailable\r\n\r\n", "answers 503"),
            ("220 smtp\r\n at your service", "does not speak HTTP"),
            ("", "does not speak HTTP"),
        ] {
            let port = serve(answer);
            let probe = Probe::Http { port, path: "/".to_owned() };
            let got = check(probe, Duration::from_secs(5)).await.err().unwrap_or_default();
            assert!(got.ends_with(expected) && got.is_empty() == expected.is_empty(), "{answer:?}: {got}");
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_serves_is_refused_with_its_number() {
        let port = serve("");
        let _ = std::net::TcpStream::connect(("127.0.0.1", port));
        let refused = loop {
            if let Err(why) = check(Probe::Tcp { port }, Duration::from_secs(5)).await {
                break why;
            }
        };
        assert!(refused.contains(&port.to_string()), "{refused}");
    }

    /// Serves one connection.
    fn serve(answer: &'static str) -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepted");
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer.as_bytes());
        });
        port
    }
}
