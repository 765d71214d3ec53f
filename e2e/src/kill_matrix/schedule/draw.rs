//! Draws schedules; each follows from its seed and index alone.

use super::{Asked, Death, Next, Schedule, Timed, Wish};
use crate::kill_matrix::blow::Blow;
use crate::kill_matrix::random::Random;
use crate::kill_matrix::sweep::points_of;

impl Schedule {
    pub fn draw(seed: u64, index: u64) -> Schedule {
        let mut random = Random::new(seed, index);
        let begins_serving = random.share() < 0.8;
        let mut asked = vec![Asked::draw(&mut random, 0.0, begins_serving)];
        if random.share() < 0.4 {
            let at = random.pick(&[0.0, 0.1, 0.3, 0.6, 0.9, 1.5]);
            asked.push(Asked::draw(&mut random, at, true));
        }
        let mut blows = Vec::new();
        for (host, chance) in [("a", 0.6), ("b", 0.35), ("desk", 0.08)] {
            if random.share() < chance {
                blows.push(Timed::draw(&mut random, host));
            }
        }
        let agent_fault = (random.share() < 0.3).then(|| {
            (random.pick(&["a", "b"]), random.pick_of(&points_of("node-agent").unwrap_or_default()))
        });
        let next = random.pick(&[Next::Status, Next::Status, Next::SameAgain, Next::Serve]);
        Schedule { begins_serving, asked, blows, agent_fault, next }
    }

    /// Several deploys at once, each by a coordinator of its own, and hardly one that lives to see its end.
    pub fn race(seed: u64, index: u64) -> Schedule {
        let mut random = Random::new(seed, index);
        let begins_serving = random.share() < 0.7;
        let contenders = random.pick(&[2, 2, 3]);
        let asked = (0..contenders).map(|_| {
            let at = random.pick(&[0.0, 0.0, 0.02, 0.1, 0.4]);
            Asked { wish: Wish::deploy(&mut random), at, death: Death::draw(&mut random, 0.75) }
        });
        let asked = asked.collect();
        let next = random.pick(&[Next::Status, Next::SameAgain, Next::Serve]);
        Schedule { begins_serving, asked, blows: Vec::new(), agent_fault: None, next }
    }
}

impl Asked {
    fn draw(random: &mut Random, at: f64, may_be_there: bool) -> Asked {
        let wish = match (random.share(), may_be_there) {
            (share, true) if share > 0.92 => Wish::Remove,
            (share, true) if share > 0.84 => Wish::Rollback,
            (share, true) if share > 0.76 => Wish::Restart,
            _ => Wish::deploy(random),
        };
        Asked { wish, at, death: Death::draw(random, 0.55) }
    }
}

impl Death {
    /// A violent one with this chance.
    fn draw(random: &mut Random, chance: f64) -> Death {
        match random.share() {
            share if share < 0.55 * chance => Death::KilledAfter(1.2 * random.share()),
            share if share < chance => {
                Death::KilledAt(random.pick_of(&points_of("coordinator").unwrap_or_default()))
            }
            _ => Death::Natural,
        }
    }
}

impl Wish {
    fn deploy(random: &mut Random) -> Wish {
        Wish::Deploy {
            is_healthy: random.share() < 0.7,
            count: random.pick(&[None, None, Some(1), Some(2), Some(3)]),
            ballast: random.pick(&[0, 64 << 10, 3 << 20]),
        }
    }
}

impl Timed {
    fn draw(random: &mut Random, host: &'static str) -> Timed {
        let blow = if host == "desk" { Blow::DiskFull } else { random.pick(&Blow::ALL) };
        let lasts = random.pick(&[0.05, 0.3, 1.0, 2.0, Timed::LONG]);
        Timed { blow, host, at: 1.2 * random.share(), lasts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_follows_from_its_seed_and_index_alone() {
        let drawn = |seed, index| format!("{:?}", Schedule::draw(seed, index));
        assert_eq!(drawn(1, 2), drawn(1, 2));
        assert_ne!(drawn(1, 2), drawn(1, 3));
        assert_ne!(drawn(1, 2), drawn(2, 2));
    }

    #[test]
    fn two_blows_never_hit_the_same_host() {
        for index in 0..200 {
            let hosts: Vec<_> = Schedule::draw(7, index).blows.iter().map(|timed| timed.host).collect();
            assert!(hosts.iter().all(|host| hosts.iter().filter(|it| *it == host).count() == 1));
        }
    }
}
