//! `orchestrator logs`: the lines of all instances of a deployment, from their nodes, as one stream.

mod follow;

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{BoxStream, select_all};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;
use tokio::time::timeout;

use super::carry_out::one_line;
use super::observe::DEADLINE;
use super::{Fleet, FleetError, keys};
use crate::agents::{AgentError, Agents, CONNECTING};
use crate::clock::Clock;
use crate::domain::node::NodeRecord;
use crate::store::Store;
use crate::store::json::get_json;

type Lines = BoxStream<'static, Result<v1::LogLine, FleetError>>;

impl Fleet {
    /// The request names a deployment or one instance (`web/0`). A node that is away is told as a line of its own; who
    /// follows hears the others on, and that one when it is back.
    ///
    /// # Errors
    /// Where no instance can be read at all.
    pub async fn logs(&self, request: &v1::LogsRequest) -> Result<Lines, FleetError> {
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
        let sources = wanted.into_iter().map(|(id, node)| self.source(id, node, request));
        let opened = join_all(sources.map(|source| async { (source.open(false).await, source) })).await;
        let streams = readable(opened)?;
        if request.follow {
            return Ok(select_all(streams).boxed());
        }
        // Each says its lines in order; together they are told in the order of their times.
        let collected = join_all(streams.into_iter().map(|lines| lines.collect::<Vec<_>>())).await;
        let mut lines: Vec<_> = collected.into_iter().flatten().collect();
        lines.sort_by_key(|line| line.as_ref().map_or(i64::MAX, |line| line.unix_ms));
        Ok(futures::stream::iter(lines).boxed())
    }

    fn source(&self, id: InstanceId, node: NodeName, request: &v1::LogsRequest) -> Source {
        let (store, agents, clock) =
            (Arc::clone(&self.store), Arc::clone(&self.agents), Arc::clone(&self.clock));
        let request = v1::AgentLogsRequest {
            instance: id.to_string(),
            tail: request.tail,
            follow: request.follow,
            only_new: request.only_new,
        };
        Source { store, agents, clock, node, request }
    }
}

/// The log of one instance on its node.
struct Source {
    store: Arc<dyn Store>,
    agents: Arc<Agents>,
    clock: Arc<dyn Clock>,
    node: NodeName,
    request: v1::AgentLogsRequest,
}

impl Source {
    /// `again`: what was said before has been told.
    async fn open(&self, again: bool) -> Result<Lines, FleetError> {
        let kept = get_json::<NodeRecord>(self.store.as_ref(), &keys::node(&self.node)).await?;
        let Some(node) = kept.map(|kept| kept.value) else {
            return Err(FleetError::NoSuchNode { name: self.node.to_string(), similar: None });
        };
        let asked = match again {
            // Who does not know of `only_new` takes a tail of 0 for all that is kept.
            true => v1::AgentLogsRequest { only_new: true, tail: 1, ..self.request.clone() },
            false => self.request.clone(),
        };
        let late =
            || AgentError::TimedOut { node: node.name.clone(), operation: CONNECTING, after: DEADLINE };
        let opened = async { self.agents.dial(&node).await?.logs(asked).await };
        let lines = timeout(DEADLINE, opened).await.unwrap_or_else(|_| Err(late()))?;
        let name = self.node.to_string();
        Ok(lines.map_ok(move |line| v1::LogLine { node: name.clone(), ..line }).err_into().boxed())
    }

    fn trouble(&self, text: String) -> v1::LogLine {
        v1::LogLine {
            instance: self.request.instance.clone(),
            unix_ms: self.clock.now(),
            stream: v1::log_line::Stream::Agent.into(),
            text: text.into_bytes(),
            node: self.node.to_string(),
        }
    }
}

/// The lines of all that can be read, and a word about each that cannot, which is the stream's error in the end.
///
/// # Errors
/// Where none can.
fn readable(opened: Vec<(Result<Lines, FleetError>, Source)>) -> Result<Vec<Lines>, FleetError> {
    let can_any = opened.iter().any(|(lines, _)| lines.is_ok());
    let mut streams = Vec::new();
    for (lines, source) in opened {
        let follows = source.request.follow;
        streams.push(match lines {
            Err(error) if !can_any => return Err(error),
            Ok(lines) if !follows => lines,
            Err(error) if !follows => {
                let line = source.trouble(format!("no logs: {}", one_line(&error)));
                // What is there is told, and then that it is not all.
                futures::stream::iter([Ok(line), Err(error)]).boxed()
            }
            lines => followed(lines, source),
        });
    }
    Ok(streams)
}

fn followed(lines: Result<Lines, FleetError>, source: Source) -> Lines {
    let source = Arc::new(source);
    let teller = Arc::clone(&source);
    let open = move || {
        let source = Arc::clone(&source);
        async move { source.open(true).await }.boxed()
    };
    follow::through_trouble(lines, open, move |text| teller.trouble(text))
}
