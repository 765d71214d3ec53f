//! An engine for tests: answers with what it was given, one request after the other, and remembers what it was asked.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use super::{Engine, Kind};

pub struct Stub {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// Status and body of each answer; to 0 there is none.
    pub fn answering(answers: &[(u16, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        let listener = UnixListener::bind(dir.path().join("sock")).expect("bound");
        let answers: Vec<(u16, String)> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = asked.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for (status, body) in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut bytes = [0; 16 << 10];
                let count = stream.read(&mut bytes).unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                let first = text.lines().next().unwrap_or_default();
                let first = first.strip_suffix(" HTTP/1.1").unwrap_or(first).to_owned();
                heard.lock().expect("heard").push(first);
                if status == 0 {
                    silent.push(stream);
                    continue;
                }
                let length = body.len();
                let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
            }
        });
        Self { dir, asked }
    }

    pub fn engine(&self, kind: Kind) -> Engine {
        Engine { kind, socket: self.dir.path().join("sock"), version: "/v1.44".to_owned() }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("asked").clone()
    }
}
