//! One request and its answer in HTTP/1.1, over a connection of its own: bounded in every direction.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpStream;

const MAX_HEAD: u64 = 64 << 10;
const MAX_LINE: u64 = 256;
const MAX_BODY: u64 = 256 << 20;
const BLOCK: usize = 16 << 10;

/// Bytes both ways.
pub trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// A connection, in the clear or not.
pub type Stream = BufReader<Wire>;

/// What a connection goes over.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<dyn Both>),
}

impl Wire {
    fn both(&mut self) -> Pin<&mut dyn Both> {
        match self {
            Wire::Plain(stream) => Pin::new(stream),
            Wire::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.both().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.both().poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.both().poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.both().poll_shutdown(cx)
    }
}

/// A request.
pub struct Message<'m> {
    pub method: &'static str,
    pub target: String,
    pub host: &'m str,
    pub body: Option<&'m str>,
    pub content_type: &'m str,
    /// Under which the other side may recognise a second delivery.
    pub key: &'m str,
}

/// What comes before the body of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub location: Option<String>,
    length: Option<u64>,
    is_chunked: bool,
}

impl Message<'_> {
    /// # Errors
    /// When the connection breaks, or a header would break the line.
    pub async fn send(&self, stream: &mut Stream) -> io::Result<()> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: orchestrator\r\nAccept: */*\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n",
            self.method, self.target, self.host
        );
        if let Some(body) = self.body {
            if self.content_type.contains(|c: char| c.is_control() || !c.is_ascii()) {
                return Err(io::Error::other("the content type has odd characters"));
            }
            let (kind, length, key) = (self.content_type, body.len(), self.key);
            text.push_str(&format!(
                "Content-Type: {kind}\r\nContent-Length: {length}\r\nIdempotency-Key: {key}\r\n"
            ));
        }
        text.push_str("\r\n");
        text.push_str(self.body.unwrap_or_default());
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    }
}

/// Reads up to the empty line.
///
/// # Errors
/// When it is not HTTP, or longer than anybody needs.
pub async fn read_head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Head> {
    let mut stream = stream.take(MAX_HEAD);
    loop {
        let first = line(&mut stream).await?;
        let mut head = Head { status: status(&first).ok_or_else(|| wrong("no HTTP"))?, ..Head::default() };
        loop {
            let line = line(&mut stream).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header without a colon"))?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let length = value.parse().map_err(|_| wrong("a length that is none"))?;
                    if head.length.is_some_and(|before| before != length) {
                        return Err(wrong("two lengths"));
                    }
                    head.length = Some(length);
                }
                "transfer-encoding" => {
                    head.is_chunked = value.eq_ignore_ascii_case("chunked");
                    if !head.is_chunked {
                        return Err(wrong("an encoding that nobody asked for"));
                    }
                }
                "location" => head.location = Some(value.to_owned()),
                _ => {}
            }
        }
        // Those of 1xx come before the answer itself.
        if head.status >= 200 {
            return Ok(head);
        }
    }
}

/// Hands the body on piece by piece.
///
/// # Errors
/// When it breaks off, or never ends.
pub async fn read_body(
    stream: &mut (impl AsyncBufRead + Unpin),
    head: &Head,
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> io::Result<()> {
    if matches!(head.status, 204 | 304) {
        return Ok(());
    }
    if head.is_chunked {
        return read_chunks(stream, take).await;
    }
    let length = head.length.unwrap_or(MAX_BODY);
    let got = copy(stream, length.min(MAX_BODY), take).await?;
    match head.length {
        Some(length) if got < length.min(MAX_BODY) => Err(wrong("the answer breaks off")),
        Some(_) | None => Ok(()),
    }
}

async fn read_chunks(
    stream: &mut (impl AsyncBufRead + Unpin),
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> io::Result<()> {
    let mut all = 0;
    loop {
        let size = line(&mut (&mut *stream).take(MAX_LINE)).await?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| wrong("a chunk without a size"))?;
        if size == 0 {
            return Ok(());
        }
        all += size.min(MAX_BODY);
        if all > MAX_BODY {
            return Ok(());
        }
        if copy(stream, size, take).await? < size {
            return Err(wrong("the answer breaks off"));
        }
        if !line(&mut (&mut *stream).take(MAX_LINE)).await?.is_empty() {
            return Err(wrong("a chunk longer than its size"));
        }
    }
}

async fn copy(
    stream: &mut (impl AsyncBufRead + Unpin),
    most: u64,
    take: &mut (dyn FnMut(&[u8]) + Send),
) -> io::Result<u64> {
    let mut stream = stream.take(most);
    let mut block = vec![0; BLOCK];
    let mut all = 0;
    loop {
        match stream.read(&mut block).await {
            Ok(0) => return Ok(all),
            Ok(count) => {
                take(&block[..count]);
                all += count as u64;
            }
            // Some servers hang up on TLS without a word.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

/// A line without its end; one that does not end within what is read is an error.
async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes).await?;
    let Some(line) = bytes.strip_suffix(b"\n") else {
        return Err(wrong("the answer breaks off in its head"));
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let code = rest.get(2..5)?.parse().ok()?;
    (100..600).contains(&code).then_some(code)
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl Wire {
    pub fn buffered(self) -> Stream {
        BufReader::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_read_whole_or_refused() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, there", "200 hi"),
            ("HTTP/1.0 404 No\r\n\r\nall of it", "404 all of it"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 "),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                "200 abcde",
            ),
            ("HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302 -> /x"),
            ("HTTP/1.1 204 No\r\n\r\nnothing of this", "204 "),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "the answer breaks off"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", "two lengths"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "an encoding that nobody asked for"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk without a size"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
                "a chunk longer than its size",
            ),
            ("HTTP/1.1 2", "breaks off in its head"),
            ("220 smtp\r\n\r\n", "no HTTP"),
            ("", "breaks off in its head"),
        ];
        for (answer, expected) in cases {
            let got = read(answer.as_bytes()).await.unwrap_or_else(|error| error.to_string());
            assert!(got.ends_with(expected), "{answer:?}: {got}");
        }
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
        assert!(read(&endless).await.is_err());
    }

    async fn read(mut bytes: &[u8]) -> io::Result<String> {
        let head = read_head(&mut bytes).await?;
        let mut body = Vec::new();
        read_body(&mut bytes, &head, &mut |piece| body.extend_from_slice(piece)).await?;
        let location = head.location.map_or(String::new(), |location| format!("-> {location}"));
        Ok(format!("{} {location}{}", head.status, String::from_utf8_lossy(&body)))
    }
}
