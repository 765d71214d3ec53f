//! The rows of all nodes in columns, and one pass over them: filter and score, branch-free, so that the compiler
//! vectorises it.

use super::score::{INELIGIBLE, Need, Row, total};

/// Nodes per chunk; also the bits of one word of a node set.
pub(super) const LANES: usize = 32;

/// The rows of `LANES` nodes, one array per column.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    cpu_unreserved: [i32; LANES],
    cpu_idle: [i32; LANES],
    memory_unreserved: [i32; LANES],
    memory_free: [i32; LANES],
    disk_free: [i32; LANES],
    instances: [i32; LANES],
    calm: [f32; LANES],
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
        calm: [0.0; LANES],
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
            calm: self.calm[lane],
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
        self.calm[lane] = row.calm;
        self.per_cpu[lane] = row.per_cpu;
        self.per_memory[lane] = row.per_memory;
        self.per_disk[lane] = row.per_disk;
    }

    /// Scores every node as if none had an instance of the deployment; returns the best score.
    #[inline(always)]
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

/// The best score of each chunk. Which nodes are eligible and which have the package is told by one word for each.
pub(super) fn scan(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the line above asked whether this processor has AVX2.
        return unsafe { scan_with_avx2(chunks, need, eligible, package) };
    }
    scan_lanes(chunks, need, eligible, package)
}

/// The same code, hence the same scores, for twice as many lanes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn scan_with_avx2(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Vec<f32> {
    scan_lanes(chunks, need, eligible, package)
}

#[inline(always)]
fn scan_lanes(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Vec<f32> {
    let mut scores = [INELIGIBLE; LANES];
    let mut maxima = vec![INELIGIBLE; chunks.len()];
    for (((chunk, eligible), package), maximum) in chunks.iter().zip(eligible).zip(package).zip(&mut maxima) {
        if *eligible != 0 {
            *maximum = chunk.score(need, *eligible, *package, &mut scores);
        }
    }
    maxima
}

/// The best of the scores of a chunk.
#[inline(always)]
pub(super) fn best(scores: &[f32; LANES]) -> f32 {
    let mut best = *scores;
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            best[lane] = larger(best[lane], best[lane + half]);
        }
        half /= 2;
    }
    best[0]
}

/// Scores are never NaN, and `f32::max` would pay for it.
#[inline(always)]
pub(super) fn larger(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::super::score::{calm, share};
    use super::*;

    #[test]
    fn a_chunk_scores_each_node_as_it_is_scored_alone() {
        let mut chunk = Chunk::EMPTY;
        for lane in 0..LANES {
            let free = lane as i32 * 7919;
            let row = Row {
                cpu_unreserved: free,
                cpu_idle: free / 3,
                memory_unreserved: free * 5,
                memory_free: free * 4,
                disk_free: free * 11,
                instances: free % 13,
                calm: calm(free % 13),
                per_cpu: share(free * 2),
                per_memory: share(free * 6),
                per_disk: share(free * 17),
            };
            chunk.set(lane, &row);
        }
        let need = Need { cpu: 9_000, memory: 70_001, disk: 3 };
        let (eligible, package) = (0xdead_beef, 0x1234_5678);
        let mut scores = [0.0; LANES];
        let best = chunk.score(&need, eligible, package, &mut scores);
        assert_eq!(best, scores.into_iter().fold(INELIGIBLE, f32::max));
        for (lane, score) in scores.into_iter().enumerate() {
            let row = chunk.row(lane);
            let is_eligible = row.fits(&need) && eligible & BIT[lane] != 0;
            let package = if package & BIT[lane] != 0 { 1.0 } else { 0.0 };
            let expected = if is_eligible { total(&row.parts(&need, package, 1.0)) } else { INELIGIBLE };
            assert_eq!(score.to_bits(), expected.to_bits(), "lane {lane}");
        }
        let chunks = [chunk.clone(), chunk];
        for scan in [scan, scan_lanes] {
            assert_eq!(scan(&chunks, &need, &[0, eligible], &[0, package]), [INELIGIBLE, best]);
        }
    }
}
