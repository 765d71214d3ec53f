//! Plans of the past that did what was asked, to be used again for the same request in the same world: no model is asked.

use std::collections::BTreeMap;

use llm::router::recall::{Earlier, Lexical, Memory, Similar};
use modules::digest::Digest;
use plan::canonical::canonical_json;
use plan::plan::Plan;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Asked, Told};
use crate::clock::UnixMillis;
use crate::domain::plans::Source;
use crate::fleet::plans::{chosen, readable};
use crate::fleet::registry::known::Module;
use crate::fleet::snapshot::Snapshot;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::{get_json, list_json, put_json};
use crate::store::{Op, StoreError, Txn};

/// More are not kept; the oldest go.
const KEPT: usize = 500;
const BEST: usize = 5;

/// Kept in the store under `/llm/earlier/<hash of the plan>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    plan: Digest,
    request: String,
    /// The nodes that were chosen for it, in words.
    scope: String,
    /// Digest of what the plan was made for.
    world: String,
    at: UnixMillis,
    /// A run of it ended well, and none ended badly since.
    ran_well: bool,
}

impl Fleet {
    /// Takes how a run of a plan ended. What ran well may be used again for the same request; what did not is forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn plan_ended(&self, plan: &Digest, well: bool) -> Result<(), FleetError> {
        loop {
            let Some(kept) = get_json::<Remembered>(self.store.as_ref(), &keys::earlier(plan)).await? else {
                return Ok(());
            };
            if well && kept.value.ran_well {
                return Ok(());
            }
            let op = match well {
                true => put_json(kept.key.clone(), &Remembered { ran_well: true, ..kept.value.clone() })?,
                false => Op::delete(kept.key.clone()),
            };
            match self.store.commit(Txn::new().when(kept.unchanged()).then(op)).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Remembers for which request in which world a plan was drafted.
    pub(super) async fn remember_request(
        &self,
        asked: &Asked,
        plan: &Plan,
        modules: &BTreeMap<String, Module>,
    ) -> Result<(), FleetError> {
        let world = self.world_digest(plan, &self.recall().await?, modules).await?;
        let hash = plan.hash();
        let remembered = Remembered {
            plan: hash,
            request: asked.goal.clone(),
            scope: asked.scope.clone(),
            world,
            at: self.clock.now(),
            ran_well: false,
        };
        let mut txn = Txn::new().then(put_json(keys::earlier(&hash), &remembered)?);
        let mut kept = list_json::<Remembered>(self.store.as_ref(), keys::EARLIER).await?.entries;
        kept.retain(|kept| kept.value.plan != hash);
        kept.sort_by_key(|kept| kept.value.at);
        let surplus = kept.len().saturating_sub(KEPT - 1).min(50);
        txn.ops.extend(kept.into_iter().take(surplus).map(|kept| Op::delete(kept.key)));
        self.store.commit(txn).await?;
        Ok(())
    }

    /// Whether a run of the plan ended well before, and none badly since.
    pub(in crate::fleet) async fn has_run_well(&self, plan: &Digest) -> Result<bool, FleetError> {
        let kept = get_json::<Remembered>(self.store.as_ref(), &keys::earlier(plan)).await?;
        Ok(kept.is_some_and(|kept| kept.value.ran_well))
    }

    /// The earlier requests that are most like this one, of those whose plan ran well.
    pub(super) async fn similar_to(
        &self,
        asked: &Asked,
        modules: &BTreeMap<String, Module>,
    ) -> Result<Vec<Similar>, FleetError> {
        let kept = list_json::<Remembered>(self.store.as_ref(), keys::EARLIER).await?.entries;
        let usable = kept.into_iter().map(|kept| kept.value);
        let mut memory = Memory::default();
        let mut worlds = BTreeMap::new();
        for earlier in usable.filter(|earlier| earlier.ran_well && earlier.scope == asked.scope) {
            let vector = Lexical::vector(&earlier.request);
            let plan = earlier.plan.to_string();
            worlds.insert(plan.clone(), earlier.world.clone());
            memory.remember(Earlier { plan, request: earlier.request, world: earlier.world, vector });
        }
        let mut found = memory.similar(&asked.goal, &Lexical::vector(&asked.goal), "", BEST);
        let snapshot = if found.is_empty() { return Ok(found) } else { self.recall().await? };
        for similar in &mut found {
            let now = self.world_of_kept(&similar.plan, &snapshot, modules).await?;
            similar.is_current = now.is_some() && now.as_ref() == worlds.get(&similar.plan);
        }
        Ok(found)
    }

    pub(super) async fn tell_earlier(
        &self,
        asked: &Asked,
        hash: &str,
        told: &Told,
    ) -> Result<(), FleetError> {
        let model = match self.find_plan(hash).await?.value.source {
            Source::Drafted { model, .. } => model,
            Source::File { .. } => String::new(),
        };
        self.tell_plan(asked, hash, &model, true, told).await
    }

    /// What a plan that is kept would be made for now; nothing where it is gone or has nowhere to run.
    async fn world_of_kept(
        &self,
        hash: &str,
        snapshot: &Snapshot,
        modules: &BTreeMap<String, Module>,
    ) -> Result<Option<String>, FleetError> {
        let Ok(kept) = self.find_plan(hash).await else { return Ok(None) };
        let plan = readable(&kept.value)?;
        match chosen(&plan, snapshot) {
            Ok(_) => self.world_digest(&plan, snapshot, modules).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Digest of what a plan depends on: its nodes with what they offer, what runs there, the modules, the policy.
    async fn world_digest(
        &self,
        plan: &Plan,
        snapshot: &Snapshot,
        modules: &BTreeMap<String, Module>,
    ) -> Result<String, FleetError> {
        let policy = self.policy().await?.policy;
        let nodes = chosen(plan, snapshot)?;
        let records = snapshot.nodes.iter().filter(|(name, _)| nodes.contains(name));
        let nodes: Vec<Value> = records
            .map(|(_, kept)| {
                let record = &kept.value;
                let mut capabilities = record.facts.capabilities.clone();
                capabilities.sort_unstable();
                json!([record.name.as_str(), record.facts.arch, record.labels, capabilities])
            })
            .collect();
        let deployments = snapshot.deployments.iter().map(|(name, kept)| {
            let release = &kept.value.current.wish.release;
            json!([name.to_string(), release.module, release.version, release.digest])
        });
        let modules = modules.iter().map(|(name, module)| {
            let newest = module.newest();
            json!([
                name,
                newest.spec.version.to_string(),
                newest.release.as_ref().map(|release| &release.digest)
            ])
        });
        let world = json!({
            "nodes": nodes,
            "deployments": deployments.collect::<Vec<_>>(),
            "modules": modules.collect::<Vec<_>>(),
            "policy": serde_json::to_value(&policy).unwrap_or_default(),
        });
        Ok(Digest::of(canonical_json(&world).as_bytes()).hex())
    }
}
