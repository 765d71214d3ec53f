//! Whether a NodeSpec is one that this agent can act upon: checked at the door, trusted afterwards.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1::{InstanceSpec, NodeSpec};

/// # Errors
/// What is wrong, for the log of whoever sent it.
pub fn check(spec: &NodeSpec, node: &NodeName) -> Result<(), String> {
    if spec.node != node.as_str() {
        return Err(format!("the spec is for node {:?}, this is {node}", spec.node));
    }
    let mut ids = BTreeSet::new();
    for instance in &spec.instances {
        check_instance(instance).map_err(|why| format!("instance {:?}: {why}", instance.id))?;
        if !ids.insert(&instance.id) {
            return Err(format!("instance {:?} is there twice", instance.id));
        }
    }
    for digest in &spec.retain {
        check_digest(digest)?;
    }
    for deployment in &spec.purge_volumes {
        DeploymentName::parse(deployment).map_err(|error| format!("purge_volumes: {error}"))?;
    }
    Ok(())
}

fn check_instance(spec: &InstanceSpec) -> Result<(), String> {
    let id = InstanceId::parse(&spec.id).map_err(|error| error.to_string())?;
    if id.deployment.as_str() != spec.deployment {
        return Err(format!("does not belong to deployment {:?}", spec.deployment));
    }
    check_digest(&spec.release.as_ref().ok_or("has no release")?.digest)?;
    if spec.runtime.is_none() {
        return Err("has no runtime that this agent knows".to_owned());
    }
    for volume in &spec.volumes {
        if Path::new(&volume.path).components().any(|part| part == Component::ParentDir) {
            return Err(format!("volume {}: {:?} leaves the volume folder", volume.name, volume.path));
        }
    }
    Ok(())
}

fn check_digest(digest: &str) -> Result<(), String> {
    modules::digest::Digest::parse(digest).map(drop).map_err(|error| error.to_string())
}
