//! Sets of nodes, and which nodes have which feature: an inverted index, so that a filter costs a few word
//! operations for every 32 nodes, however many features there are.

use std::borrow::Cow;
use std::collections::HashMap;

use super::chunk::LANES;

/// A set of nodes, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeSet {
    words: Vec<u32>,
}

impl NodeSet {
    pub fn none(nodes: usize) -> Self {
        Self { words: vec![0; nodes.div_ceil(LANES)] }
    }

    pub fn all(nodes: usize) -> Self {
        let mut set = Self { words: vec![u32::MAX; nodes.div_ceil(LANES)] };
        if let Some(last) = set.words.last_mut()
            && !nodes.is_multiple_of(LANES)
        {
            *last = (1 << (nodes % LANES)) - 1;
        }
        set
    }

    pub fn words(&self) -> &[u32] {
        &self.words
    }

    pub fn contains(&self, node: usize) -> bool {
        self.words[node / LANES] & (1 << (node % LANES)) != 0
    }

    pub fn insert(&mut self, node: usize) {
        self.words[node / LANES] |= 1 << (node % LANES);
    }

    pub fn remove(&mut self, node: usize) {
        self.words[node / LANES] &= !(1 << (node % LANES));
    }

    pub fn set(&mut self, node: usize, present: bool) {
        if present { self.insert(node) } else { self.remove(node) }
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub fn keep(&mut self, other: &NodeSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub fn drop_all(&mut self, other: &NodeSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    pub fn add_all(&mut self, other: &NodeSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(number, word)| {
            (0..LANES).filter(move |lane| word & (1 << lane) != 0).map(move |lane| number * LANES + lane)
        })
    }
}

/// The nodes with one feature: a sorted list while they are few, a set once that is smaller.
#[derive(Debug, Clone)]
enum Posting {
    Few(Vec<u32>),
    Many(NodeSet),
}

/// Which nodes have which feature.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    nodes: usize,
    postings: HashMap<String, Posting>,
}

impl Index {
    pub fn new(nodes: usize) -> Self {
        Self { nodes, postings: HashMap::new() }
    }

    pub fn insert(&mut self, feature: String, node: usize) {
        let posting = self.postings.entry(feature).or_insert_with(|| Posting::Few(Vec::new()));
        match posting {
            Posting::Many(set) => set.insert(node),
            Posting::Few(list) => {
                if let Err(at) = list.binary_search(&(node as u32)) {
                    list.insert(at, node as u32);
                }
                if list.len() > self.nodes / LANES + 1 {
                    *posting = Posting::Many(set_of(list, self.nodes));
                }
            }
        }
    }

    pub fn remove(&mut self, feature: &str, node: usize) {
        match self.postings.get_mut(feature) {
            None => {}
            Some(Posting::Many(set)) => set.remove(node),
            Some(Posting::Few(list)) => {
                if let Ok(at) = list.binary_search(&(node as u32)) {
                    list.remove(at);
                }
                if list.is_empty() {
                    self.postings.remove(feature);
                }
            }
        }
    }

    pub fn nodes_with(&self, feature: &str) -> Cow<'_, NodeSet> {
        match self.postings.get(feature) {
            None => Cow::Owned(NodeSet::none(self.nodes)),
            Some(Posting::Few(list)) => Cow::Owned(set_of(list, self.nodes)),
            Some(Posting::Many(set)) => Cow::Borrowed(set),
        }
    }
}

fn set_of(list: &[u32], nodes: usize) -> NodeSet {
    let mut set = NodeSet::none(nodes);
    for node in list {
        set.insert(*node as usize);
    }
    set
}
