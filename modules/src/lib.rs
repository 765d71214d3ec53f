//! What a module is: MODULE.yaml, packages, and the registry of modules.
//!
//! Without features only what a node needs is built: digests, names, templates and unpacking.

pub mod capability;
pub mod digest;
pub mod name;
pub mod template;
pub mod unpack;
pub mod version;
