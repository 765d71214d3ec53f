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

    #[inline(always)]
    fn score(&self, need: &Need, eligible: u32, package: u32) -> [f32; LANES] {
        let mut scores = [INELIGIBLE; LANES];
        for lane in 0..LANES {
            let row = self.row(lane);
            let fits = row.fits(need) & (eligible & BIT[lane] != 0);
            let package = if package & BIT[lane] != 0 { 1.0 } else { 0.0 };
            let score = total(&row.parts(need, package, 1.0));
            scores[lane] = if fits { score } else { INELIGIBLE };
        }
        scores
    }
}

/// The scores of all nodes, and the best of each chunk.
pub(super) type Scores = (Vec<[f32; LANES]>, Vec<f32>);

/// Scores every node as if none had an instance of the deployment.
pub(super) fn score_all(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Scores {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has just said that it has AVX2.
        return unsafe { score_all_avx2(chunks, need, eligible, package) };
    }
    score_all_portable(chunks, need, eligible, package)
}

/// The same code, compiled for vectors twice as wide; the results are the same to the bit.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn score_all_avx2(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Scores {
    score_all_portable(chunks, need, eligible, package)
}

#[inline(always)]
fn score_all_portable(chunks: &[Chunk], need: &Need, eligible: &[u32], package: &[u32]) -> Scores {
    let mut scores = Vec::with_capacity(chunks.len());
    let mut maxima = Vec::with_capacity(chunks.len());
    for ((chunk, eligible), package) in chunks.iter().zip(eligible).zip(package) {
        let chunk_scores = chunk.score(need, *eligible, *package);
        maxima.push(best(&chunk_scores));
        scores.push(chunk_scores);
    }
    (scores, maxima)
}

#[inline(always)]
pub(super) fn best(scores: &[f32; LANES]) -> f32 {
    let mut best = [INELIGIBLE; 8];
    for eight in scores.chunks_exact(8) {
        for (best, score) in best.iter_mut().zip(eight) {
            *best = if *score > *best { *score } else { *best };
        }
    }
    best.into_iter().fold(INELIGIBLE, f32::max)
}

#[cfg(test)]
mod tests {
    use super::super::score::{calm, share};
    use super::*;

    #[test]
    fn scores_are_the_same_to_the_bit_on_every_processor() {
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
        let (scores, maxima) = score_all(&[chunk.clone()], &need, &[0xdead_beef], &[0x1234_5678]);
        let (portable, _) = score_all_portable(&[chunk.clone()], &need, &[0xdead_beef], &[0x1234_5678]);
        assert_eq!(scores[0].map(f32::to_bits), portable[0].map(f32::to_bits));
        assert_eq!(maxima[0], scores[0].into_iter().fold(INELIGIBLE, f32::max));
        for (lane, score) in scores[0].into_iter().enumerate() {
            let row = chunk.row(lane);
            let is_eligible = row.fits(&need) && 0xdead_beef_u32 & BIT[lane] != 0;
            let package = if 0x1234_5678 & BIT[lane] != 0 { 1.0 } else { 0.0 };
            let expected = if is_eligible { total(&row.parts(&need, package, 1.0)) } else { INELIGIBLE };
            assert_eq!(score.to_bits(), expected.to_bits(), "lane {lane}");
        }
    }
}
