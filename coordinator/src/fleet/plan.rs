//! A proposal as people see it, before it is recorded or instead.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{InstanceId, NodeName};
use proto::v1;
use proto::v1::change::Kind;

use super::proposal::Proposal;
use super::snapshot::Snapshot;
use super::wire;

impl Proposal {
    /// The plan as people see it.
    pub fn plan(&self, snapshot: &Snapshot) -> v1::deploy_event::Plan {
        v1::deploy_event::Plan {
            deployment: self.record.name.to_string(),
            release: Some(wire::release(&self.record.current.wish.release)),
            changes: self.changes(),
            explanation: Some(wire::explanation(&self.record.explanation)),
            state: snapshot.token(),
        }
    }

    fn changes(&self) -> Vec<v1::Change> {
        let none = BTreeMap::new();
        let before = self.before.as_ref().map_or(&none, |before| &before.current.placements);
        let after = &self.record.current.placements;
        let ids: BTreeSet<&InstanceId> =
            before.keys().chain(after.keys()).chain(&self.record.unplaced).collect();
        ids.into_iter().map(|id| self.change_of(id, before.get(id), after.get(id))).collect()
    }

    fn change_of(&self, id: &InstanceId, before: Option<&NodeName>, after: Option<&NodeName>) -> v1::Change {
        let wish_before = self.before.as_ref().map(|record| &record.current.wish);
        let same_wish = wish_before.is_some_and(|before| before.runs_as(&self.record.current.wish));
        let kind = match (before, after) {
            (Some(old), Some(new)) if old != new => Kind::Move,
            (Some(_), Some(_)) if same_wish => Kind::Keep,
            (Some(_), Some(_)) => Kind::Update,
            (None, Some(_)) => Kind::Start,
            (Some(_), None) if !self.record.unplaced.contains(id) => Kind::Stop,
            (_, None) => Kind::Wait,
        };
        v1::Change {
            instance: id.to_string(),
            node: after.or(before).map(ToString::to_string).unwrap_or_default(),
            kind: kind.into(),
            from: before.and(wish_before).map(|wish| wire::release(&wish.release)),
            to: after.map(|_| wire::release(&self.record.current.wish.release)),
        }
    }

    /// What a dry run ends with.
    pub fn would_be(&self) -> v1::deploy_event::Finished {
        let waiting = &self.record.unplaced;
        let (outcome, message) = if waiting.is_empty() {
            (v1::Outcome::Done, "dry run: nothing was changed".to_owned())
        } else {
            let ids: Vec<_> = waiting.iter().map(ToString::to_string).collect();
            (
                v1::Outcome::Waiting,
                format!("dry run: nothing was changed; {} would find no node", ids.join(", ")),
            )
        };
        v1::deploy_event::Finished { outcome: outcome.into(), deployment: None, message, hint: String::new() }
    }
}
