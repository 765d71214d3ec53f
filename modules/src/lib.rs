//! What a module is: MODULE.yaml, packages, and the registry of modules.
//!
//! Without features only what a node needs is built: digests, names, templates and unpacking.

pub mod arch;
pub mod arguments;
pub mod capability;
#[cfg(feature = "pack")]
pub mod catalog;
#[cfg(feature = "spec")]
pub mod compose;
pub mod digest;
pub mod effect;
pub mod image;
#[cfg(feature = "import")]
pub mod import;
#[cfg(feature = "pack")]
pub mod index;
pub mod item_name;
pub mod name;
#[cfg(feature = "spec")]
pub mod needs;
#[cfg(feature = "pack")]
pub mod package;
#[cfg(feature = "spec")]
pub mod registry;
#[cfg(feature = "spec")]
pub mod release;
#[cfg(feature = "spec")]
pub mod safety;
#[cfg(feature = "spec")]
pub mod search;
#[cfg(feature = "signature")]
pub mod signature;
#[cfg(feature = "spec")]
pub mod spec;
#[cfg(feature = "spec")]
pub mod suggest;
pub mod template;
pub mod units;
pub mod unpack;
pub mod value;
pub mod version;
