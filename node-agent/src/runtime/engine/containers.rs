//! Containers, networks and volumes, as the API names them.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::http::{Body, Request, Response};
use crate::runtime::group::plan::OPTIONS;

use super::{Engine, EngineError, PATIENCE, escape};

/// The end of a container that we do not wait for by ourselves.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);
/// Between looks at what is about to vanish.
const LOOK: Duration = Duration::from_millis(100);

/// What a program wrote, by the stream it wrote to.
pub struct Stream {
    response: Response,
    /// Without a terminal, pieces of both outputs come with a header each.
    is_framed: bool,
    buffer: Vec<u8>,
}

impl Stream {
    /// The next piece, and whether it went to stderr; none at the end.
    pub async fn next(&mut self) -> io::Result<Option<(bool, Vec<u8>)>> {
        const HEADER: usize = 8;
        if !self.is_framed {
            let piece = self.response.piece().await?;
            return Ok((!piece.is_empty()).then_some((false, piece)));
        }
        loop {
            if let Some(header) = self.buffer.get(..HEADER) {
                let size = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                let end = HEADER + usize::try_from(size).unwrap_or(usize::MAX - HEADER);
                if self.buffer.len() >= end {
                    let is_stderr = header[0] == 2;
                    let rest = self.buffer.split_off(end);
                    let piece = std::mem::replace(&mut self.buffer, rest).split_off(HEADER);
                    return Ok(Some((is_stderr, piece)));
                }
            }
            let piece = self.response.piece().await?;
            if piece.is_empty() {
                return Ok(None);
            }
            self.buffer.extend(piece);
        }
    }
}

impl Engine {
    /// All containers, running or not, that carry these labels.
    pub async fn list(&self, labels: &[String]) -> Result<Vec<Value>, EngineError> {
        let path = format!("/containers/json?all=1&filters={}", filter(labels));
        Ok(as_list(self.get(&path).await?))
    }

    /// Makes a container; gives its id and what the engine has to remark.
    pub async fn create(&self, name: &str, body: &Value) -> Result<(String, Vec<String>), EngineError> {
        let path = format!("/containers/create?name={}", escape(name));
        let made = self.post(&path, Some(body)).await?;
        let warnings = made["Warnings"].as_array().into_iter().flatten();
        let warnings = warnings.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok((text(&made["Id"]), warnings))
    }

    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        self.post(&format!("/containers/{id}/start"), None).await.map(drop)
    }

    pub async fn inspect(&self, id: &str) -> Result<Value, EngineError> {
        self.get(&format!("/containers/{id}/json")).await
    }

    /// Returns when the container has ended, with its exit code.
    pub async fn wait(&self, id: &str) -> Result<i64, EngineError> {
        let ended = self.call("POST", &format!("/containers/{id}/wait"), None, FOREVER).await?;
        Ok(ended["StatusCode"].as_i64().unwrap_or(-1))
    }

    /// Ends a container: politely, and by force after `grace`. One that has ended already is fine.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = grace.as_millis().div_ceil(1000);
        let path = format!("/containers/{id}/stop?t={seconds}");
        match self.call("POST", &path, None, grace + PATIENCE).await {
            Err(error) if !error.is_missing() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Removes a container, ending it if it still runs, with its anonymous volumes. Its name is free afterwards.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        match self.delete(&format!("/containers/{id}?force=1&v=1")).await {
            // Somebody is at it already.
            Err(EngineError::Refused { status: 409, message, .. })
                if message.contains("already in progress") =>
            {
                self.gone(id).await
            }
            other => other,
        }
    }

    /// Returns once a container that somebody is removing is no more.
    async fn gone(&self, id: &str) -> Result<(), EngineError> {
        let looking = async {
            loop {
                match self.inspect(id).await {
                    Ok(_) => sleep(LOOK).await,
                    Err(error) if error.is_missing() => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        let slow = |_| EngineError::Slow { kind: self.kind, limit: PATIENCE };
        timeout(PATIENCE, looking).await.map_err(slow)?
    }

    /// What it writes, from `since` (seconds, with fraction) on, each line with its time; until it ends.
    pub async fn logs(&self, id: &str, since: &str, is_framed: bool) -> Result<Stream, EngineError> {
        let path = format!("/containers/{id}/logs?follow=1&stdout=1&stderr=1&timestamps=1&since={since}");
        let request = Request { method: "GET", path: &path, headers: String::new(), body: Body::Nothing };
        Ok(Stream { response: self.open(request).await?, is_framed, buffer: Vec::new() })
    }

    /// Begins a command in a running container: its id, and what it writes.
    pub async fn exec(&self, container: &str, command: &[String]) -> Result<(String, Stream), EngineError> {
        let id = self.make_exec(container, command).await?;
        let stream = self.start_exec(&id).await?;
        Ok((id, stream))
    }

    async fn make_exec(&self, container: &str, command: &[String]) -> Result<String, EngineError> {
        let body = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": command });
        let made = self.post(&format!("/containers/{container}/exec"), Some(&body)).await?;
        Ok(text(&made["Id"]))
    }

    async fn start_exec(&self, id: &str) -> Result<Stream, EngineError> {
        let body = json!({ "Detach": false, "Tty": false }).to_string();
        let path = format!("/exec/{id}/start");
        let request = Request {
            method: "POST",
            path: &path,
            headers: String::new(),
            body: Body::Json(body.as_bytes()),
        };
        Ok(Stream { response: self.open(request).await?, is_framed: true, buffer: Vec::new() })
    }

    /// Runs a command in a running container to its end: its exit code, and the end of what it wrote. Whoever gives up
    /// waiting finds its id in `exec`.
    pub async fn run(
        &self,
        container: &str,
        command: &[String],
        exec: &mut String,
    ) -> Result<(i64, String), EngineError> {
        const KEPT: usize = 400;
        exec.clone_from(&self.make_exec(container, command).await?);
        let mut stream = self.start_exec(exec).await?;
        let mut written = Vec::new();
        while let Some((_, piece)) = stream.next().await.map_err(|cause| self.unreachable(cause))? {
            written.extend(piece);
            let extra = written.len().saturating_sub(KEPT);
            written.drain(..extra);
        }
        let code = self.exec_code(exec).await?;
        Ok((code.into(), String::from_utf8_lossy(&written).trim().to_owned()))
    }

    /// The process of a command in a container, as the engine numbers it; none once it has ended.
    pub async fn exec_pid(&self, exec: &str) -> Result<Option<i32>, EngineError> {
        let exec = self.get(&format!("/exec/{exec}/json")).await?;
        let pid = exec["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 1);
        Ok(pid.filter(|_| exec["Running"] == true))
    }

    /// How a command in a container has ended.
    pub async fn exec_code(&self, exec: &str) -> Result<i32, EngineError> {
        let ended = self.get(&format!("/exec/{exec}/json")).await?;
        let code = ended["ExitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
        Ok(code.unwrap_or(-1))
    }

    /// The addresses that a container has on its networks, or on those of the container whose network it shares.
    pub async fn addresses(&self, id: &str) -> Result<Vec<IpAddr>, EngineError> {
        let mut inspected = self.inspect(id).await?;
        if let Some(other) =
            inspected["HostConfig"]["NetworkMode"].as_str().and_then(|mode| mode.strip_prefix("container:"))
        {
            inspected = self.inspect(other).await?;
        }
        let networks = inspected["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        let texts = networks.flat_map(|(_, network)| [&network["IPAddress"], &network["GlobalIPv6Address"]]);
        Ok(texts.filter_map(|text| text.as_str()?.parse().ok()).collect())
    }

    /// Makes a network unless it is there, as it is to be.
    pub async fn make_network(&self, name: &str, body: &Value) -> Result<(), EngineError> {
        let path = format!("/networks/{}", escape(name));
        match self.get(&path).await {
            Ok(network) if network["Labels"][OPTIONS] == body["Labels"][OPTIONS] => Ok(()),
            // It is from a former release. Where somebody is still in it, it has to do.
            Ok(_) => match self.delete(&path).await {
                Ok(()) => self.post("/networks/create", Some(body)).await.map(drop),
                Err(EngineError::Refused { .. }) => Ok(()),
                Err(error) => Err(error),
            },
            Err(error) if error.is_missing() => self.post("/networks/create", Some(body)).await.map(drop),
            Err(error) => Err(error),
        }
    }

    pub async fn join(&self, network: &str, body: &Value) -> Result<(), EngineError> {
        self.post(&format!("/networks/{}/connect", escape(network)), Some(body)).await.map(drop)
    }

    /// Removes all networks with these labels.
    pub async fn remove_networks(&self, labels: &[String]) -> Result<(), EngineError> {
        let networks = self.get(&format!("/networks?filters={}", filter(labels))).await?;
        for network in as_list(networks) {
            self.delete(&format!("/networks/{}", text(&network["Id"]))).await?;
        }
        Ok(())
    }

    /// Makes a volume that is a folder of the node. Removing it later leaves the folder.
    pub async fn make_volume(&self, name: &str, folder: &str, labels: &Value) -> Result<(), EngineError> {
        let path = format!("/volumes/{}", escape(name));
        match self.get(&path).await {
            Ok(volume) if text(&volume["Options"]["device"]) == folder => return Ok(()),
            Ok(_) => self.delete(&path).await?,
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
        let options = json!({ "type": "none", "o": "bind", "device": folder });
        let body = json!({ "Name": name, "Driver": "local", "DriverOpts": options, "Labels": labels });
        self.post("/volumes/create", Some(&body)).await.map(drop)
    }

    /// Forgets all volumes with these labels; the folders behind them stay.
    pub async fn forget_volumes(&self, labels: &[String]) -> Result<(), EngineError> {
        let volumes = self.get(&format!("/volumes?filters={}", filter(labels))).await?;
        for volume in as_list(volumes["Volumes"].clone()) {
            self.delete(&format!("/volumes/{}", escape(&text(&volume["Name"])))).await?;
        }
        Ok(())
    }
}

fn filter(labels: &[String]) -> String {
    escape(&json!({ "label": labels }).to_string())
}

fn as_list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        _ => Vec::new(),
    }
}

/// A text of an answer; empty where it is missing.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use crate::runtime::engine::Kind;
    use crate::runtime::engine::stub::Stub;

    #[tokio::test]
    async fn a_container_that_somebody_else_removes_is_waited_for_until_its_name_is_free() {
        let stub = Stub::answering(&[
            (409, r#"{"message":"removal of container c is already in progress"}"#),
            (200, r#"{"State":{"Status":"removing"}}"#),
            (404, r#"{"message":"No such container: c"}"#),
        ]);
        stub.engine(Kind::Docker).remove("c").await.expect("removed");
        let asked = stub.asked();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(asked[2].starts_with("GET ") && asked[2].ends_with("/containers/c/json"), "{asked:?}");
    }
}
