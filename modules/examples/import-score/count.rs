//! Right, wrong and missed, and the figures that follow.

#[derive(Default, Clone, Copy)]
pub struct Count {
    pub hit: usize,
    pub wrong: usize,
    pub missed: usize,
}

impl Count {
    pub fn add(&mut self, other: Count) {
        self.hit += other.hit;
        self.wrong += other.wrong;
        self.missed += other.missed;
    }

    pub fn is_empty(&self) -> bool {
        self.hit + self.wrong + self.missed == 0
    }

    pub fn precision(&self) -> f64 {
        ratio(self.hit, self.hit + self.wrong)
    }

    pub fn recall(&self) -> f64 {
        ratio(self.hit, self.hit + self.missed)
    }

    pub fn f1(&self) -> f64 {
        ratio(2 * self.hit, 2 * self.hit + self.wrong + self.missed)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
