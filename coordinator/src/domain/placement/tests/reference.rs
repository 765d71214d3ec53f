//! Placement as one would write it first: every rule in turn, every node anew for every instance, nothing shared
//! with the fast one but the types and the weights. Also what the benchmark's results are checked against.

use std::collections::BTreeMap;

use super::{Decision, InstanceId, Liveness, NodeName, NodeView, Replicas, WEIGHTS, Wish};

pub fn place(wish: &Wish, views: &[NodeView]) -> Decision {
    let mut nodes: Vec<Node<'_>> = views.iter().map(Node::new).collect();
    nodes.sort_by(|one, other| one.view.name.cmp(&other.view.name));
    let settled = match wish.replicas {
        Replicas::EveryNode if !wish.exclusive => every_node(wish, &mut nodes),
        Replicas::EveryNode => count(wish, 1, &mut nodes),
        Replicas::Count(wanted) if wish.exclusive => count(wish, wanted.min(1), &mut nodes),
        Replicas::Count(wanted) => count(wish, wanted, &mut nodes),
    };
    let mut decision = Decision::default();
    for (id, name) in &settled {
        match name {
            Some(name) => {
                decision.placements.insert(id.clone(), name.clone());
                if nodes.iter().any(|node| node.view.name == *name && node.view.liveness != Liveness::Ready) {
                    decision.waiting.insert(id.clone());
                }
            }
            None => {
                decision.unplaced.insert(id.clone());
            }
        }
    }
    let gone = wish.current.iter().filter(|(id, _)| !settled.contains_key(id));
    decision.removed = gone.map(|(id, node)| (id.clone(), node.clone())).collect();
    decision
}

type Settled = BTreeMap<InstanceId, Option<NodeName>>;

fn count(wish: &Wish, wanted: u32, nodes: &mut [Node<'_>]) -> Settled {
    let mut settled = Settled::new();
    let mut homeless = BTreeMap::new();
    for (id, home) in &wish.current {
        let Some(node) = nodes.iter_mut().find(|node| node.view.name == *home) else {
            homeless.insert(id.clone(), None);
            continue;
        };
        let is_ready = node.view.liveness == Liveness::Ready;
        let may_stay = node.suits(wish) && node.has_ports(wish) && node.can_grow(wish);
        let flees = node.view.liveness == Liveness::Lost && !wish.keeps_data;
        if (wish.exclusive && !is_ready) || (may_stay && !flees) {
            node.keep(wish);
            settled.insert(id.clone(), Some(home.clone()));
        } else {
            homeless.insert(id.clone(), may_stay.then(|| home.clone()));
        }
    }
    while settled.len() > wanted as usize {
        remove_worst(wish, &mut settled, nodes);
    }
    for index in 0.. {
        if settled.len() + homeless.len() >= wanted as usize {
            break;
        }
        let id = InstanceId { deployment: wish.deployment.clone(), index };
        if !wish.current.contains_key(&id) {
            homeless.insert(id, None);
        }
    }
    // Those that had a place go before those that are new.
    let (old, new): (Vec<_>, Vec<_>) =
        homeless.into_iter().partition(|(id, _)| wish.current.contains_key(id));
    for (id, home) in old.into_iter().chain(new) {
        if settled.len() == wanted as usize {
            break;
        }
        let place = place_one(wish, home, nodes);
        settled.insert(id, place);
    }
    if let (true, Replicas::Count(asked)) = (wish.exclusive, wish.replicas) {
        for index in 0.. {
            if settled.len() >= asked as usize {
                break;
            }
            settled.entry(InstanceId { deployment: wish.deployment.clone(), index }).or_insert(None);
        }
    }
    settled
}

fn remove_worst(wish: &Wish, settled: &mut Settled, nodes: &mut [Node<'_>]) {
    let mut worst: Option<(InstanceId, usize)> = None;
    for (id, name) in settled.iter() {
        let at = nodes.iter().position(|node| Some(&node.view.name) == name.as_ref()).expect("a node");
        let is_worse = worst.as_ref().is_none_or(|(_, than)| {
            let (one, other) = (&nodes[at], &nodes[*than]);
            let key = |node: &Node<'_>| (node.view.liveness, node.view.cordoned, node.own);
            key(one) > key(other) || (key(one) == key(other) && one.score(wish) <= other.score(wish))
        });
        if is_worse {
            worst = Some((id.clone(), at));
        }
    }
    let (id, at) = worst.expect("there is a surplus");
    settled.remove(&id);
    nodes[at].own -= 1;
}

fn place_one(wish: &Wish, home: Option<NodeName>, nodes: &mut [Node<'_>]) -> Option<NodeName> {
    let waits = !wish.nodes.is_empty() || wish.replicas == Replicas::EveryNode;
    let mut here: Option<usize> = None;
    let mut waiting: Option<usize> = None;
    for (number, node) in nodes.iter().enumerate() {
        if node.view.cordoned || !node.suits(wish) || !node.has_ports(wish) || !node.fits(wish) {
            continue;
        }
        let best = match node.view.liveness {
            Liveness::Ready => &mut here,
            Liveness::Unknown | Liveness::Lost if waits => &mut waiting,
            Liveness::Unknown | Liveness::Lost => continue,
        };
        if best.is_none_or(|best| node.score(wish) > nodes[best].score(wish)) {
            *best = Some(number);
        }
    }
    if let Some(home) = home {
        let home = nodes.iter().position(|node| node.view.name == home)?;
        let goes = here.is_some_and(|here| !waits || nodes[here].own <= nodes[home].own);
        let node = &mut nodes[home];
        if !goes && node.suits(wish) && node.has_ports(wish) && node.can_grow(wish) {
            node.keep(wish);
            return Some(node.view.name.clone());
        }
    }
    if let (Some(one), Some(other)) = (here, waiting)
        && nodes[other].own < nodes[one].own
    {
        here = None;
    }
    let node = &mut nodes[here.or(waiting)?];
    node.take(wish);
    Some(node.view.name.clone())
}

fn every_node(wish: &Wish, nodes: &mut [Node<'_>]) -> Settled {
    let mut settled = Settled::new();
    let mut next = 0;
    let mut new = |wish: &Wish| loop {
        let id = InstanceId { deployment: wish.deployment.clone(), index: next };
        next += 1;
        if !wish.current.contains_key(&id) {
            return id;
        }
    };
    for node in nodes {
        if !node.suits(wish) {
            continue;
        }
        let name = &node.view.name;
        if let Some((id, _)) = wish.current.iter().find(|(_, home)| *home == name) {
            let stays = node.has_ports(wish) && node.can_grow(wish);
            settled.insert(id.clone(), stays.then(|| name.clone()));
        } else if !node.view.cordoned {
            let fits = node.has_ports(wish) && node.fits(wish);
            settled.insert(new(wish), fits.then(|| name.clone()));
        }
    }
    settled
}

/// Thousandths of cores, pages of 4 KiB, MiB of disk.
struct Node<'a> {
    view: &'a NodeView,
    own: u32,
    cpu_unreserved: i64,
    cpu_idle: i64,
    memory_unreserved: i64,
    memory_free: i64,
    disk_free: i64,
    instances: i64,
}

const MOST: u64 = i32::MAX as u64 - 1;

fn is_sensible(cores: f64) -> bool {
    (0.0..=4096.0).contains(&cores)
}

fn millis(cores: f64, otherwise: i64) -> i64 {
    if is_sensible(cores) { (cores * 1000.0).round() as i64 } else { otherwise }
}

fn asked(bytes: u64, unit: u64) -> i64 {
    bytes.div_ceil(unit).min(MOST + 1) as i64
}

impl<'a> Node<'a> {
    fn new(view: &'a NodeView) -> Self {
        let cores = millis(view.cpu_cores, 0);
        let cpu_unreserved = (cores - millis(view.reserved.cpu_cores, cores)).max(0);
        let cpu_idle = (cores - millis(view.cpu_busy_cores, cores)).clamp(0, cpu_unreserved);
        let unreserved = view.memory_bytes.saturating_sub(view.reserved.memory_bytes);
        Self {
            view,
            own: 0,
            cpu_unreserved,
            cpu_idle,
            memory_unreserved: (unreserved / 4096).min(MOST) as i64,
            memory_free: (unreserved.min(view.memory_available_bytes) / 4096).min(MOST) as i64,
            disk_free: (view.disk_free_bytes >> 20).min(MOST) as i64,
            instances: i64::from(view.instances).min(MOST as i64),
        }
    }

    fn suits(&self, wish: &Wish) -> bool {
        let view = self.view;
        (wish.nodes.is_empty() || wish.nodes.contains(&view.name))
            && (wish.requires.arch.is_empty() || wish.requires.arch.contains(&view.arch))
            && wish.requires.capabilities.iter().all(|capability| has_capability(view, capability))
            && wish
                .selector
                .to_string()
                .split(',')
                .filter(|term| !term.is_empty())
                .all(|term| holds(view, term))
    }

    fn has_ports(&self, wish: &Wish) -> bool {
        let is_own = |holder: &String| holder.starts_with(&format!("{}/", wish.deployment));
        let free = |holder: Option<&String>| holder.is_none_or(is_own);
        wish.ports.is_empty()
            || (self.own == 0 && wish.ports.iter().all(|port| free(self.view.ports_taken.get(port))))
    }

    fn need(wish: &Wish) -> (i64, i64, i64) {
        let requires = &wish.requires;
        let cpu = millis(requires.cpu_cores, MOST as i64 + 1);
        (cpu, asked(requires.memory_bytes, 4096), asked(requires.disk_bytes, 1 << 20))
    }

    fn growth(wish: &Wish) -> (i64, i64) {
        let (cpu, memory, _) = Self::need(wish);
        wish.holds.map_or((0, 0), |holds| {
            let (has_cpu, has_memory) = (millis(holds.cpu_cores, 0), asked(holds.memory_bytes, 4096));
            ((cpu - has_cpu).max(0), (memory - has_memory).max(0))
        })
    }

    fn can_grow(&self, wish: &Wish) -> bool {
        let (cpu, memory) = Self::growth(wish);
        (cpu == 0 || cpu <= self.cpu_unreserved) && (memory == 0 || memory <= self.memory_unreserved)
    }

    fn fits(&self, wish: &Wish) -> bool {
        let (cpu, memory, disk) = Self::need(wish);
        cpu <= self.cpu_unreserved && memory <= self.memory_free && disk <= self.disk_free
    }

    fn keep(&mut self, wish: &Wish) {
        let (cpu, memory) = Self::growth(wish);
        self.own += 1;
        self.cpu_unreserved -= cpu;
        self.cpu_idle = (self.cpu_idle - cpu).max(0);
        self.memory_unreserved -= memory;
        self.memory_free = (self.memory_free - memory).max(0);
    }

    fn take(&mut self, wish: &Wish) {
        let (cpu, memory, disk) = Self::need(wish);
        self.own += 1;
        self.instances = (self.instances + 1).min(i64::from(i32::MAX));
        self.cpu_unreserved -= cpu;
        self.cpu_idle = (self.cpu_idle - cpu).max(0);
        self.memory_unreserved -= memory;
        self.memory_free -= memory;
        self.disk_free -= disk;
    }

    fn score(&self, wish: &Wish) -> f32 {
        let (cpu, memory, disk) = Self::need(wish);
        let left = |free: i64, asked: i64, total: i64| {
            if total == 0 { 0.0 } else { ((free - asked) as f32 * (1.0 / total as f32)).max(0.0) }
        };
        let memory_total = (self.view.memory_bytes / 4096).min(MOST) as i64;
        let disk_free = (self.view.disk_free_bytes >> 20).min(MOST) as i64;
        let disk_total = ((self.view.disk_bytes >> 20).min(MOST) as i64).max(disk_free);
        let mut score = 0.0;
        for (name, weight) in WEIGHTS {
            let part = match name {
                "cpu" => left(self.cpu_idle, cpu, millis(self.view.cpu_cores, 0)),
                "memory" => left(self.memory_free, memory, memory_total),
                "disk" => left(self.disk_free, disk, disk_total),
                "instances" => 8.0 / (8.0 + self.instances as f32),
                "package" if self.view.releases.contains(&wish.digest) => 1.0,
                "package" => 0.0,
                "spread" => 1.0 / (1.0 + self.own as f32),
                _ => panic!("no rule for {name}"),
            };
            score += part * weight;
        }
        score
    }
}

fn has_capability(view: &NodeView, capability: &str) -> bool {
    if let Some(arch) = capability.strip_prefix("arch=") {
        return view.arch == arch;
    }
    if let Some(label) = capability.strip_prefix("label:") {
        return holds(view, label);
    }
    let higher = |level: char| ('1'..='9').filter(move |other| *other >= level);
    match capability.strip_prefix("sandbox.t").and_then(|level| level.parse::<char>().ok()) {
        Some(level) => higher(level).any(|level| view.capabilities.contains(&format!("sandbox.t{level}"))),
        None => view.capabilities.contains(capability),
    }
}

fn holds(view: &NodeView, term: &str) -> bool {
    if let Some(term) = term.strip_prefix('!') {
        return !holds(view, term);
    }
    if let Some((key, value)) = term.split_once("!=") {
        return !holds(view, &format!("{key}={value}"));
    }
    match term.split_once('=') {
        Some(("arch", arch)) => view.arch == arch,
        Some(("node", name)) => view.name.as_str() == name,
        Some((key, value)) => {
            view.labels.get(key).is_some_and(|found| found == value) || view.capabilities.contains(term)
        }
        None if term == "cordoned" => view.cordoned,
        None => view.labels.contains_key(term) || has_capability(view, term),
    }
}
