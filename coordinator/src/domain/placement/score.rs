//! The arithmetic of placement: whether a node's resources suffice, and how good a place it is.
//!
//! One formula serves all: a whole chunk of nodes at once (written so that the compiler vectorises it), one node
//! again after an instance was placed there, and the explanation. So the figures shown are the figures decided on.

use super::Requirements;
use super::view::{NodeView, Reserved};

/// Nodes per chunk; also the bits of one word of a node set.
pub(super) const LANES: usize = 32;
/// Below every real score.
pub(super) const INELIGIBLE: f32 = -1.0;

/// Names and weights of the parts of a score. Each part is in 0..=1 and the weights sum to 1.
///
/// Spread outweighs all the others together, so two instances of a deployment share a node only where every
/// other eligible node has one already. Real load comes next; a package that is there already saves an upload.
pub const WEIGHTS: [(&str, f32); 6] = [
    // Unused and unreserved cores that are left after placing, of all cores.
    ("cpu", 0.09),
    // Available and unreserved memory that is left after placing, of all memory.
    ("memory", 0.09),
    // Free disk that is left after placing, of the whole disk.
    ("disk", 0.03),
    // 8 / (8 + instances on the node).
    ("instances", 0.04),
    // The package is on the node already.
    ("package", 0.05),
    // 1 / (1 + instances of the same deployment on the node).
    ("spread", 0.70),
];

pub(super) const PAGE: u64 = 4096;
pub(super) const DISK_UNIT: u64 = 1 << 20;
/// What a node can have at most; a need saturates above it and so never fits.
const MOST: i32 = i32::MAX - 1;
/// More cores than this is garbage.
const MOST_CORES: f64 = 4096.0;

/// Thousandths of a core; what is no sensible number counts as `garbage`.
fn millicores(cores: f64, garbage: i32) -> i32 {
    if (0.0..=MOST_CORES).contains(&cores) { (cores * 1000.0).round() as i32 } else { garbage }
}

fn units_down(bytes: u64, unit: u64) -> i32 {
    i32::try_from(bytes / unit).map_or(MOST, |units| units.min(MOST))
}

fn units_up(bytes: u64, unit: u64) -> i32 {
    i32::try_from(bytes.div_ceil(unit)).unwrap_or(i32::MAX)
}

/// What one instance asks for, in whole units, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub cpu: i32,
    pub memory: i32,
    pub disk: i32,
}

impl Need {
    pub const NONE: Self = Self { cpu: 0, memory: 0, disk: 0 };

    pub fn of(requires: &Requirements) -> Self {
        Self {
            cpu: millicores(requires.cpu_cores, i32::MAX),
            memory: units_up(requires.memory_bytes, PAGE),
            disk: units_up(requires.disk_bytes, DISK_UNIT),
        }
    }

    /// What an instance that stays where it is asks for on top of what it holds already.
    pub fn growth(self, holds: &Reserved) -> Self {
        Self {
            cpu: (self.cpu - millicores(holds.cpu_cores, 0)).max(0),
            memory: (self.memory - units_up(holds.memory_bytes, PAGE)).max(0),
            disk: 0,
        }
    }
}

/// What one node has left, in whole units, rounded down; and what its totals weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub cpu_unreserved: i32,
    /// Neither reserved nor busy.
    pub cpu_idle: i32,
    pub memory_unreserved: i32,
    /// Neither reserved nor in use.
    pub memory_free: i32,
    pub disk_free: i32,
    pub instances: i32,
    pub per_cpu: f32,
    pub per_memory: f32,
    pub per_disk: f32,
}

impl Row {
    pub fn of(node: &NodeView) -> Self {
        let cores = millicores(node.cpu_cores, 0);
        let cpu_unreserved = (cores - millicores(node.reserved.cpu_cores, cores)).max(0);
        let memory_unreserved = node.memory_bytes.saturating_sub(node.reserved.memory_bytes);
        let disk_free = units_down(node.disk_free_bytes, DISK_UNIT);
        Self {
            cpu_unreserved,
            cpu_idle: cpu_unreserved.min(cores - millicores(node.cpu_busy_cores, cores)).max(0),
            memory_unreserved: units_down(memory_unreserved, PAGE),
            memory_free: units_down(memory_unreserved.min(node.memory_available_bytes), PAGE),
            disk_free,
            instances: i32::try_from(node.instances).unwrap_or(MOST),
            per_cpu: share(cores),
            per_memory: share(units_down(node.memory_bytes, PAGE)),
            per_disk: share(units_down(node.disk_bytes, DISK_UNIT).max(disk_free)),
        }
    }

    /// Takes what a new instance needs.
    pub fn reserve(&mut self, need: &Need) {
        self.grow(need);
        self.disk_free = self.disk_free.saturating_sub(need.disk);
        self.instances = self.instances.saturating_add(1);
    }

    /// Whether an instance that is here already may take `growth` on top. Its present use is its own, so only
    /// promises count.
    pub fn fits_growth(&self, growth: &Need) -> bool {
        (growth.cpu == 0 || self.cpu_unreserved >= growth.cpu)
            && (growth.memory == 0 || self.memory_unreserved >= growth.memory)
    }

    pub fn grow(&mut self, growth: &Need) {
        self.cpu_unreserved = self.cpu_unreserved.saturating_sub(growth.cpu);
        self.cpu_idle = self.cpu_idle.saturating_sub(growth.cpu).max(0);
        self.memory_unreserved = self.memory_unreserved.saturating_sub(growth.memory);
        self.memory_free = self.memory_free.saturating_sub(growth.memory).max(0);
    }

    #[inline(always)]
    pub fn fits(&self, need: &Need) -> bool {
        (self.cpu_unreserved >= need.cpu) & (self.memory_free >= need.memory) & (self.disk_free >= need.disk)
    }

    /// The parts of the score in the order of `WEIGHTS`; meaningful where the need fits.
    #[inline(always)]
    pub fn parts(&self, need: &Need, package: f32, spread: f32) -> [f32; 6] {
        [
            positive((self.cpu_idle.wrapping_sub(need.cpu)) as f32 * self.per_cpu),
            positive((self.memory_free.wrapping_sub(need.memory)) as f32 * self.per_memory),
            positive((self.disk_free.wrapping_sub(need.disk)) as f32 * self.per_disk),
            8.0 / (8.0 + self.instances as f32),
            package,
            spread,
        ]
    }
}

fn share(total: i32) -> f32 {
    if total > 0 { 1.0 / total as f32 } else { 0.0 }
}

#[inline(always)]
fn positive(value: f32) -> f32 {
    if value > 0.0 { value } else { 0.0 }
}

/// The part for spread where `own` instances of the same deployment are on the node.
pub(super) fn spread(own: u32) -> f32 {
    1.0 / (1.0 + own as f32)
}

#[inline(always)]
pub(super) fn total(parts: &[f32; 6]) -> f32 {
    let mut sum = 0.0;
    for (part, (_, weight)) in parts.iter().zip(&WEIGHTS) {
        sum += part * weight;
    }
    sum
}

/// The rows of `LANES` nodes, one array per column.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    cpu_unreserved: [i32; LANES],
    cpu_idle: [i32; LANES],
    memory_unreserved: [i32; LANES],
    memory_free: [i32; LANES],
    disk_free: [i32; LANES],
    instances: [i32; LANES],
    per_cpu: [f32; LANES],
    per_memory: [f32; LANES],
    per_disk: [f32; LANES],
}

/// `1 << lane` as a table: baseline x86-64 cannot shift lanes by different amounts.
const BIT: [u32; LANES] = {
    let mut bits = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        bits[lane] = 1 << lane;
        lane += 1;
    }
    bits
};

impl Chunk {
    pub const EMPTY: Self = Self {
        cpu_unreserved: [0; LANES],
        cpu_idle: [0; LANES],
        memory_unreserved: [0; LANES],
        memory_free: [0; LANES],
        disk_free: [0; LANES],
        instances: [0; LANES],
        per_cpu: [0.0; LANES],
        per_memory: [0.0; LANES],
        per_disk: [0.0; LANES],
    };

    #[inline(always)]
    pub fn row(&self, lane: usize) -> Row {
        Row {
            cpu_unreserved: self.cpu_unreserved[lane],
            cpu_idle: self.cpu_idle[lane],
            memory_unreserved: self.memory_unreserved[lane],
            memory_free: self.memory_free[lane],
            disk_free: self.disk_free[lane],
            instances: self.instances[lane],
            per_cpu: self.per_cpu[lane],
            per_memory: self.per_memory[lane],
            per_disk: self.per_disk[lane],
        }
    }

    pub fn set(&mut self, lane: usize, row: &Row) {
        self.cpu_unreserved[lane] = row.cpu_unreserved;
        self.cpu_idle[lane] = row.cpu_idle;
        self.memory_unreserved[lane] = row.memory_unreserved;
        self.memory_free[lane] = row.memory_free;
        self.disk_free[lane] = row.disk_free;
        self.instances[lane] = row.instances;
        self.per_cpu[lane] = row.per_cpu;
        self.per_memory[lane] = row.per_memory;
        self.per_disk[lane] = row.per_disk;
    }

    /// Scores every node as if none had an instance of the deployment; returns the best score.
    pub fn score(&self, need: &Need, eligible: u32, package: u32, scores: &mut [f32; LANES]) -> f32 {
        for lane in 0..LANES {
            let row = self.row(lane);
            let fits = row.fits(need) & (eligible & BIT[lane] != 0);
            let package = if package & BIT[lane] != 0 { 1.0 } else { 0.0 };
            let score = total(&row.parts(need, package, 1.0));
            scores[lane] = if fits { score } else { INELIGIBLE };
        }
        best(scores)
    }
}

pub(super) fn best(scores: &[f32; LANES]) -> f32 {
    let mut best = [INELIGIBLE; 4];
    for quad in scores.chunks_exact(4) {
        for (best, score) in best.iter_mut().zip(quad) {
            *best = if *score > *best { *score } else { *best };
        }
    }
    best.into_iter().fold(INELIGIBLE, f32::max)
}
