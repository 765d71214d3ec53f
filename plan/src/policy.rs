//! What may be done on a node.

pub mod verdict;
