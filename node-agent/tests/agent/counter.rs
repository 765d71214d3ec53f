//! A server on this machine that counts what is sent to it, path by path: an effect that must not happen twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any step of a test waits.
const SLOW: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Counter {
    pub port: u16,
    counts: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Counter {
    /// Serves until the test ends; each answer takes this long.
    pub fn serve(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("address").port();
        let counter = Self { port, counts: Arc::default() };
        let own = counter.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.answer(stream, pause));
            }
        });
        counter
    }

    pub fn count(&self, path: &str) -> u32 {
        self.counts.lock().expect("counts").get(path).copied().unwrap_or(0)
    }

    fn answer(&self, mut stream: TcpStream, pause: Duration) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        // From here on it is done, whether anybody hears of it or not.
        *self.counts.lock().expect("counts").entry(path.clone()).or_default() += 1;
        std::thread::sleep(if path == "/slow" { SLOW } else { pause });
        stream.write_all(page(&path).as_bytes()).ok()
    }
}

/// What is answered: a page, or what its path says.
fn page(path: &str) -> String {
    let to =
        |location: &str| format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    match path {
        "/to-metadata" => to("http://169.254.169.254/latest/"),
        "/to-elsewhere" => to("http://example.org/"),
        "/to-login" => to("/page?next=https://example.org/"),
        "/nested" => format!("HTTP/1.1 200 OK\r\n\r\n{}{}", "[".repeat(125), "]".repeat(125)),
        "/broken" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi".to_owned(),
        "/long" => format!("HTTP/1.1 200 OK\r\n\r\n{}", "q".repeat(10 << 20)),
        path => match path.strip_prefix("/to/") {
            Some(rest) => to(&format!("/{rest}")),
            None => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        },
    }
}
