//! Connects stdin and stdout with the agent's port: the far end of the coordinator's SSH tunnel.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::{CliError, start};
use crate::config::DataDir;

const CONNECT: Duration = Duration::from_secs(5);

pub fn proxy(data: &DataDir) -> Result<(), CliError> {
    let address = start::address(data).ok_or(CliError::NotRunning)?;
    let stream = connect(address)?;
    let system = |action| move |cause| CliError::System { action, cause };
    let mut to_agent = stream.try_clone().map_err(system("use the connection"))?;
    std::thread::spawn(move || {
        let _ = copy(&mut io::stdin().lock(), &mut to_agent);
        let _ = to_agent.shutdown(Shutdown::Write);
    });
    // Ends with the agent's side of the connection; the thread above ends with the process.
    copy(&mut &stream, &mut io::stdout().lock()).map_err(system("pass on the connection"))
}

/// An agent that listens on all addresses is reached by the loopback one.
pub fn connect(address: SocketAddr) -> Result<TcpStream, CliError> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    let stream = TcpStream::connect_timeout(&address, CONNECT)
        .map_err(|cause| CliError::Connect { address, cause })?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Passes bytes on as they come; `io::copy` would hold them back in stdout's line buffer.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut block = vec![0; 64 << 10];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&block[..count]).and_then(|()| to.flush())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
