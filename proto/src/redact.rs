//! `Debug` of the messages that carry secrets: names are shown, values are `***`.

use std::collections::BTreeMap;
use std::fmt;

use crate::v1;

struct Redacted<'a, V>(&'a BTreeMap<String, V>);

impl<V> fmt::Debug for Redacted<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, "***"))).finish()
    }
}

impl fmt::Debug for v1::InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceSpec")
            .field("id", &self.id)
            .field("release", &self.release)
            .field("attempt", &self.attempt)
            .field("restart", &self.restart)
            .field("config", &self.config)
            .field("secrets", &Redacted(&self.secrets))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::BeginRunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeginRunRequest")
            .field("run", &self.run)
            .field("plan_hash", &self.plan_hash)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "coordinator")]
impl fmt::Debug for v1::DeployRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeployRequest")
            .field("module", &self.module)
            .field("deployment", &self.deployment)
            .field("nodes", &self.nodes)
            .field("config", &self.config)
            .field("secrets", &Redacted(&self.secrets))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "coordinator")]
impl fmt::Debug for v1::SetSecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetSecretRequest").field("name", &self.name).field("value", &"***").finish()
    }
}

#[cfg(feature = "coordinator")]
impl fmt::Debug for v1::GetGithubTokenReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetGithubTokenReply").field("token", &"***").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_in_debug() {
        let mut spec = v1::InstanceSpec { id: "web/0".into(), ..Default::default() };
        spec.secrets.insert("password".into(), "hunter2".into());
        let text = format!("{spec:?}");
        assert!(text.contains("password") && text.contains("***") && !text.contains("hunter2"), "{text}");
    }
}
