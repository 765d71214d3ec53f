//! Pure decisions: values in, values out. No async, no clock, no I/O, no logging.

pub mod absence;
pub mod deployment;
pub mod diff;
pub mod follow;
pub mod node;
pub mod placement;
pub mod plan_check;
pub mod plans;
pub mod rollout;
pub mod runs;
pub mod upgrade;
pub mod verdict;
