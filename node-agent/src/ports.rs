//! The ports of instances: free ones for `auto`, kept as long as the instance is; and who holds a taken one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use proto::v1::port::Protocol;

use crate::content::sha256;
use crate::runtime::procfs;

/// Below the range from which the kernel takes ports for outgoing connections, so that none of those ever
/// sits on an instance's port while it is restarted.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// Which automatic port belongs to which instance.
#[derive(Debug, Default)]
pub struct PortBook {
    taken: Mutex<BTreeMap<u16, String>>,
}

impl PortBook {
    /// Notes ports that were given out by an earlier agent.
    pub fn keep(&self, id: &str, ports: impl Iterator<Item = u16>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(ports.map(|port| (port, id.to_owned())));
    }

    /// A port nobody uses and no other instance was given. The search begins at a place that depends on the
    /// names, so that an instance that was forgotten most often gets its old port.
    pub fn give(&self, id: &str, name: &str, protocol: Protocol) -> Option<u16> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = sha256(format!("{id} {name}").as_bytes());
        let begin = u16::from_be_bytes([hash[0], hash[1]]) % COUNT;
        let port = (0..COUNT)
            .map(|step| FIRST + (begin + step) % COUNT)
            .find(|port| !taken.contains_key(port) && is_free(*port, protocol))?;
        taken.insert(port, id.to_owned());
        Some(port)
    }

    /// The instance is gone, and so are its ports.
    pub fn forget(&self, id: &str) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, owner| owner != id);
    }
}

fn is_free(port: u16, protocol: Protocol) -> bool {
    match protocol {
        Protocol::Tcp => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok(),
        Protocol::Udp => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok(),
    }
}

/// A port that something else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    pub name: String,
    pub port: u16,
    pub owner: Option<i32>,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} ({}) is taken", self.port, self.name)?;
        match self.owner {
            Some(pid) => {
                let name = procfs::name(pid).unwrap_or_else(|| "a process".to_owned());
                write!(f, " by {name} (pid {pid})")
            }
            None => f.write_str(" by another process"),
        }
    }
}

/// The first of these ports that something already listens on.
pub fn busy<'p>(ports: impl Iterator<Item = (&'p String, &'p (u16, Protocol))>) -> Option<Busy> {
    let mut tcp = None;
    let mut udp = None;
    for (name, (port, protocol)) in ports {
        let sockets = match protocol {
            Protocol::Tcp => tcp.get_or_insert_with(procfs::listeners),
            Protocol::Udp => udp.get_or_insert_with(procfs::udp_sockets),
        };
        if let Some(socket) = sockets.iter().find(|socket| socket.port == *port) {
            let owner = procfs::socket_owner(socket.inode);
            return Some(Busy { name: name.clone(), port: *port, owner });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_automatic_port_is_free_and_given_once_and_the_same_again_after_it_was_forgotten() {
        let book = PortBook::default();
        let first = book.give("web/0", "http", Protocol::Tcp).expect("free");
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, first)).expect("it is free");
        let second = book.give("web/0", "http", Protocol::Tcp).expect("free");
        assert_ne!(first, second);
        let ports = BTreeMap::from([("http".to_owned(), (first, Protocol::Tcp))]);
        let busy = busy(ports.iter()).expect("taken").to_string();
        assert!(busy.contains(&first.to_string()) && busy.contains("pid"), "{busy}");
        drop(taken);
        book.forget("web/0");
        assert_eq!(book.give("web/0", "http", Protocol::Tcp), Some(first));
    }
}
