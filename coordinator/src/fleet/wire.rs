//! Domain values as the gRPC API spells them.

use modules::spec::ModuleSpec;
use proto::v1;
use proto::v1::module_summary::Source;

use crate::domain::deployment::Release;
use crate::domain::node::Facts;
use crate::domain::placement::{Explanation, Replicas};

pub fn release(release: &Release) -> v1::Release {
    v1::Release {
        module: release.module.clone(),
        version: release.version.clone(),
        digest: release.digest.clone(),
    }
}

pub fn replicas(replicas: Replicas) -> v1::Replicas {
    use v1::replicas::{EveryNode, Replicas as Wire};
    let replicas = match replicas {
        Replicas::Count(count) => Wire::Count(count),
        Replicas::EveryNode => Wire::EveryNode(EveryNode {}),
    };
    v1::Replicas { replicas: Some(replicas) }
}

pub fn explanation(explanation: &Explanation) -> v1::Explanation {
    explanation.into()
}

pub fn facts(facts: &Facts) -> v1::NodeFacts {
    v1::NodeFacts {
        arch: facts.arch.clone(),
        os: facts.os.clone(),
        cpu_cores: facts.cpu_cores,
        memory_bytes: facts.memory_bytes,
        disk_bytes: facts.disk_bytes,
        capabilities: facts.capabilities.clone(),
        hostname: facts.hostname.clone(),
        agent_version: facts.agent_version.clone(),
        ..Default::default()
    }
}

/// Where an instance answers, by the ports it is bound to: `http://` for ports named like web pages, which come first.
pub fn urls(address: &str, report: &v1::InstanceReport) -> Vec<String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let url = |bound: &v1::instance_report::BoundPort| {
        let (rank, scheme) = match (bound.name.as_str(), bound.protocol()) {
            ("http" | "web" | "ui" | "dashboard" | "api" | "metrics", _) => (0, "http"),
            ("https", _) => (0, "https"),
            (_, v1::port::Protocol::Tcp) => (1, "tcp"),
            (_, v1::port::Protocol::Udp) => (2, "udp"),
        };
        (rank, format!("{scheme}://{host}:{}", bound.port))
    };
    let mut urls: Vec<_> = report.ports.iter().map(url).collect();
    urls.sort_by_key(|(rank, _)| *rank);
    urls.into_iter().map(|(_, url)| url).collect()
}

/// A module in one line; the caller knows its versions.
pub fn summary(spec: &ModuleSpec, source: Source) -> v1::ModuleSummary {
    v1::ModuleSummary {
        name: spec.name.to_string(),
        versions: vec![spec.version.to_string()],
        description: spec.description.clone(),
        category: spec.category.clone().unwrap_or_default(),
        tags: spec.tags.clone(),
        source: source.into(),
        ..Default::default()
    }
}
