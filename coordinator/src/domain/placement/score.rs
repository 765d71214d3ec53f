//! The arithmetic of placement: whether a node's resources suffice, and how good a place it is.
//!
//! One formula serves all: a whole chunk of nodes at once (written so that the compiler vectorises it), one node
//! again after an instance was placed there, and the explanation. So the figures shown are the figures decided on.

use super::Requirements;
use super::view::{NodeView, Reserved};

/// Below every real score: each has a share of the weight of spread.
pub(super) const INELIGIBLE: f32 = 0.0;

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
    /// What the instances leave of the node's calm: 8 / (8 + instances).
    pub calm: f32,
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
        let instances = i32::try_from(node.instances).unwrap_or(MOST);
        Self {
            cpu_unreserved,
            cpu_idle: cpu_unreserved.min(cores - millicores(node.cpu_busy_cores, cores)).max(0),
            memory_unreserved: units_down(memory_unreserved, PAGE),
            memory_free: units_down(memory_unreserved.min(node.memory_available_bytes), PAGE),
            disk_free,
            instances,
            calm: calm(instances),
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
        self.calm = calm(self.instances);
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
            self.calm,
            package,
            spread,
        ]
    }
}

pub(super) fn share(total: i32) -> f32 {
    if total > 0 { 1.0 / total as f32 } else { 0.0 }
}

pub(super) fn calm(instances: i32) -> f32 {
    8.0 / (8.0 + instances as f32)
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
