//! Listening TCP sockets, asked of the kernel by netlink. `/proc/net/tcp` says the same, but walks the table of all
//! connections to find the few that listen: ten milliseconds on a machine with much memory, on every start.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::runtime::procfs::Listener;

const LISTEN: u32 = 1 << 10;
const BY_FAMILY: u16 = 20;
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Of an answer, behind its header: where the local port is, and the socket's inode.
const PORT: usize = 4;
const INODE: usize = 68;
const ANSWER: usize = 72;

/// # Errors
/// Where the kernel cannot be asked, as in some containers.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        found.extend(ask(u8::try_from(family).expect("a small number"))?);
    }
    Ok(found)
}

fn ask(family: u8) -> io::Result<Vec<Listener>> {
    // SAFETY: socket takes integers and gives a new descriptor or an error.
    let socket = unsafe {
        let descriptor =
            libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(descriptor)
    };
    let request = request(family);
    // SAFETY: the buffer is as long as said.
    let sent = unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 << 10];
    loop {
        // SAFETY: as above.
        let count = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        if take(&buffer[..count], &mut found)? {
            return Ok(found);
        }
    }
}

/// All sockets of a family that listen.
fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).expect("sixteen bits");
    bytes[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = u8::try_from(libc::IPPROTO_TCP).expect("a small number");
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&LISTEN.to_ne_bytes());
    bytes
}

/// Reads the messages of one answer; true when it was the last.
fn take(mut messages: &[u8], found: &mut Vec<Listener>) -> io::Result<bool> {
    while messages.len() >= HEADER {
        let length = number(messages, 0) as usize;
        let Some(message) = messages.get(..length).filter(|message| message.len() >= HEADER) else { break };
        let body = &message[HEADER..];
        match i32::from(u16::from_ne_bytes([message[4], message[5]])) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => return Err(io::ErrorKind::Unsupported.into()),
            _ if body.len() >= ANSWER => found.push(Listener {
                port: u16::from_be_bytes([body[PORT], body[PORT + 1]]),
                inode: number(body, INODE).into(),
            }),
            _ => {}
        }
        messages = &messages[length.next_multiple_of(4).min(messages.len())..];
    }
    Ok(false)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn every_listening_socket_is_told_and_no_other() {
        let v4 = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = v4.local_addr().expect("address").port();
        let connected = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let own = connected.local_addr().expect("address").port();
        let found = listeners().expect("the kernel tells");
        let inode = std::fs::read_link(format!("/proc/self/fd/{}", v4.as_raw_fd())).expect("a socket");
        let told: Vec<_> = found.iter().filter(|socket| socket.port == port).collect();
        assert_eq!(told.len(), 1, "{found:?}");
        assert_eq!(inode.to_string_lossy(), format!("socket:[{}]", told[0].inode));
        assert!(!found.iter().any(|socket| socket.port == own));
    }

    #[test]
    fn an_answer_that_is_cut_or_refused_is_no_panic() {
        let mut found = Vec::new();
        assert!(!take(&[1; 7], &mut found).expect("ignored"));
        assert!(!take(&[0xff; 40], &mut found).expect("ignored"));
        let mut refused = [0; HEADER + 4];
        refused[..4].copy_from_slice(&(HEADER as u32 + 4).to_ne_bytes());
        refused[4] = 2;
        assert!(take(&refused, &mut found).is_err());
        assert!(found.is_empty());
    }
}
