//! A check by a command: code 0 is healthy; otherwise its end and the last line that it wrote are the reason.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use crate::log;
use crate::runtime::once::Running;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::{self, Launch};

/// Of what a command writes no more than this is kept.
const KEPT: usize = 4 << 10;
/// So much of a line is worth telling.
const TOLD: usize = 200;
/// What was written before the end is read within this; what outlived the command may hold its output open.
const DRAIN: Duration = Duration::from_millis(50);

pub async fn check(mut launch: Launch, limit: Duration) -> Result<(), String> {
    let failed = |error: &dyn std::error::Error| format!("check {}", log::chain(error));
    let (output, input) = spawn::pipe().map_err(|error| failed(&error))?;
    launch.stderr = input.try_clone().map_err(|error| failed(&error))?;
    launch.stdout = input;
    let mut tail = Tail::of(output).map_err(|error| failed(&error))?;
    let mut running = Running::start(&launch).map_err(|error| failed(&error))?;
    drop(launch);
    let ended = async {
        loop {
            tokio::select! {
                exit = running.exited() => return exit,
                () = tail.read() => {}
            }
        }
    };
    let how = match timeout(limit, ended).await {
        Ok(Exit::Code(0)) => return Ok(()),
        Ok(exit) => exit.to_string(),
        Err(_) => format!("took longer than {limit:?}"),
    };
    drop(running);
    let _ = timeout(DRAIN, async {
        while tail.is_open {
            tail.read().await;
        }
    })
    .await;
    Err(match tail.last_line() {
        Some(line) => format!("check {how}: {line}"),
        None => format!("check {how}"),
    })
}

/// The end of what comes out of a pipe.
struct Tail {
    pipe: Receiver,
    is_open: bool,
    bytes: Vec<u8>,
}

impl Tail {
    fn of(pipe: OwnedFd) -> std::io::Result<Self> {
        Ok(Self { pipe: Receiver::from_owned_fd(pipe)?, is_open: true, bytes: Vec::new() })
    }

    /// Takes what comes next; never returns once nothing can come any more.
    async fn read(&mut self) {
        if !self.is_open {
            std::future::pending().await
        }
        let mut block = [0; KEPT];
        match self.pipe.read(&mut block).await {
            Ok(count @ 1..) => {
                self.bytes.extend_from_slice(&block[..count]);
                let extra = self.bytes.len().saturating_sub(KEPT);
                self.bytes.drain(..extra);
            }
            Ok(0) | Err(_) => self.is_open = false,
        }
    }

    fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().filter(|letter| !letter.is_control()).take(TOLD).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn the_last_line_that_says_something_is_told() {
        for (output, expected) in [
            ("", None),
            (" \n\n", None),
            ("one\nno route  \n\n", Some("no route")),
            ("unfinished \x1b[1mline", Some("unfinished [1mline")),
            (&format!("{}\nfull\n", "x".repeat(50_000)), Some("full")),
            (&"y".repeat(50_000), Some("y".repeat(TOLD).as_str())),
        ] {
            let (read, write) = spawn::pipe().expect("a pipe");
            let bytes = output.to_owned();
            let writer = std::thread::spawn(move || std::fs::File::from(write).write_all(bytes.as_bytes()));
            let mut tail = Tail::of(read).expect("readable");
            while tail.is_open {
                tail.read().await;
            }
            assert_eq!(tail.last_line().as_deref(), expected);
            writer.join().expect("ended").expect("written");
        }
    }
}
