//! HTTP/1.1 over a Unix socket, as much of it as the API of a container engine takes: one request for each
//! connection, bodies with a length, in chunks, or until the other side hangs up.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

const LONGEST_HEAD: usize = 32 << 10;
const PIECE: usize = 16 << 10;

/// What is asked for.
pub struct Request<'r> {
    pub method: &'static str,
    pub path: &'r str,
    /// Further header lines, each with its end.
    pub headers: String,
    pub body: Body<'r>,
}

pub enum Body<'r> {
    Nothing,
    Json(&'r [u8]),
    /// A tar archive on the disk.
    Archive(tokio::fs::File, u64),
}

/// An answer whose body is yet to be read.
pub struct Response {
    pub status: u16,
    pub server: String,
    pub api_version: String,
    stream: BufReader<UnixStream>,
    framing: Framing,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(u64),
    Chunked { left: u64, is_first: bool },
    UntilClose,
    Done,
}

pub async fn send(socket: &Path, request: Request<'_>) -> io::Result<Response> {
    let mut stream = UnixStream::connect(socket).await?;
    let (length, kind) = match &request.body {
        Body::Nothing => (0, ""),
        Body::Json(bytes) => (bytes.len() as u64, "Content-Type: application/json\r\n"),
        Body::Archive(_, length) => (*length, "Content-Type: application/x-tar\r\n"),
    };
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{kind}{}\r\n",
        request.method, request.path, request.headers
    )
    .into_bytes();
    // In one piece: who answers the head alone and hangs up would keep a body after it from being sent.
    if let Body::Json(bytes) = request.body {
        head.extend_from_slice(bytes);
    }
    stream.write_all(&head).await?;
    if let Body::Archive(mut file, length) = request.body {
        copy(&mut file, &mut stream, length).await?;
    }
    let mut stream = BufReader::with_capacity(PIECE, stream);
    // A server may say 100 Continue first.
    loop {
        let response = read_head(&mut stream).await?;
        if response.status != 100 {
            return Ok(Response {
                status: response.status,
                server: response.server,
                api_version: response.api_version,
                framing: response.framing,
                stream,
            });
        }
    }
}

/// A server that refuses an archive hangs up in the middle; its answer is what counts.
async fn copy(file: &mut tokio::fs::File, stream: &mut UnixStream, length: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let count = file.read(&mut piece[..most]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if stream.write_all(&piece[..count]).await.is_err() {
            return Ok(());
        }
        left -= count as u64;
    }
    Ok(())
}

struct Head {
    status: u16,
    server: String,
    api_version: String,
    framing: Framing,
}

async fn read_head(stream: &mut BufReader<UnixStream>) -> io::Result<Head> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP");
    let first = line(stream).await?;
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let status = status.ok_or_else(malformed)?;
    let mut head =
        Head { status, server: String::new(), api_version: String::new(), framing: Framing::UntilClose };
    let mut size = 0;
    loop {
        let line = line(stream).await?;
        size += line.len();
        if size > LONGEST_HEAD {
            return Err(malformed());
        }
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.framing = Framing::Length(value.parse().map_err(|_| malformed())?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                head.framing = Framing::Chunked { left: 0, is_first: true };
            }
            "server" => value.clone_into(&mut head.server),
            "api-version" => value.clone_into(&mut head.api_version),
            _ => {}
        }
    }
    if matches!(status, 204 | 304) || status < 200 {
        head.framing = Framing::Done;
    }
    Ok(head)
}

async fn line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    (&mut *stream).take(LONGEST_HEAD as u64).read_until(b'\n', &mut bytes).await?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a header is not text"))
}

impl Response {
    /// The next piece of the body; empty at its end.
    pub async fn piece(&mut self) -> io::Result<Vec<u8>> {
        match self.framing {
            Framing::Done => Ok(Vec::new()),
            Framing::UntilClose => self.read(PIECE as u64).await,
            Framing::Length(0) => Ok(Vec::new()),
            Framing::Length(left) => {
                let piece = self.read(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.framing = Framing::Length(left - piece.len() as u64);
                Ok(piece)
            }
            Framing::Chunked { left: 0, is_first } => {
                if !is_first {
                    line(&mut self.stream).await?;
                }
                let size = line(&mut self.stream).await?;
                let size = size.split(';').next().unwrap_or_default().trim();
                let left = u64::from_str_radix(size, 16)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a chunk has no size"))?;
                self.framing = match left {
                    0 => Framing::Done,
                    left => Framing::Chunked { left, is_first: false },
                };
                Box::pin(self.piece()).await
            }
            Framing::Chunked { left, .. } => {
                let piece = self.read(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.framing = Framing::Chunked { left: left - piece.len() as u64, is_first: false };
                Ok(piece)
            }
        }
    }

    async fn read(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let buffered = self.stream.fill_buf().await?;
        let count = buffered.len().min(usize::try_from(most).unwrap_or(PIECE));
        let piece = buffered[..count].to_vec();
        self.stream.consume(count);
        Ok(piece)
    }

    /// The whole body.
    pub async fn body(mut self) -> io::Result<Vec<u8>> {
        const MOST: usize = 8 << 20;
        let mut body = Vec::new();
        loop {
            let piece = self.piece().await?;
            if piece.is_empty() {
                return Ok(body);
            }
            body.extend(piece);
            if body.len() > MOST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn bodies_are_read_however_they_are_framed() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", "200 hello"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
                "200 hello",
            ),
            ("HTTP/1.0 404 No\r\nServer: x\n\r\nhello", "404 hello"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Empty\r\n\r\n", "204 "),
            ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "error"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhe", "error"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhe", "error"),
            ("220 smtp\r\n", "error"),
            ("", "error"),
        ];
        for (answer, expected) in cases {
            assert_eq!(ask(answer).await, expected, "{answer:?}");
        }
    }

    async fn ask(answer: &'static str) -> String {
        let dir = tempfile::tempdir().expect("tempdir");
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accepted");
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer.as_bytes());
        });
        let request = Request { method: "GET", path: "/", headers: String::new(), body: Body::Nothing };
        let read = async {
            let response = send(&socket, request).await?;
            let status = response.status;
            Ok::<_, io::Error>(format!("{status} {}", String::from_utf8_lossy(&response.body().await?)))
        };
        let text = read.await.unwrap_or_else(|_| "error".to_owned());
        server.join().expect("served");
        text
    }
}
