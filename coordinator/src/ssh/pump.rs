//! Moves bytes between us and a running command: input in, output and errors out, all at once.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::ssh::HostError;

const CHUNK: usize = 64 * 1024;

/// Why an exchange did not come to its end.
#[derive(Debug)]
pub enum Stall {
    /// No byte moved for this long.
    Silent(Duration),
    Input(io::Error),
    Output(io::Error),
}

impl Stall {
    pub fn into_host_error(self, host: String) -> HostError {
        match self {
            Stall::Silent(after) => HostError::TimedOut { host, after },
            Stall::Input(cause) | Stall::Output(cause) => HostError::Run { host, cause: Arc::new(cause) },
        }
    }
}

/// Feeds `input` to `stdin` and gives what came out, once both outputs have ended.
/// A command that ends without reading its input is no error.
pub async fn exchange(
    input: impl AsyncRead + Send,
    stdin: Option<impl AsyncWrite + Unpin + Send>,
    stdout: Option<impl AsyncRead + Unpin + Send>,
    stderr: Option<impl AsyncRead + Unpin + Send>,
    sent: &(dyn Fn(u64) + Send + Sync),
    limit: Duration,
) -> Result<(Vec<u8>, Vec<u8>), Stall> {
    let moved = AtomicU64::new(0);
    let feeding = feed(input, stdin, sent, &moved);
    let all = async {
        let (fed, stdout, stderr) = tokio::join!(feeding, collect(stdout, &moved), collect(stderr, &moved));
        fed?;
        Ok((stdout?, stderr?))
    };
    tokio::select! {
        done = all => done,
        () = until_silent(&moved, limit) => Err(Stall::Silent(limit)),
    }
}

async fn until_silent(moved: &AtomicU64, limit: Duration) {
    loop {
        let before = moved.load(Ordering::Relaxed);
        tokio::time::sleep(limit).await;
        if moved.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

async fn feed(
    input: impl AsyncRead + Send,
    stdin: Option<impl AsyncWrite + Unpin + Send>,
    sent: &(dyn Fn(u64) + Send + Sync),
    moved: &AtomicU64,
) -> Result<(), Stall> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    let mut input = pin!(input);
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let count = input.read(&mut chunk).await.map_err(Stall::Input)?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &chunk[..count];
        while !rest.is_empty() {
            let Ok(written) = stdin.write(rest).await else { return Ok(()) };
            rest = &rest[written..];
            total += written as u64;
            moved.fetch_add(1, Ordering::Relaxed);
            sent(total);
        }
    }
}

async fn collect(output: Option<impl AsyncRead + Unpin + Send>, moved: &AtomicU64) -> Result<Vec<u8>, Stall> {
    let mut bytes = Vec::new();
    let Some(mut output) = output else { return Ok(bytes) };
    loop {
        let count = output.read_buf(&mut bytes).await.map_err(Stall::Output)?;
        moved.fetch_add(1, Ordering::Relaxed);
        if count == 0 {
            return Ok(bytes);
        }
    }
}
