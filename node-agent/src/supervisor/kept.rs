//! Containers that have ended and are kept, so that what they wrote is there when they are started again. They are on
//! record meanwhile; whoever does something else than to start them removes them first.

use std::time::Duration;

use proto::v1::instance_spec::Runtime;

use crate::content::{Candidate, Content};
use crate::runtime::body::Body;
use crate::runtime::engine::Kind;
use crate::runtime::group::{Fate, Group};
use crate::runtime::process::Place;
use crate::runtime::record::{self, Record};
use crate::supervisor::Supervisor;

impl Supervisor {
    /// The engine that has containers of the instance, or may have some.
    pub(super) fn engine_on_record(&self) -> Option<Kind> {
        Kind::parse(&record::read(&self.records)?.engine)
    }

    /// Whether what runs is of this content, or what is kept where nothing runs.
    pub(super) fn is_of(&self, content: Option<Content>) -> bool {
        match &self.running {
            Some(running) => running.body.content() == content,
            None => self.kept().is_some_and(|(_, record)| record.known_content() == content),
        }
    }

    /// What is started in a process or by systemd leaves no containers behind.
    pub(super) async fn make_way(&mut self, candidate: &Candidate) {
        if !matches!(candidate.spec.runtime, Some(Runtime::Containers(_))) {
            self.remove_kept(None).await;
        }
    }

    pub(super) async fn remove_kept(&mut self, grace: Option<Duration>) {
        let Some((kind, record)) = self.kept() else { return };
        let owner = self.agent.owner(&self.id, self.lane);
        let group = Group::unknown(owner, kind, self.agent.engines.clone());
        let family = self.agent.family(&self.id, self.lane);
        let place = Place { records: &self.records, family: &family };
        let body = Body::Containers(Box::new(group), record);
        if !body.stop(grace, Fate::Removed, place, &[]).await {
            tracing::error!(instance = %self.id, "its containers cannot be removed");
        }
    }

    /// None where the engine has been asked in vain already: what is left there is swept once it is back.
    fn kept(&self) -> Option<(Kind, Record)> {
        let record = record::read(&self.records).filter(|record| !record.is_left())?;
        Some((Kind::parse(&record.engine)?, record))
    }
}
