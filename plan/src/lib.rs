//! Plans as data: what they say, what they cost, whether they may run, and what comes next in a run.
//!
//! Everything here is a plain function of its arguments: no clock, no chance, no I/O. The coordinator and the agents
//! decide by it, each for itself, so that neither has to trust the other's word.

pub mod approval;
pub mod canonical;
pub mod compare;
pub mod cost;
pub mod decimal;
pub mod fault;
pub mod glob;
pub mod journal;
pub mod money;
pub mod nesting;
pub mod output;
pub mod plan;
pub mod policy;
pub mod predicate;
#[cfg(feature = "yaml")]
pub mod read;
pub mod receipt;
pub mod redact;
pub mod reference;
pub mod rollout;
pub mod run;
pub mod sandbox;
#[cfg(feature = "yaml")]
pub mod schema;
pub mod show;
pub mod step;
pub mod tool;
pub mod validate;
pub mod verify;
#[cfg(feature = "yaml")]
mod write;
