//! `orchestrator suggest`: from what a person says they need to the modules that do it and the nodes they would go to.
//! Each choice is placed as a dry run, one after the other, so that together they fit. No model is asked.

use modules::needs::{self, Machine, Needs};
use modules::search::{Field, Hit, Index, Kind, Match, Searchable};
use modules::spec::ModuleSpec;
use modules::units::ByteSize;
use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::suggest_reply::{Need, Suggestion};

use super::known::Module;
use crate::domain::deployment::{Release, Wish};
use crate::domain::placement::{self, NodeView, Replicas, Snapshot as Places, explain, place};
use crate::fleet::snapshot::Snapshot;
use crate::fleet::spec::Resolved;
use crate::fleet::{Fleet, FleetError, views};

/// Modules for each need, where nothing else is asked.
const SHORT: usize = 3;
/// How much of a need a module must have to be an answer to it.
const COVERAGE: f32 = 0.45;
/// What scores less than this part of the best is another thing.
const NEAR: f32 = 0.4;
/// What the system of a small machine takes for itself.
const SYSTEM: u64 = 256 << 20;

impl Fleet {
    pub async fn suggest(&self, request: &v1::SuggestRequest) -> Result<v1::SuggestReply, FleetError> {
        let snapshot = self.snapshot().await?;
        let modules: Vec<Module> = self.known_modules().await?.into_values().collect();
        let index = Index::new(modules.iter().map(|module| Searchable::from(&module.newest().spec)));
        let asked = understood(&request.text, &snapshot);
        if asked.needs.is_empty() {
            return Err(FleetError::Invalid {
                message: format!("{:?} does not say what is needed", request.text),
                hint: Some("write it in plain words: \"ad blocking dns and a password manager\"".to_owned()),
            });
        }
        let mut round = Round::new(&snapshot, &modules, &asked);
        let limit = if request.limit == 0 { SHORT } else { request.limit as usize };
        let mut needs: Vec<Need> = Vec::new();
        for text in &asked.needs {
            let need = round.answer(text, &index, limit);
            // "photos and backup" is one need, where one module is the answer to both.
            match needs.last_mut() {
                Some(last) if is_same(last, &need) => last.text = format!("{} and {}", last.text, need.text),
                _ => needs.push(need),
            }
        }
        let summary = summary(&needs);
        Ok(v1::SuggestReply { needs, constraints: constraints(&asked), ignored: Vec::new(), summary })
    }
}

fn understood(text: &str, snapshot: &Snapshot) -> Needs {
    let nodes: Vec<&str> = snapshot.nodes.keys().map(|node| node.as_str()).collect();
    let labels = snapshot.nodes.values().flat_map(|kept| &kept.value.labels);
    let labels: Vec<(&str, &str)> = labels.map(|(key, value)| (key.as_str(), value.as_str())).collect();
    needs::read(text, &needs::Known { nodes: &nodes, labels: &labels })
}

fn is_same(last: &Need, next: &Need) -> bool {
    let chosen = |need: &Need| {
        let chosen = need.suggestions.iter().find(|one| one.chosen || !one.deployed_as.is_empty());
        chosen.map(|one| one.module.clone())
    };
    chosen(last).is_some() && chosen(last) == chosen(next)
}

/// What is left of the fleet, and of the machine that was described, while modules are chosen.
struct Round<'r> {
    snapshot: &'r Snapshot,
    modules: &'r [Module],
    machine: &'r Machine,
    /// The nodes that what was said leaves.
    places: Places,
    /// Why others are not among them.
    left_out: Vec<String>,
    fleet_is_empty: bool,
    /// Of the machine that was described.
    memory_left: Option<u64>,
    chosen: Vec<String>,
}

impl<'r> Round<'r> {
    fn new(snapshot: &'r Snapshot, modules: &'r [Module], asked: &'r Needs) -> Self {
        let fleet = views::placement_snapshot(snapshot);
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for view in fleet.nodes() {
            match unsuitable(view, asked) {
                Some(reason) => left_out.push(format!("{}: {reason}", view.name)),
                None => kept.push(view.clone()),
            }
        }
        let memory = asked.machine.memory.map(|memory| memory.0);
        Self {
            snapshot,
            modules,
            machine: &asked.machine,
            fleet_is_empty: fleet.nodes().is_empty(),
            places: Places::new(kept),
            left_out,
            memory_left: memory.map(|memory| memory.saturating_sub(SYSTEM.min(memory / 4))),
            chosen: Vec::new(),
        }
    }

    fn answer(&mut self, text: &str, index: &Index, limit: usize) -> Need {
        let hits = index.search(text);
        let best = hits.first().map_or(0.0, |hit| hit.score);
        let fitting = hits.iter().filter(|hit| is_answer(hit) && hit.score >= best * NEAR);
        let mut suggestions: Vec<Suggestion> = Vec::new();
        let mut has_choice = false;
        for hit in fitting.take(limit.max(1) * 3) {
            if suggestions.len() >= limit && has_choice {
                break;
            }
            let mut suggestion = self.consider(hit);
            if !suggestion.deployed_as.is_empty() || self.chosen.contains(&suggestion.module) {
                has_choice = true;
                suggestion.chosen = suggestion.deployed_as.is_empty();
            } else if !has_choice && suggestion.obstacles.is_empty() {
                has_choice = true;
                suggestion.chosen = true;
                self.take(hit);
            }
            if suggestions.len() < limit || suggestion.chosen {
                suggestions.push(suggestion);
            }
        }
        let nothing = match (suggestions.is_empty(), has_choice) {
            (_, true) => String::new(),
            (true, false) => nothing_known(text, &hits, self.modules),
            (false, false) => "no node, or no room, for what would do it".to_owned(),
        };
        Need { text: text.to_owned(), suggestions, nothing }
    }

    fn consider(&self, hit: &Hit) -> Suggestion {
        let module = self.modules[hit.document].newest();
        let spec = &module.spec;
        let mut reasons = vec![why(hit)];
        let mut obstacles = self.against_machine(spec);
        let deployed_as = self.deployed(spec.name.as_str());
        let mut node = String::new();
        if obstacles.is_empty() && deployed_as.is_empty() {
            match self.try_place(spec) {
                Ok(place) => {
                    reasons.push(place.reason);
                    node = place.node;
                }
                Err(failures) => obstacles = failures,
            }
        }
        if !deployed_as.is_empty() {
            reasons.push(format!("is deployed already as {}", deployed_as.join(", ")));
        }
        if let Some(origin) = module.origin.as_ref().filter(|origin| origin.is_draft) {
            reasons.push(format!("a draft imported from {}: look it over first", origin.source));
        }
        Suggestion {
            module: spec.name.to_string(),
            version: spec.version.to_string(),
            description: spec.description.clone(),
            reasons,
            node,
            obstacles,
            deployed_as,
            memory_bytes: spec.requires.memory.0,
            chosen: false,
        }
    }

    fn deployed(&self, module: &str) -> Vec<String> {
        let deployments = self.snapshot.deployments.values().map(|kept| &kept.value);
        let of = deployments.filter(|record| record.current.wish.release.module == module);
        of.map(|record| record.name.to_string()).collect()
    }

    /// What speaks against the machine that was described.
    fn against_machine(&self, spec: &ModuleSpec) -> Vec<String> {
        let mut against = Vec::new();
        let requires = &spec.requires;
        if let Some(arch) =
            self.machine.arch.filter(|arch| !requires.arch.is_empty() && !requires.arch.contains(arch))
        {
            let runs: Vec<String> = requires.arch.iter().map(ToString::to_string).collect();
            against.push(format!("runs on {}, not on {arch}", runs.join(" and ")));
        }
        if let (Some(left), Some(said)) = (self.memory_left, self.machine.memory)
            && requires.memory.0 > left
        {
            let need = requires.memory;
            against.push(format!("needs {need} of memory; of the {said} are {} left", in_mib(left)));
        }
        if let Some(disk) = self.machine.disk.filter(|disk| requires.disk.0 > disk.0) {
            against.push(format!("needs {} of disk, said were {disk}", requires.disk));
        }
        if let Some(cores) = self.machine.cores.filter(|cores| requires.cpu > *cores) {
            against.push(format!("needs {} cores, said were {cores}", requires.cpu));
        }
        against
    }

    fn try_place(&self, spec: &ModuleSpec) -> Result<Place, Vec<String>> {
        if self.fleet_is_empty {
            let reason = "no node yet: the first deploy enrols this machine, `node add` others".to_owned();
            return Ok(Place { node: String::new(), reason });
        }
        if self.places.nodes().is_empty() {
            return Err(self.left_out.clone());
        }
        let wish = self.wish(spec).map_err(|error| vec![error.to_string()])?;
        let decision = place(&wish, &self.places);
        if let Some(node) = decision.placements.values().next() {
            let others = self.places.nodes().len();
            let reason = match others {
                1 => format!("fits on {node}"),
                _ => format!("fits best on {node} of {others} nodes"),
            };
            return Ok(Place { node: node.to_string(), reason });
        }
        let explanation = explain(&wish, &self.places, &decision);
        let failures = explanation
            .nodes
            .iter()
            .map(|verdict| format!("{}: {}", verdict.node, verdict.failures.join(", ")));
        Err(failures.chain(self.left_out.iter().cloned()).collect())
    }

    fn wish(&self, spec: &ModuleSpec) -> Result<placement::Wish, FleetError> {
        let name = DeploymentName::parse(spec.name.as_str())?;
        let release = Release {
            module: spec.name.to_string(),
            version: spec.version.to_string(),
            digest: String::new(),
        };
        let module = Resolved { release: release.clone(), spec: spec.clone(), containers: None };
        let wish = Wish {
            release,
            replicas: Replicas::Count(1),
            nodes: Vec::new(),
            selector: String::new(),
            config: spec.config.iter().filter_map(example).collect(),
            secrets: std::collections::BTreeMap::new(),
            restart: 0,
        };
        views::placement_wish(self.snapshot, &name, &wish, &module, None)
    }

    /// Leaves less for those that are chosen next.
    fn take(&mut self, hit: &Hit) {
        let spec = &self.modules[hit.document].newest().spec;
        self.chosen.push(spec.name.to_string());
        self.memory_left = self.memory_left.map(|left| left.saturating_sub(spec.requires.memory.0));
        let Ok(wish) = self.wish(spec) else { return };
        let decision = place(&wish, &self.places);
        for (instance, node) in &decision.placements {
            self.places.reserve(&wish, instance, node);
        }
    }
}

struct Place {
    node: String,
    reason: String,
}

/// Stands for what a person will have to set: only its being there matters here.
fn example(item: &modules::spec::config::ConfigItem) -> Option<(String, String)> {
    use modules::value::ValueType;
    if item.secret || item.default.is_some() || !item.required {
        return None;
    }
    let value = match item.kind {
        ValueType::Port => "auto",
        ValueType::Int => "1",
        ValueType::Bool => "false",
        _ => "x",
    };
    Some((item.name.to_string(), value.to_owned()))
}

/// Why a node is not one of those that were meant.
fn unsuitable(view: &NodeView, asked: &Needs) -> Option<String> {
    if !asked.nodes.is_empty() && !asked.nodes.iter().any(|node| node == view.name.as_str()) {
        return Some(format!("is not {}", asked.nodes.join(" or ")));
    }
    let missing = asked.labels.iter().find(|(key, value)| view.labels.get(key) != Some(value));
    if let Some((key, value)) = missing {
        return Some(format!("is not labelled {key}={value}"));
    }
    if let Some(arch) = asked.machine.arch.filter(|arch| arch.to_string() != view.arch) {
        return Some(format!("is {}, not {arch}", view.arch));
    }
    // Machines say a little less than what is printed on them.
    if let Some(memory) = asked.machine.memory.filter(|memory| view.memory_bytes > memory.0 + memory.0 / 4) {
        return Some(format!("has {}, not {memory}, of memory", in_mib(view.memory_bytes)));
    }
    let lacks = asked.machine.capabilities.iter().find(|capability| !view.capabilities.contains(*capability));
    lacks.map(|capability| format!("has no {capability}"))
}

/// A word in the description alone says too little.
fn is_answer(hit: &Hit) -> bool {
    let telling = |found: &&Match| found.field != Field::Description && found.kind != Kind::Prefix;
    let described = hit.matches.iter().filter(|found| found.kind == Kind::Exact).count();
    let in_name = hit.matches.iter().any(|found| found.field == Field::Name);
    hit.coverage >= COVERAGE && (hit.matches.iter().filter(telling).count() > 0 || in_name || described > 1)
}

fn why(hit: &Hit) -> String {
    let mut fields: Vec<String> = Vec::new();
    for found in &hit.matches {
        let text = match found.kind {
            Kind::Typo => {
                format!("{} (you wrote {}) in its {}", found.found, found.word, found.field.as_str())
            }
            Kind::Exact | Kind::Prefix => format!("{} in its {}", found.word, found.field.as_str()),
        };
        if !fields.contains(&text) {
            fields.push(text);
        }
    }
    fields.truncate(4);
    format!("has {}", fields.join(", "))
}

fn nothing_known(text: &str, hits: &[Hit], modules: &[Module]) -> String {
    match hits.first() {
        Some(hit) => format!(
            "no module is for {text:?}; the nearest is {}, which has only {}",
            modules[hit.document].newest().spec.name,
            hit.matches.iter().map(|found| found.word.as_str()).collect::<Vec<_>>().join(", ")
        ),
        None => {
            format!("no module has to do with {text:?}; `orchestrator import URL` makes one of a project")
        }
    }
}

fn constraints(asked: &Needs) -> Vec<String> {
    let machine = &asked.machine;
    let mut said = Vec::new();
    said.extend(machine.model.clone());
    said.extend(machine.arch.map(|arch| format!("arch={arch}")));
    said.extend(machine.memory.map(|memory| format!("memory {memory}")));
    said.extend(machine.disk.map(|disk| format!("disk {disk}")));
    said.extend(machine.cores.map(|cores| format!("{cores} cores")));
    said.extend(machine.capabilities.iter().cloned());
    said.extend(asked.nodes.iter().map(|node| format!("node {node}")));
    said.extend(asked.labels.iter().map(|(key, value)| format!("{key}={value}")));
    said
}

fn summary(needs: &[Need]) -> String {
    let chosen: Vec<&Suggestion> =
        needs.iter().flat_map(|need| &need.suggestions).filter(|one| one.chosen).collect();
    let memory: u64 = chosen.iter().map(|one| one.memory_bytes).sum();
    let unmet = needs.iter().filter(|need| !need.nothing.is_empty()).count();
    match (chosen.len(), unmet) {
        (0, 0) => "all of it is deployed already".to_owned(),
        (0, _) => "nothing fits".to_owned(),
        (_, 0) => format!("together they take {} of memory", in_mib(memory)),
        (_, unmet) => format!(
            "together they take {} of memory; {unmet} of {} needs are not met",
            in_mib(memory),
            needs.len()
        ),
    }
}

fn in_mib(bytes: u64) -> String {
    ByteSize(bytes >> 20 << 20).to_string()
}
