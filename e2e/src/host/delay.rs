//! A slow line by forwarding: not every kernel has `tc netem`. Connections are redirected to a listener in the
//! host's network, which holds every byte back for a while. Only the handshake of TCP itself stays fast.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Starts to forward in the given network; returns the port to redirect to. Ends with this process.
pub fn forward(network: File, delay: Duration) -> Result<u16> {
    let (announce, announced) = mpsc::channel();
    // The thread stays in the host's network: sockets belong to the network of the thread that makes them.
    thread::spawn(move || {
        let listener = listen(&network);
        let port = listener.as_ref().map(|listener| listener.local_addr().map_or(0, |at| at.port()));
        // Nobody listens when `forward` is gone, and then nothing is to be done.
        let _ = announce.send(port.map_err(|error| io::Error::from(error.kind())));
        for stream in listener.iter().flat_map(TcpListener::incoming).flatten() {
            if let Some(target) = original_port(&stream).and_then(connect) {
                pump(&stream, &target, delay);
                pump(&target, &stream, delay);
            }
        }
    });
    announced.recv()?.context("could not listen in the network of the host")
}

fn listen(network: &File) -> io::Result<TcpListener> {
    // SAFETY: the descriptor is open; only this thread changes its network.
    if unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))
}

fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok()
}

/// The port that the connection had before it was redirected.
fn original_port(stream: &TcpStream) -> Option<u16> {
    const SO_ORIGINAL_DST: i32 = 80;
    // SAFETY: the kernel writes at most `size` bytes into the zeroed address.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        let mut size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let pointer = (&raw mut address).cast();
        let answer = libc::getsockopt(stream.as_raw_fd(), libc::SOL_IP, SO_ORIGINAL_DST, pointer, &mut size);
        (answer == 0).then(|| u16::from_be(address.sin_port))
    }
}

fn pump(from: &TcpStream, to: &TcpStream, delay: Duration) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let (hold, held) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    thread::spawn(move || {
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            if hold.send((Instant::now() + delay, chunk[..read].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in held {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        // The other side may have closed already.
        let _ = to.shutdown(Shutdown::Write);
    });
}
