//! `orchestrator logs`: the lines of all instances of a deployment, from their nodes, as one stream.

use futures::future::join_all;
use futures::stream::{BoxStream, select_all};
use futures::{StreamExt as _, TryStreamExt as _};
use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;

use super::{Fleet, FleetError};

impl Fleet {
    /// The request names a deployment or one instance (`web/0`). A node that is away is told as a line of its own.
    pub async fn logs(
        &self,
        request: &v1::LogsRequest,
    ) -> Result<BoxStream<'static, Result<v1::LogLine, FleetError>>, FleetError> {
        let (name, only) = match request.deployment.contains('/') {
            true => {
                let id = InstanceId::parse(&request.deployment)?;
                (id.deployment.clone(), Some(id))
            }
            false => (DeploymentName::parse(&request.deployment)?, None),
        };
        let placements = self.deployment(&name).await?.value.current.placements;
        let wanted: Vec<_> =
            placements.into_iter().filter(|(id, _)| only.as_ref().is_none_or(|only| only == id)).collect();
        if let Some(only) = only
            && wanted.is_empty()
        {
            let message = format!("{name} has no instance {}", only.index);
            return Err(FleetError::Invalid {
                message,
                hint: Some(format!("`orchestrator status {name}` shows them")),
            });
        }
        let streams = join_all(wanted.iter().map(|(id, node)| self.instance_logs(id, node, request))).await;
        if request.follow {
            return Ok(select_all(streams).boxed());
        }
        // Each says its lines in order; together they are told in the order of their times.
        let collected = join_all(streams.into_iter().map(|lines| lines.collect::<Vec<_>>())).await;
        let mut lines: Vec<_> = collected.into_iter().flatten().collect();
        lines.sort_by_key(|line| line.as_ref().map_or(i64::MAX, |line| line.unix_ms));
        Ok(futures::stream::iter(lines).boxed())
    }

    async fn instance_logs(
        &self,
        id: &InstanceId,
        node: &NodeName,
        request: &v1::LogsRequest,
    ) -> BoxStream<'static, Result<v1::LogLine, FleetError>> {
        let name = node.to_string();
        match self.open_logs(id, node, request).await {
            Ok(lines) => lines.map_ok(move |line| v1::LogLine { node: name.clone(), ..line }).boxed(),
            Err(error) => {
                let line = v1::LogLine {
                    instance: id.to_string(),
                    unix_ms: self.clock.now(),
                    stream: v1::log_line::Stream::Agent.into(),
                    text: format!("no logs: {error}").into_bytes(),
                    node: name,
                };
                futures::stream::once(async { Ok(line) }).boxed()
            }
        }
    }

    async fn open_logs(
        &self,
        id: &InstanceId,
        node: &NodeName,
        request: &v1::LogsRequest,
    ) -> Result<BoxStream<'static, Result<v1::LogLine, FleetError>>, FleetError> {
        let agent = self.dial(&self.node(node).await?).await?;
        let asked = v1::AgentLogsRequest {
            instance: id.to_string(),
            tail: request.tail,
            follow: request.follow,
            only_new: request.only_new,
        };
        Ok(agent.logs(asked).await?.map_err(FleetError::from).boxed())
    }
}
