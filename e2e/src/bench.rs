//! The benchmarks: what is measured of the product, each figure beside the bound it must keep.

pub mod agent;
mod ansible;
mod contest;
pub mod deploy;
pub mod figures;
mod placement;
mod process;
mod processor;

pub use agent::agent;
pub use deploy::deploy;
pub use placement::placement;
