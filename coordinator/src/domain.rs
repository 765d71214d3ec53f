//! Pure decisions: values in, values out. No async, no clock, no I/O, no logging.

pub mod node;
pub mod placement;
