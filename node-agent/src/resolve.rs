//! Names to addresses: /etc/hosts, then the name servers of /etc/resolv.conf. Not by the C library: glibc's ways of
//! looking names up cannot be linked into a binary that carries it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::clock;

/// For one address.
const CONNECT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: u32 = 2;
const MAX_SERVERS: usize = 3;
const MAX_ADDRESSES: usize = 16;
const A: u16 = 1;
const AAAA: u16 = 28;

/// A connection with the first address that takes one.
///
/// # Errors
/// Why there is none, for a person: that of the last address.
pub async fn connect(addresses: &[IpAddr], port: u16) -> Result<TcpStream, String> {
    let mut why = "no address".to_owned();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("{address} port {port}: {error}"),
            Err(_) => why = format!("{address} port {port} does not answer within {CONNECT:?}"),
        }
    }
    Err(why)
}

/// All addresses of a name.
///
/// # Errors
/// Why there are none, for a person.
pub async fn resolve(name: &str) -> Result<Vec<IpAddr>, String> {
    let (hosts, conf) = (read("/etc/hosts"), read("/etc/resolv.conf"));
    let listed = in_hosts(&hosts, name);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let mut servers = servers(&conf);
    if servers.is_empty() {
        servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
    }
    let (four, six) = tokio::join!(ask_all(&servers, name, A), ask_all(&servers, name, AAAA));
    let mut addresses = Vec::new();
    let mut why = format!("{name} has no address");
    for answer in [four, six] {
        match answer {
            Ok(found) => addresses.extend(found),
            Err(error) => why = format!("{name} could not be looked up: {error}"),
        }
    }
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() { Err(why) } else { Ok(addresses) }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let of = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    lines.filter_map(of).take(MAX_ADDRESSES).collect()
}

fn servers(conf: &str) -> Vec<SocketAddr> {
    let lines = conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    });
    lines.take(MAX_SERVERS).collect()
}

async fn ask_all(servers: &[SocketAddr], name: &str, kind: u16) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for _ in 0..TRIES {
        for server in servers {
            match timeout(PATIENCE, ask(*server, name, kind)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::Error::other(format!("{server} does not answer")),
            }
        }
    }
    Err(last)
}

async fn ask(server: SocketAddr, name: &str, kind: u16) -> io::Result<Vec<IpAddr>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port that nobody guesses; only this server is heard.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    let [a, b, ..] = clock::noise().to_ne_bytes();
    let question = question([a, b], name, kind)?;
    socket.send(&question).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        match read_answer(&question, &answer[..length], kind) {
            Some(answer) => return answer,
            // Not an answer to this question: the right one may still come.
            None => continue,
        }
    }
}

/// A question for one name, with recursion.
fn question(id: [u8; 2], name: &str, kind: u16) -> io::Result<Vec<u8>> {
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        bytes.push(length.ok_or_else(|| io::Error::other("no name that can be looked up"))?);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0]);
    bytes.extend([kind.to_be_bytes()[1], 0, 1]);
    Ok(bytes)
}

/// The addresses in an answer; nothing when it does not answer this question.
fn read_answer(question: &[u8], answer: &[u8], kind: u16) -> Option<io::Result<Vec<IpAddr>>> {
    const HEADER: usize = 12;
    let is_answer = answer.get(2)? & 0x80 != 0;
    let asked = answer.get(HEADER..question.len())?;
    if answer.get(..2)? != &question[..2] || !is_answer || !asked.eq_ignore_ascii_case(&question[HEADER..]) {
        return None;
    }
    match answer.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Ok(Vec::new())),
        code => return Some(Err(io::Error::other(format!("the name server refuses (code {code})")))),
    }
    let records = u16::from_be_bytes([*answer.get(6)?, *answer.get(7)?]);
    let mut at = question.len();
    let mut found = Vec::new();
    for _ in 0..records {
        // What is broken from here on tells nothing more.
        let Some((address, next)) = record(answer, at, kind) else { break };
        found.extend(address);
        at = next;
    }
    Some(Ok(found))
}

/// One record: its address, if it is of the kind, and where the next one begins.
fn record(answer: &[u8], at: usize, kind: u16) -> Option<(Option<IpAddr>, usize)> {
    let at = skip_name(answer, at)?;
    let head = answer.get(at..at + 10)?;
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let data = answer.get(at + 10..at + 10 + length)?;
    let is_asked = head[0..2] == kind.to_be_bytes() && head[2..4] == [0, 1];
    let address = match (is_asked, kind) {
        (true, A) => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        (true, AAAA) => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        _ => None,
    };
    Some((address, at + 10 + length))
}

fn skip_name(answer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *answer.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_name_servers_are_read() {
        let hosts = "127.0.0.1 localhost\n::1 LocalHost # x web\n10.0.0.5 web web.lan\nnonsense web\n";
        assert_eq!(in_hosts(hosts, "localhost").len(), 2);
        assert_eq!(in_hosts(hosts, "web"), ["10.0.0.5".parse::<IpAddr>().expect("an address")]);
        let conf = "search lan\nnameserver 9.9.9.9\nnameserver nonsense\nnameserver fd00::1\n";
        let servers: Vec<String> = servers(conf).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["9.9.9.9:53", "[fd00::1]:53"]);
    }

    #[test]
    fn an_answer_counts_only_for_the_question_that_was_asked() {
        let asked = question([7, 8], "a.example", A).expect("a name");
        let cname = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2], &[0xc0, 14][..]].concat();
        let address = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4], &[192, 0, 2, 1][..]].concat();
        let answer = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = [asked.clone(), cname.clone(), address.clone()].concat();
            (bytes[2], bytes[7]) = (0x81, 2);
            change(&mut bytes);
            read_answer(&asked, &bytes, A).map(|found| found.map_err(|error| error.to_string()))
        };
        let one = vec!["192.0.2.1".parse::<IpAddr>().expect("an address")];
        assert_eq!(answer(&|_| {}), Some(Ok(one.clone())));
        assert_eq!(answer(&|bytes| bytes[13] = b'A'), Some(Ok(one)), "upper case is the same name");
        assert_eq!(answer(&|bytes| bytes[0] = 9), None);
        assert_eq!(answer(&|bytes| bytes[13] = b'b'), None);
        assert_eq!(answer(&|bytes| bytes[2] = 1), None);
        assert_eq!(answer(&|bytes| bytes[3] = 3), Some(Ok(Vec::new())));
        assert!(answer(&|bytes| bytes[3] = 2).is_some_and(|answer| answer.is_err()));
        for cut in 0..asked.len() + 30 {
            let _ = answer(&|bytes| bytes.truncate(cut));
        }
    }
}
