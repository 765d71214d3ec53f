//! Containers that are there already: which one is taken over, which is started again, which has to go.
//!
//! What a container wrote lasts as long as the container does, but for its volumes. So one that has ended is started
//! again, as the engine itself would do it, unless another is wanted by now.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::plan::BODY;
use crate::content::sha256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It runs.
    Adopt,
    /// It has ended for good.
    Done,
    /// It has ended, and is started again.
    Again,
    /// It is none that is wanted, or was never started.
    Replace,
}

/// What a container is to be used for, by what the engine says of it.
pub fn use_of(inspected: &Value, is_current: bool, is_one_shot: bool) -> Use {
    let state = &inspected["State"];
    match state["Status"].as_str() {
        _ if !is_current => Use::Replace,
        _ if state["Running"] == true => Use::Adopt,
        Some("exited" | "stopped") if is_one_shot && state["ExitCode"] == 0 => Use::Done,
        Some("exited" | "stopped") => Use::Again,
        _ => Use::Replace,
    }
}

/// Whether a container of the content that is wanted is as it would be made now.
pub fn is_same(inspected: &Value, body: &Value) -> bool {
    match inspected["Config"]["Labels"][BODY].as_str() {
        Some(made) => Some(made) == body["Labels"][BODY].as_str(),
        // Made by an agent that did not say.
        None => published(inspected) == published(body),
    }
}

fn published(of: &Value) -> BTreeSet<(&str, &str)> {
    let bindings = of["HostConfig"]["PortBindings"].as_object().into_iter().flatten();
    let ports = bindings.flat_map(|(target, at)| {
        let at = at.as_array().into_iter().flatten();
        at.filter_map(|at| Some((target.as_str(), at["HostPort"].as_str()?)))
    });
    ports.collect()
}

/// Tells apart what containers of the same content may be made of: ports that the agent chose, other containers, an
/// image. Nothing else is in it, so that another build of the agent finds its containers again.
pub fn digest(body: &Value) -> String {
    let host = &body["HostConfig"];
    let parts = json!([
        body["Image"],
        body["Env"],
        body["Entrypoint"],
        body["Cmd"],
        host["PortBindings"],
        host["Mounts"],
        host["NetworkMode"],
        host["PidMode"],
        host["IpcMode"],
    ]);
    sha256(parts.to_string().as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Where a container keeps what only itself has: it lasts until another release, and no longer.
pub fn unkept<'b>(body: &'b Value, image_volumes: &'b [String]) -> Vec<&'b str> {
    let mounts = || body["HostConfig"]["Mounts"].as_array().into_iter().flatten();
    let target = |mount: &'b Value| mount["Target"].as_str().map(plain);
    let tmpfs = body["HostConfig"]["Tmpfs"].as_object().into_iter().flatten();
    let held: BTreeSet<&str> =
        mounts().filter_map(target).chain(tmpfs.map(|(path, _)| plain(path))).collect();
    let anonymous = mounts().filter(|mount| mount["Source"].is_null()).filter_map(target);
    let declared = image_volumes.iter().map(|path| plain(path)).filter(|path| !held.contains(path));
    anonymous.chain(declared).collect()
}

fn plain(path: &str) -> &str {
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_that_has_ended_is_started_again_unless_another_is_wanted() {
        let runs = json!({ "Running": true, "Status": "running" });
        let not = |status: &str, code: i64| json!({ "Running": false, "Status": status, "ExitCode": code });
        for (state, is_current, is_one_shot, expected) in [
            (runs.clone(), true, false, Use::Adopt),
            (runs.clone(), true, true, Use::Adopt),
            (runs, false, false, Use::Replace),
            (not("exited", 137), true, false, Use::Again),
            (not("exited", 0), true, false, Use::Again),
            (not("stopped", 0), true, false, Use::Again),
            (not("exited", 0), true, true, Use::Done),
            (not("exited", 1), true, true, Use::Again),
            (not("exited", 137), false, false, Use::Replace),
            (not("created", 0), true, true, Use::Replace),
            (not("dead", 137), true, false, Use::Replace),
        ] {
            let found = json!({ "State": state });
            assert_eq!(
                use_of(&found, is_current, is_one_shot),
                expected,
                "{found} {is_current} {is_one_shot}"
            );
        }
    }

    #[test]
    fn what_ended_is_as_it_would_be_made_by_its_label_and_without_one_by_its_ports() {
        let host = |port: &str| json!({ "PortBindings": { "80/tcp": [{ "HostPort": port }] } });
        let wanted = json!({ "HostConfig": host("1"), "Labels": { BODY: "a" } });
        for (label, port, expected) in [
            (json!({ BODY: "a" }), "1", true),
            (json!({ BODY: "b" }), "1", false),
            (json!({}), "1", true),
            (json!({}), "2", false),
        ] {
            let found = json!({ "HostConfig": host(port), "Config": { "Labels": label } });
            assert_eq!(is_same(&found, &wanted), expected, "{found}");
        }
    }

    #[test]
    fn what_is_made_anew_is_told_by_ports_image_and_other_containers() {
        let body =
            json!({ "Image": "sha256:1", "Labels": { "x": "y" }, "HostConfig": { "NetworkMode": "n" } });
        let mut other = body.clone();
        other["Labels"] = json!({});
        other["HostConfig"]["Memory"] = json!(1);
        assert_eq!(digest(&body), digest(&other));
        for (pointer, value) in [("Image", "sha256:2"), ("Env", "A=1")] {
            let mut other = body.clone();
            other[pointer] = json!(value);
            assert_ne!(digest(&body), digest(&other), "{pointer}");
        }
        other["HostConfig"]["NetworkMode"] = json!("container:c");
        assert_ne!(digest(&body), digest(&other));
    }

    #[test]
    fn what_no_volume_of_the_module_keeps_is_told() {
        let body = json!({ "HostConfig": {
            "Mounts": [
                { "Type": "volume", "Source": "data", "Target": "/data/" },
                { "Type": "volume", "Target": "/var/lib/x" },
            ],
            "Tmpfs": { "/cache": "" },
        }});
        let declared = ["/data", "/cache", "/var/lib/x", "/var/lib/db"].map(str::to_owned);
        assert_eq!(unkept(&body, &declared), ["/var/lib/x", "/var/lib/db"]);
        assert!(unkept(&json!({}), &[]).is_empty());
    }
}
