//! The one way out for a program whose step names domains: its network namespace is empty but for a port behind which
//! the agent waits as an HTTP proxy. The agent looks names up itself, judges all addresses, and dials only those.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use plan::policy::Policy;
use plan::policy::verdict::{Decision, Verdict};
use plan::policy::{address, web};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::resolve;
use crate::sandbox::network;

const MAX_HEAD: usize = 16 << 10;
const MAX_CONNECTIONS: usize = 16;
const HEAD: Duration = Duration::from_secs(10);

/// Whom a program may speak to.
#[derive(Debug, Clone)]
pub struct Egress {
    pub policy: Policy,
    /// `example.org`, `*.example.org`.
    pub domains: Vec<String>,
}

/// What the program asks of the proxy.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// As a URL, which is how it is judged.
    url: String,
    host: String,
    port: u16,
    /// What goes to the other side first; nothing where it is only connected.
    first: Option<Vec<u8>>,
}

/// Why a connection was not made; the program is told.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Malformed(&'static str),
    Forbidden(String),
    Unreachable(String),
}

/// Takes over the socket that the child has made in its namespace.
///
/// # Errors
/// When there is none.
pub fn listen(from: &OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(network::receive(from)?);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves the program for as long as this is polled; all connections end with it.
pub async fn serve(listener: TcpListener, egress: Arc<Egress>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let egress = egress.clone();
        connections.spawn(async move {
            // The program is gone, or was told; there is nobody else to tell.
            let _ = carry(stream, &egress).await;
            drop(place);
        });
    }
}

async fn carry(mut inside: TcpStream, egress: &Egress) -> io::Result<()> {
    let (head, rest) = match timeout(HEAD, read_head(&mut inside)).await {
        Ok(read) => read?,
        Err(_) => return Ok(()),
    };
    match open(&head, egress).await {
        Ok((wanted, mut outside)) => {
            match wanted.first {
                Some(first) => outside.write_all(&first).await?,
                None => inside.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?,
            }
            outside.write_all(&rest).await?;
            copy_bidirectional(&mut inside, &mut outside).await.map(drop)
        }
        Err(refused) => {
            let why = refused.to_string();
            let (status, length) = (refused.status(), why.len());
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{why}"
            );
            inside.write_all(answer.as_bytes()).await
        }
    }
}

/// The head of the request, and what came behind it.
async fn read_head(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut read = Vec::new();
    let mut block = [0; 2048];
    loop {
        if let Some(at) = read.windows(END.len()).position(|window| window == END) {
            let rest = read.split_off(at + END.len());
            return Ok((read, rest));
        }
        let count = stream.read(&mut block).await?;
        if count == 0 || read.len() + count > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        read.extend_from_slice(&block[..count]);
    }
}

async fn open(head: &[u8], egress: &Egress) -> Result<(Wanted, TcpStream), Refused> {
    let wanted = parse(head)?;
    let domains: Vec<&str> = egress.domains.iter().map(String::as_str).collect();
    // Without any, a URL would be judged by its own host alone.
    if domains.is_empty() {
        return Err(Refused::Forbidden("the step names no domains".to_owned()));
    }
    allowed(&web::judge_url(&egress.policy, &wanted.url, &domains))?;
    let addresses = match address::parse(&wanted.host) {
        Some(address) => vec![address],
        None => resolve::resolve(&wanted.host).await.map_err(Refused::Unreachable)?,
    };
    allowed(&web::judge_resolved(&egress.policy, &wanted.host, &addresses))?;
    let outside = resolve::connect(&addresses, wanted.port).await.map_err(Refused::Unreachable)?;
    Ok((wanted, outside))
}

/// `CONNECT host:port`, or a request with a whole `http://` URL.
fn parse(head: &[u8]) -> Result<Wanted, Refused> {
    let head = std::str::from_utf8(head).map_err(|_| Refused::Malformed("the request is not text"))?;
    let (line, headers) = head.split_once("\r\n").ok_or(Refused::Malformed("no request line"))?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refused::Malformed("no request line"));
    };
    let is_connect = method == "CONNECT";
    let url = if is_connect { format!("https://{target}/") } else { target.to_owned() };
    let parsed = web::Url::parse(&url).map_err(|_| Refused::Malformed("no URL that can be judged"))?;
    if is_connect {
        return Ok(Wanted { url, host: parsed.host, port: parsed.port, first: None });
    }
    if parsed.scheme != "http" {
        return Err(Refused::Malformed("https goes by CONNECT"));
    }
    let first = forwarded(method, &url, version, headers).into_bytes();
    Ok(Wanted { url, host: parsed.host, port: parsed.port, first: Some(first) })
}

/// As the other side wants it: path and query only, its own name, and no second request on this connection.
fn forwarded(method: &str, url: &str, version: &str, headers: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut text = format!("{method} {slash}{path} {version}\r\nHost: {authority}\r\nConnection: close\r\n");
    for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_ours = matches!(
            name.as_str(),
            "host" | "connection" | "keep-alive" | "proxy-connection" | "proxy-authorization"
        );
        if !is_ours {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    text.push_str("\r\n");
    text
}

fn allowed(verdict: &Verdict) -> Result<(), Refused> {
    match verdict.decision {
        // Whoever was to be asked has agreed to the step.
        Decision::Allow | Decision::Ask => Ok(()),
        Decision::Forbid => Err(Refused::Forbidden(verdict.reason())),
    }
}

impl Refused {
    fn status(&self) -> &'static str {
        match self {
            Refused::Malformed(_) => "400 Bad Request",
            Refused::Forbidden(_) => "403 Forbidden",
            Refused::Unreachable(_) => "502 Bad Gateway",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Malformed(why) => f.write_str(why),
            Refused::Forbidden(why) | Refused::Unreachable(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_rewritten_for_the_other_side_or_refused() {
        let get = b"GET http://a.example:81/x?y HTTP/1.1\r\nHost: evil\r\nProxy-Connection: keep-alive\r\nA: b\r\n\r\n";
        let wanted = parse(get).expect("a request");
        let first = "GET /x?y HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\nA: b\r\n\r\n";
        assert_eq!((wanted.host.as_str(), wanted.port), ("a.example", 81));
        assert_eq!(wanted.first, Some(first.as_bytes().to_vec()));
        let connect = parse(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").expect("a request");
        assert_eq!((connect.host.as_str(), connect.port, connect.first), ("a.example", 443, None));
        for malformed in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"CONNECT a b HTTP/1.1\r\n\r\n",
            b"CONNECT user@a.example:443 HTTP/1.1\r\n\r\n",
            b"GET https://a.example/ HTTP/1.1\r\n\r\n",
            b"GET ftp://a.example/ HTTP/1.1\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert!(matches!(parse(malformed), Err(Refused::Malformed(_))), "{malformed:?}");
        }
    }

    #[tokio::test]
    async fn only_named_domains_are_reached_and_only_by_addresses_that_do() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = server.local_addr().expect("an address").port();
        let local = ["127.0.0.1", "::1", "localhost"];
        for (host, domain, private, expected) in [
            ("localhost", "localhost", &local[..], "200"),
            ("127.0.0.1", "127.0.0.1", &local[..], "200"),
            ("other.example", "localhost", &local[..], "403"),
            ("localhost", "*.localhost", &local[..], "403"),
            ("localhost", "localhost", &[][..], "403"),
            // The name may be spoken to, what it leads to may not.
            ("localhost", "localhost", &["localhost"][..], "403"),
            ("169.254.169.254", "169.254.169.254", &["169.254.0.0/16"][..], "403"),
            ("0xa9fea9fe", "0xa9fea9fe", &["169.254.0.0/16"][..], "403"),
            ("[::ffff:a9fe:a9fe]", "[::ffff:a9fe:a9fe]", &["::/0"][..], "403"),
        ] {
            let mut policy = Policy::closed();
            policy.private = private.iter().map(|name| (*name).to_owned()).collect();
            let egress = Egress { policy, domains: vec![domain.to_owned()] };
            let got = ask(egress, &format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n")).await;
            assert_eq!(got.split(' ').nth(1), Some(expected), "{host} of {domain}: {got}");
        }
    }

    /// What the proxy answers.
    async fn ask(egress: Egress, request: &str) -> String {
        let proxy = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let mut inside =
            TcpStream::connect(proxy.local_addr().expect("an address")).await.expect("connected");
        inside.write_all(request.as_bytes()).await.expect("written");
        let mut answer = vec![0; 512];
        tokio::select! {
            () = serve(proxy, Arc::new(egress)) => String::new(),
            read = inside.read(&mut answer) => {
                String::from_utf8_lossy(&answer[..read.expect("an answer")]).into_owned()
            }
        }
    }
}
