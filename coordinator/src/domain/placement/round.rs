//! One round of placing: the working copy that every instance placed changes for the next one.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{InstanceId, NodeName};

use super::board::{Board, Question};
use super::index::NodeSet;
use super::score::{INELIGIBLE, Need, Row, spread, total};
use super::snapshot::Snapshot;
use super::view::{Liveness, Reserved};
use super::{Place, Settled, Wish};

pub(super) struct Round<'a> {
    wish: &'a Wish,
    snapshot: &'a Snapshot,
    need: Need,
    growth: Need,
    /// Where instances may be by what the nodes are.
    admitted: NodeSet,
    /// Those of `admitted` where no other holds a port that is needed.
    suitable: NodeSet,
    /// The nodes that differ from the snapshot.
    changed: BTreeMap<usize, Changed>,
    board: Option<Board<'a>>,
    /// Of the nodes that cannot be reached; only for wishes that wait for nodes.
    waiting_board: Option<Board<'a>>,
    with_package: OnceCell<Cow<'a, NodeSet>>,
}

/// A node in the working copy.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    pub row: Row,
    /// Instances of this deployment.
    pub own: u32,
}

/// What becomes of an instance that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// Its node is lost, and with it no data: it goes where there is another place, else it waits for the node.
    Flees,
    Leaves,
}

/// The instances that run, by their fate.
#[derive(Default)]
struct Sorted<'a> {
    staying: Vec<(&'a InstanceId, Place<'a>)>,
    fleeing: BTreeMap<&'a InstanceId, Place<'a>>,
    homeless: BTreeSet<&'a InstanceId>,
}

impl<'a> Round<'a> {
    pub fn new(wish: &'a Wish, snapshot: &'a Snapshot) -> Self {
        let need = Need::of(&wish.requires);
        let growth = wish.holds.as_ref().map_or(Need::NONE, |holds: &Reserved| need.growth(holds));
        let admitted = snapshot.admitted(wish);
        let mut suitable = admitted.clone();
        snapshot.drop_clashes(wish, &mut suitable);
        Self {
            wish,
            snapshot,
            need,
            growth,
            admitted,
            suitable,
            changed: BTreeMap::new(),
            board: None,
            waiting_board: None,
            with_package: OnceCell::new(),
        }
    }

    /// So many instances: those that run stay where they can, the surplus goes, the missing are placed.
    pub fn count(&mut self, wanted: usize) -> Settled<'a> {
        let Sorted { mut staying, fleeing, mut homeless } = self.sort_current();
        while staying.len() > wanted {
            let (_, place) = staying.remove(self.worst(&staying));
            self.leave(place.number);
        }
        homeless.extend(fleeing.keys());
        let ids = self.ids(homeless, wanted - staying.len());
        let mut settled: Settled<'a> =
            staying.into_iter().map(|(id, place)| (id.clone(), Some(place))).collect();
        for id in ids {
            let place = self.settle(fleeing.get(&id).copied());
            settled.push((id, place));
        }
        self.refuse_more_than_one(&mut settled);
        settled
    }

    /// Keeps what may stay, so that the next one sees it.
    fn sort_current(&mut self) -> Sorted<'a> {
        let mut sorted = Sorted::default();
        let current: &'a BTreeMap<InstanceId, NodeName> = &self.wish.current;
        for (instance, name) in current {
            let place = self.snapshot.number(name).map(|number| Place { number, name });
            match place.map(|place| (place, self.fate(place.number))) {
                Some((place, Fate::Stays)) => {
                    self.keep(place.number);
                    sorted.staying.push((instance, place));
                }
                Some((place, Fate::Flees)) => {
                    sorted.fleeing.insert(instance, place);
                }
                Some((_, Fate::Leaves)) | None => {
                    sorted.homeless.insert(instance);
                }
            }
        }
        sorted
    }

    /// One instance on every node that is admitted, without a place where something is missing or taken there.
    /// Cordoned nodes keep theirs but get none.
    pub fn cover(&mut self) -> Settled<'a> {
        let mut settled = Settled::new();
        let mut covered = BTreeSet::new();
        let current: &'a BTreeMap<InstanceId, NodeName> = &self.wish.current;
        for (instance, name) in current {
            let Some(number) = self.snapshot.number(name) else { continue };
            if !self.admitted.contains(number) || !covered.insert(number) {
                continue;
            }
            let grows = self.changed(number).row.fits_growth(&self.growth);
            let fits = grows && self.suitable.contains(number);
            if fits {
                self.keep(number);
            }
            settled.push((instance.clone(), fits.then_some(Place { number, name })));
        }
        let uncovered: Vec<usize> = self
            .admitted
            .iter()
            .filter(|number| !covered.contains(number) && !self.snapshot.nodes()[*number].cordoned)
            .collect();
        let ids = self.ids(BTreeSet::new(), uncovered.len());
        for (id, number) in ids.into_iter().zip(uncovered) {
            let fits = self.changed(number).row.fits(&self.need) && self.suitable.contains(number);
            if fits {
                self.take(number);
            }
            settled.push((id, fits.then(|| self.place(number))));
        }
        settled
    }

    fn fate(&self, number: usize) -> Fate {
        let is_reachable = self.snapshot.is_reachable(number);
        // What cannot be seen to have stopped may still run.
        if self.wish.exclusive && !is_reachable {
            return Fate::Stays;
        }
        if !self.may_stay_at(number) {
            return Fate::Leaves;
        }
        let is_lost = !is_reachable && self.snapshot.nodes()[number].liveness == Liveness::Lost;
        // Elsewhere it would start empty, and what it wrote there would be lost once its node is back.
        if is_lost && !self.wish.keeps_data { Fate::Flees } else { Fate::Stays }
    }

    /// The instance that goes first, by its place among those that stay: on a node that cannot be reached, then
    /// cordoned, then crowded, then with a low score; the last one on ties.
    fn worst(&self, staying: &[(&'a InstanceId, Place<'a>)]) -> usize {
        let rank = |number: usize| {
            let node = &self.snapshot.nodes()[number];
            let changed = self.changed(number);
            let crowding = (node.liveness, node.cordoned, changed.own);
            (crowding, self.score(number, &changed))
        };
        let worst = staying.iter().enumerate().max_by(|(_, (_, one)), (_, (_, other))| {
            let ((crowding, score), (other_crowding, other_score)) = (rank(one.number), rank(other.number));
            crowding.cmp(&other_crowding).then(other_score.total_cmp(&score))
        });
        worst.map(|(at, _)| at).expect("only asked while instances are left")
    }

    /// Ids for the missing: first those that lost their place, then the lowest that are free.
    fn ids(&self, homeless: BTreeSet<&InstanceId>, missing: usize) -> Vec<InstanceId> {
        let own = self.wish.current.keys().filter(|id| id.deployment == self.wish.deployment);
        let taken: BTreeSet<u32> = own.map(|id| id.index).collect();
        let free = (0..).filter(|index| !taken.contains(index)).map(|index| self.wish.id(index));
        homeless.into_iter().cloned().chain(free).take(missing).collect()
    }

    /// Of an exclusive wish for several, the others stay without a place, and it shows.
    fn refuse_more_than_one(&self, settled: &mut Settled<'a>) {
        if let (true, super::Replicas::Count(count)) = (self.wish.exclusive, self.wish.replicas) {
            let missing = (count as usize).saturating_sub(settled.len());
            let free = (0..).map(|index| self.wish.id(index));
            let is_settled = |id: &InstanceId| settled.iter().any(|(settled, _)| settled == id);
            let others: Vec<_> = free.filter(|id| !is_settled(id)).take(missing).collect();
            settled.extend(others.into_iter().map(|id| (id, None)));
        }
    }

    /// The place of an instance that has none now.
    fn settle(&mut self, home: Option<Place<'a>>) -> Option<Place<'a>> {
        let (here, waiting) = self.candidates();
        if let Some(home) = home
            && self.may_stay_at(home.number)
            && !self.is_better(here, home.number)
        {
            self.keep(home.number);
            return Some(home);
        }
        let number = match (here, waiting) {
            (Some(here), Some(waiting)) if self.changed(waiting).own < self.changed(here).own => waiting,
            (Some(here), _) => here,
            (None, waiting) => waiting?,
        };
        self.take(number);
        Some(self.place(number))
    }

    fn place(&self, number: usize) -> Place<'a> {
        Place { number, name: &self.snapshot.nodes()[number].name }
    }

    /// Whether an instance whose home is lost goes to where it can run now. Where it may wait for its home
    /// instead, it does not go to crowd another.
    fn is_better(&self, here: Option<usize>, home: usize) -> bool {
        let crowds = |here| self.changed(here).own > self.changed(home).own;
        here.is_some_and(|here| !(self.wish.waits_for_nodes() && crowds(here)))
    }

    /// Whether there is room for one that is there already, besides those that were kept before it.
    fn may_stay_at(&self, number: usize) -> bool {
        let changed = self.changed(number);
        self.suitable.contains(number)
            && !self.would_share_a_port(&changed)
            && changed.row.fits_growth(&self.growth)
    }

    /// The best node where an instance can run now, and the best where it can wait.
    fn candidates(&mut self) -> (Option<usize>, Option<usize>) {
        if self.board.is_none() {
            let mut eligible = self.suitable.clone();
            self.snapshot.keep_reachable(&mut eligible);
            self.board = Some(self.scan(eligible));
            if self.wish.waits_for_nodes() {
                let mut eligible = self.suitable.clone();
                self.snapshot.keep_unreachable(&mut eligible);
                self.waiting_board = (!eligible.is_empty()).then(|| self.scan(eligible));
            }
        }
        let best = |board: &Option<Board<'a>>| board.as_ref().and_then(Board::best);
        (best(&self.board), best(&self.waiting_board))
    }

    pub fn take(&mut self, number: usize) {
        let need = self.need;
        self.change(number, |changed| {
            changed.row.reserve(&need);
            changed.own += 1;
        });
    }

    pub fn keep(&mut self, number: usize) {
        let growth = self.growth;
        self.change(number, |changed| {
            changed.row.grow(&growth);
            changed.own += 1;
        });
    }

    /// What it had reserved is not given back: it has still to stop.
    fn leave(&mut self, number: usize) {
        self.change(number, |changed| changed.own = changed.own.saturating_sub(1));
    }

    fn change(&mut self, number: usize, how: impl FnOnce(&mut Changed)) {
        let mut changed = self.changed(number);
        how(&mut changed);
        self.changed.insert(number, changed);
        if self.board.is_none() {
            return;
        }
        let score = self.score_now(number, &changed);
        for board in [&mut self.board, &mut self.waiting_board].into_iter().flatten() {
            board.set(number, score);
        }
    }

    pub fn changed(&self, number: usize) -> Changed {
        let unchanged = || Changed { row: self.snapshot.row(number), own: 0 };
        self.changed.get(&number).copied().unwrap_or_else(unchanged)
    }

    fn fits(&self, changed: &Changed) -> bool {
        changed.row.fits(&self.need) && !self.would_share_a_port(changed)
    }

    pub fn would_share_a_port(&self, changed: &Changed) -> bool {
        changed.own > 0 && !self.wish.ports.is_empty()
    }

    fn score(&self, number: usize, changed: &Changed) -> f32 {
        total(&self.parts(number, changed))
    }

    fn score_now(&self, number: usize, changed: &Changed) -> f32 {
        if self.fits(changed) { self.score(number, changed) } else { INELIGIBLE }
    }

    pub fn parts(&self, number: usize, changed: &Changed) -> [f32; 6] {
        let package = if self.with_package().contains(number) { 1.0 } else { 0.0 };
        changed.row.parts(&self.need, package, spread(changed.own))
    }

    fn with_package(&self) -> &Cow<'a, NodeSet> {
        self.with_package.get_or_init(|| self.snapshot.with_release(&self.wish.digest))
    }

    fn scan(&self, eligible: NodeSet) -> Board<'a> {
        let package = self.with_package().clone();
        let chunks = self.snapshot.chunks();
        let mut board = Board::scan(Question { chunks, need: self.need, eligible, package });
        for (number, changed) in &self.changed {
            board.set(*number, self.score_now(*number, changed));
        }
        board
    }
}
