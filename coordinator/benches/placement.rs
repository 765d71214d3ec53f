//! Placement decisions a second. `cargo bench -p coordinator --bench placement`
//!
//! One decision places one more instance of a wish: it evaluates the filters and the score of every node of the
//! fleet and reserves what the instance needs. There are 20 wishes that differ in architecture, capabilities,
//! selector, ports and amounts, each with up to eight instances that run and stay; they take turns. After every
//! decision the fleet changes: a node reports another load, and the oldest instance of the wish ends. The figures
//! of `decide and change` include these changes; `change alone` shows their part. Before anything is timed, the
//! same course of decisions is compared, one by one, with the naive reference of the tests.
//!
//! How it is fast: filters are word operations on sets of nodes from an inverted index, so they cost the same for
//! any number of labels; resources and scores are one branch-free pass over chunks of 32 nodes in columns, which
//! the compiler vectorises, for AVX2 where the processor has it. Nothing is cached between decisions. Only where one call places several instances is the best score of each chunk kept: a placed instance
//! changes one node, and one chunk.
//!
//! One thread. Other load on the machine shows in the median; the best round says what the code can do.

use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;
use std::time::Instant;

use coordinator::domain::placement::{
    Decision, HostPort, Liveness, NodeView, Replicas, Requirements, Selector, Snapshot, WEIGHTS, Wish,
    explain, place,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::ids::{DeploymentName, InstanceId, NodeName};

#[path = "../src/domain/placement/tests/reference.rs"]
mod reference;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Instances of each wish that run at a time.
const RUNNING: usize = 8;

fn benches(criterion: &mut Criterion) {
    agrees_with_the_reference(400, 600);
    agrees_with_the_reference(5_000, 60);
    let mut group = criterion.benchmark_group("placement");
    for nodes in [5_000, 100_000] {
        let mut fleet = Fleet::new(nodes);
        for _ in 0..500 {
            fleet.decide();
            fleet.change();
        }
        print_rate(&mut fleet, nodes);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("decide and change, {nodes} nodes"), |bencher| {
            bencher.iter(|| {
                black_box(fleet.decide());
                fleet.change();
            });
        });
        group.bench_function(format!("change alone, {nodes} nodes"), |bencher| {
            bencher.iter(|| {
                fleet.turn += 1;
                fleet.change();
            });
        });
    }
    let fleet = Fleet::new(5_000);
    let many = Wish { replicas: Replicas::Count(1_000), ..fleet.wishes[0].clone() };
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1000 instances of one wish, 5000 nodes", |bencher| {
        bencher.iter(|| black_box(place(&many, &fleet.snapshot)));
    });
    group.throughput(Throughput::Elements(1));
    let decision = place(&fleet.wishes[3], &fleet.snapshot);
    group.bench_function("explain, 5000 nodes", |bencher| {
        bencher.iter(|| black_box(explain(&fleet.wishes[3], &fleet.snapshot, &decision)));
    });
    group.finish();
}

criterion_group!(placement, benches);
criterion_main!(placement);

fn print_rate(fleet: &mut Fleet, nodes: usize) {
    const DECISIONS: u32 = 100;
    let round = |fleet: &mut Fleet| {
        let start = Instant::now();
        for _ in 0..DECISIONS {
            black_box(fleet.decide());
            fleet.change();
        }
        f64::from(DECISIONS) / start.elapsed().as_secs_f64()
    };
    let mut rates: Vec<f64> = (0..100).map(|_| round(fleet)).collect();
    rates.sort_by(f64::total_cmp);
    let (median, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{nodes} nodes: {median:.0} decisions/s in the median, {best:.0} in the best round");
}

fn agrees_with_the_reference(nodes: usize, decisions: usize) {
    let mut fleet = Fleet::new(nodes);
    let mut used = BTreeSet::new();
    for number in 0..decisions {
        let wish = fleet.next_wish();
        let expected = reference::place(&wish, fleet.snapshot.nodes());
        let got = fleet.decide();
        assert_eq!(got, expected, "decision {number} on {nodes} nodes");
        used.extend(got.placements.into_values());
        fleet.change();
    }
    println!("{decisions} decisions on {nodes} nodes agree with the reference; {} nodes used", used.len());
}

/// A fleet in use: decisions and changes take turns.
struct Fleet {
    snapshot: Snapshot,
    wishes: Vec<Wish>,
    /// Of each wish, the oldest first.
    running: Vec<VecDeque<InstanceId>>,
    turn: usize,
    random: Random,
}

impl Fleet {
    fn new(nodes: usize) -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let views = (0..nodes).map(|number| any_node(number, &mut random)).collect();
        let wishes: Vec<Wish> = (0..20).map(wish).collect();
        let running = vec![VecDeque::new(); wishes.len()];
        Self { snapshot: Snapshot::new(views), wishes, running, turn: 0, random }
    }

    fn next_wish(&self) -> Wish {
        let mut wish = self.wishes[self.turn % self.wishes.len()].clone();
        wish.replicas = Replicas::Count(wish.current.len() as u32 + 1);
        wish
    }

    /// Places one more instance of the next wish.
    fn decide(&mut self) -> Decision {
        let number = self.turn % self.wishes.len();
        self.turn += 1;
        let wish = &mut self.wishes[number];
        wish.replicas = Replicas::Count(wish.current.len() as u32 + 1);
        let decision = place(wish, &self.snapshot);
        for (instance, node) in &decision.placements {
            if !wish.current.contains_key(instance) {
                self.snapshot.reserve(wish, instance, node);
                wish.current.insert(instance.clone(), node.clone());
                self.running[number].push_back(instance.clone());
            }
        }
        decision
    }

    /// A node reports another load, and the oldest instance of the last wish ends.
    fn change(&mut self) {
        let nodes = self.snapshot.nodes();
        let mut view = nodes[self.random.below(nodes.len() as u64) as usize].clone();
        view.cpu_busy_cores = view.cpu_cores * self.random.share();
        view.memory_available_bytes = (view.memory_bytes as f64 * self.random.share()) as u64;
        self.snapshot.replace(view);
        let number = (self.turn - 1) % self.wishes.len();
        let (wish, running) = (&mut self.wishes[number], &mut self.running[number]);
        if running.len() < RUNNING {
            return;
        }
        let ended = running.pop_front().and_then(|id| wish.current.remove(&id));
        let Some(view) = ended.and_then(|node| self.snapshot.get(&node)) else { return };
        let mut view = view.clone();
        view.instances -= 1;
        view.reserved.cpu_cores = (view.reserved.cpu_cores - wish.requires.cpu_cores).max(0.0);
        view.reserved.memory_bytes -= wish.requires.memory_bytes;
        view.disk_free_bytes += wish.requires.disk_bytes;
        for port in &wish.ports {
            view.ports_taken.remove(port);
        }
        self.snapshot.replace(view);
    }
}

fn any_node(number: usize, random: &mut Random) -> NodeView {
    const ARCHES: [&str; 4] = ["x86_64", "x86_64", "aarch64", "armv7"];
    const ROOMS: [&str; 5] = ["attic", "kitchen", "cellar", "lab", "office"];
    let name = NodeName::parse(&format!("node-{number:06}")).expect("a node name");
    let cores = [4.0, 4.0, 8.0, 16.0, 64.0][random.below(5) as usize];
    let memory = [2, 4, 8, 32, 128][random.below(5) as usize] * GIB;
    let disk = [32, 64, 512, 2048][random.below(4) as usize] * GIB;
    let mut capabilities = BTreeSet::from(["apt".to_owned(), "python3".to_owned()]);
    for (capability, share) in [("docker", 0.5), ("gpu", 0.1), ("gpio", 0.3), ("sandbox.t2", 0.4)] {
        if random.share() < share {
            capabilities.insert(capability.to_owned());
        }
    }
    NodeView {
        arch: ARCHES[random.below(4) as usize].to_owned(),
        capabilities,
        labels: [
            ("room".to_owned(), ROOMS[random.below(5) as usize].to_owned()),
            ("host".to_owned(), name.to_string()),
        ]
        .into(),
        cordoned: random.share() < 0.02,
        liveness: if random.share() < 0.02 { Liveness::Unknown } else { Liveness::Ready },
        cpu_cores: cores,
        cpu_busy_cores: cores * random.share(),
        memory_bytes: memory,
        memory_available_bytes: (memory as f64 * random.share()) as u64,
        disk_bytes: disk,
        disk_free_bytes: (disk as f64 * random.share()) as u64,
        instances: random.below(6) as u32,
        releases: (0..20).filter(|_| random.share() < 0.1).map(digest).collect(),
        ..NodeView::new(name)
    }
}

fn digest(number: u32) -> String {
    format!("sha256:{number:064x}")
}

fn wish(number: u32) -> Wish {
    let deployment = DeploymentName::parse(&format!("wish-{number}")).expect("a deployment name");
    let pick = |texts: &[&str]| texts[number as usize % texts.len()].to_owned();
    let list = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let selector = pick(&["", "room=attic", "", "room!=kitchen,!gpu", "", "arch=x86_64", "docker"]);
    Wish {
        requires: Requirements {
            arch: list(pick(&["", "x86_64 aarch64", "", "aarch64 armv7"])),
            cpu_cores: f64::from(number % 5) / 10.0,
            memory_bytes: (64 + 96 * u64::from(number % 9)) * MIB,
            disk_bytes: 50 * u64::from(number % 7) * MIB,
            capabilities: list(pick(&["apt", "docker", "", "gpio apt", "sandbox.t2"])),
        },
        selector: Selector::parse(&selector).expect("a selector"),
        ports: number.is_multiple_of(4).then(|| HostPort::tcp(8000 + number as u16)).into_iter().collect(),
        ..Wish::new(deployment, digest(number))
    }
}

/// xorshift64: the same fleet every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn share(&mut self) -> f64 {
        self.below(1 << 20) as f64 / (1 << 20) as f64
    }
}
