//! The real agent binary, enrolled by its real command line and spoken to over real mutual TLS.

mod counter;
mod fleet;
mod node;
mod package;
mod programs;

mod actions;
mod adoption;
mod adversary;
mod deploy;
mod enrolment;
#[cfg(feature = "fault")]
mod faults;
mod figures;
mod full_disk;
mod lifecycle;
mod observe;
mod own_model;
mod receive;
mod run;
mod runs;
#[cfg(feature = "fault")]
mod runs_killed;
mod sandbox;
mod start_first;
mod steps;

/// Not a test: what instances of these tests run, as every machine that runs tests has this very binary.
#[test]
#[ignore = "started as an instance by other tests"]
fn serve_http() {
    use std::io::{Read, Write};
    let port: u16 = std::env::var("PORT_WEB").expect("a port").parse().expect("a number");
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    println!("serving on {port}");
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let status = if std::env::var("BROKEN").is_ok() { "503 Unavailable" } else { "200 OK" };
        let _ = stream.read(&mut [0; 1024]);
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nhi\n");
    }
}
