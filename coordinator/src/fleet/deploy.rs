//! The story of `orchestrator deploy`: resolve, place, record the wish, carry it out, keep or go back.

use std::time::Duration;

use modules::spec::ModuleSpec;
use modules::spec::resolve::Secret;
use modules::spec::runtime::Runtime;
use proto::ids::DeploymentName;
use proto::v1;

use super::proposal::Proposal;
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, Progress, join, spec};
use crate::domain::deployment::{Action, DeploymentRecord, Release, Wish};
use crate::domain::placement::{MOST_INSTANCES, Replicas};
use crate::fault;
use crate::store::json::Stored;

/// How often a deploy is computed anew because somebody else changed the fleet in between.
pub(super) const TRIES: usize = 8;
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

impl Fleet {
    /// Deploys one module and returns once every instance is healthy, what ran before runs again,
    /// or all that is left to do waits for a node.
    pub async fn deploy(
        &self,
        request: &v1::DeployRequest,
        progress: &Progress,
    ) -> Result<v1::deploy_event::Finished, FleetError> {
        let module = match &request.unregistered {
            Some(module) if request.dry_run => unregistered(module)?,
            None if request.dry_run => self.resolve_untouched(&request.module).await?,
            Some(_) | None => self.resolve(&request.module).await?,
        };
        let name = deployment_name(request, &module.release.module)?;
        check_count(request)?;
        if let Some(reason) = self.why_deprecated(&module.release).await? {
            progress.note(format!(
                "{} {} is deprecated: {reason}",
                module.release.module, module.release.version
            ));
        }
        fault::point("deploy.resolved");
        match request.dry_run {
            true => self.check_would_take(request.unregistered.as_ref()).await?,
            false => self.enrol_this_machine_if_alone(request, progress).await?,
        }
        for _ in 0..TRIES {
            let snapshot = self.snapshot().await?;
            let before = snapshot.deployments.get(&name);
            let wish = self.wish(request, &name, &module, before).await?;
            note_if_it_stops_first(&snapshot, &name, &module, &wish, progress)?;
            let proposal = Proposal::new(&snapshot, &name, wish, &module)?;
            fault::point("deploy.placed");
            if request.dry_run && join::enrols_this_machine(request, &snapshot) {
                progress.plan(join::on_this_machine(proposal.plan(&snapshot)));
                return Ok(join::would_enrol());
            }
            progress.plan(proposal.plan(&snapshot));
            proposal.check_replaces(&snapshot)?;
            proposal.check_keeps_data(request.leave_data)?;
            if request.dry_run {
                return Ok(proposal.would_be());
            }
            if !request.only_if_state.is_empty() && request.only_if_state != snapshot.token() {
                return Err(FleetError::StateMoved);
            }
            if let Some(recorded) = self.record(&snapshot, proposal, Action::Deploy).await? {
                return self.finish(recorded, wait(request.timeout_ms, request.no_wait), progress).await;
            }
        }
        Err(FleetError::Busy { deployment: name })
    }

    /// What is wanted from now on: what was asked for, and for the rest what was wanted before.
    async fn wish(
        &self,
        request: &v1::DeployRequest,
        name: &DeploymentName,
        module: &spec::Resolved,
        before: Option<&Stored<DeploymentRecord>>,
    ) -> Result<Wish, FleetError> {
        let before = before
            .map(|kept| &kept.value.current.wish)
            .filter(|wish| wish.release.module == module.release.module);
        let mut config = before.map(|wish| wish.config.clone()).unwrap_or_default();
        // What a release no longer asks for, or asks for in the other way, is given anew or not at all.
        let asks_for = |key: &str, secret: bool| {
            module.spec.config.iter().any(|item| item.name.as_str() == key && item.secret == secret)
        };
        config.retain(|key, _| asks_for(key, false));
        config.extend(request.config.clone());
        let mut secrets = before.map(|wish| wish.secrets.clone()).unwrap_or_default();
        // One that is given anew need not be there any more.
        secrets.retain(|key, _| asks_for(key, true) && !request.secrets.contains_key(key));
        let mut values = self.open_secrets(&secrets).await?;
        values.extend(request.secrets.iter().map(|(key, value)| (key.clone(), Secret::new(value))));
        spec::check(name, module, &config, &values)?;
        for (key, value) in &request.secrets {
            let stored = if request.dry_run {
                spec::unstored_secret(name, key)
            } else {
                self.set_secret(&format!("{name}.{key}"), value.as_bytes()).await?
            };
            secrets.insert(key.clone(), stored);
        }
        let has_places = !request.nodes.is_empty() || !request.selector.is_empty();
        Ok(Wish {
            release: module.release.clone(),
            replicas: replicas(request, before),
            nodes: match before {
                Some(before) if !has_places => before.nodes.clone(),
                _ => request.nodes.iter().map(|node| node.parse()).collect::<Result<_, _>>()?,
            },
            selector: match before {
                Some(before) if !has_places => before.selector.clone(),
                _ => request.selector.clone(),
            },
            config,
            secrets,
            restart: before.map_or(0, |wish| wish.restart),
        })
    }
}

/// Before anything is touched.
pub(super) fn note_if_it_stops_first(
    snapshot: &Snapshot,
    name: &DeploymentName,
    module: &spec::Resolved,
    wish: &Wish,
    progress: &Progress,
) -> Result<(), FleetError> {
    let Some(why) = spec::why_stops_first(snapshot, name, module, wish)? else { return Ok(()) };
    if snapshot.deployments.contains_key(name) {
        progress.note(format!("{name} cannot start its new release first: {why}; what runs stops first"));
    }
    Ok(())
}

/// A module that stays where it is, as far as a dry run needs it.
fn unregistered(module: &v1::UnregisteredModule) -> Result<spec::Resolved, FleetError> {
    let spec: ModuleSpec = serde_json::from_str(&module.spec_json).map_err(|cause| {
        FleetError::Unreadable { what: "the module of the dry run".to_owned(), cause: cause.into() }
    })?;
    let release = Release {
        module: spec.name.to_string(),
        version: spec.version.to_string(),
        digest: module.digest.clone(),
    };
    // Its compose file stays where it is, too; no node is asked to run this.
    let containers = matches!(spec.runtime, Runtime::Compose(_)).then(v1::ContainerGroup::default);
    Ok(spec::Resolved { release, spec, containers })
}

pub(super) fn wait(timeout_ms: u32, no_wait: bool) -> Duration {
    match (no_wait, timeout_ms) {
        (true, _) => Duration::ZERO,
        (false, 0) => DEFAULT_TIMEOUT,
        (false, ms) => Duration::from_millis(ms.into()),
    }
}

fn deployment_name(request: &v1::DeployRequest, module: &str) -> Result<DeploymentName, FleetError> {
    let text = if request.deployment.is_empty() { module } else { &request.deployment };
    Ok(DeploymentName::parse(text)?)
}

/// Before anything is done for it, such as enrolling this machine.
fn check_count(request: &v1::DeployRequest) -> Result<(), FleetError> {
    use v1::replicas::Replicas as Wire;
    match request.replicas.as_ref().and_then(|replicas| replicas.replicas.as_ref()) {
        Some(Wire::Count(count)) if *count > MOST_INSTANCES => Err(FleetError::Invalid {
            message: format!("{count} instances are too many; a deployment has at most {MOST_INSTANCES}"),
            hint: Some("one instance on every node is asked for as such: --every-node".to_owned()),
        }),
        Some(Wire::Count(_) | Wire::EveryNode(_)) | None => Ok(()),
    }
}

/// Nodes named without a number mean one instance on each of them.
fn replicas(request: &v1::DeployRequest, before: Option<&Wish>) -> Replicas {
    use v1::replicas::Replicas as Wire;
    match request.replicas.as_ref().and_then(|replicas| replicas.replicas.as_ref()) {
        Some(Wire::Count(count)) => Replicas::Count(*count),
        Some(Wire::EveryNode(_)) => Replicas::EveryNode,
        None if !request.nodes.is_empty() => Replicas::EveryNode,
        None => before.map_or(Replicas::Count(1), |wish| wish.replicas),
    }
}
