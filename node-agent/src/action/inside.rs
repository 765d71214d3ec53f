//! A command in the container of an instance's service.

use std::sync::Arc;

use proto::ids::InstanceId;

use crate::action::ActionError;
use crate::agent::Agent;
use crate::lane::Lane;
use crate::runtime::engine::{Engine, EngineError, Kind, Stream};
use crate::runtime::group::plan::SERVICE;
use crate::runtime::record;

/// Where it runs.
pub struct Inside {
    engine: Arc<Engine>,
    labels: Vec<String>,
}

impl Agent {
    /// # Errors
    /// Where the instance is in no container of an engine that is here.
    pub fn inside(&self, id: &InstanceId, service: &str, lane: Lane) -> Result<Inside, ActionError> {
        let record = record::read(&lane.records(&self.data, id));
        let kind = record.and_then(|record| Kind::parse(&record.engine));
        let engine = kind.and_then(|kind| self.engines.of(kind));
        let engine = engine.ok_or_else(|| ActionError::NotContained(id.clone()))?;
        let mut labels = self.owner(id, lane).filters();
        labels.push(format!("{SERVICE}={service}"));
        Ok(Inside { engine, labels })
    }
}

impl Inside {
    /// Begins a command: its id, and what it writes.
    ///
    /// # Errors
    /// Where the container does not run, or the engine fails.
    pub async fn begin(&self, argv: &[String]) -> Result<(String, Stream), EngineError> {
        let containers = self.engine.list(&self.labels).await?;
        let running = containers.iter().find(|container| container["State"] == "running");
        let container = running.and_then(|container| container["Id"].as_str());
        let container =
            container.ok_or_else(|| EngineError::Image("its container is not running".to_owned()))?;
        self.engine.exec(container, argv).await
    }

    /// What it writes next, and whether to its second output; nothing once it has closed both.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn next(&self, stream: &mut Stream) -> Result<Option<(bool, Vec<u8>)>, EngineError> {
        stream.next().await.map_err(|cause| self.engine.unreachable(cause))
    }

    /// The exit code of a command that has ended.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn code(&self, id: &str) -> Result<i32, EngineError> {
        self.engine.exec_code(id).await
    }
}
