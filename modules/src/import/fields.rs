//! One file for each field that is read out of the text.

pub mod arch;
pub mod danger;
pub mod description;
pub mod env;
mod env_around;
pub mod env_default;
mod env_listing;
pub mod env_required;
pub mod env_table;
pub mod env_text;
pub mod env_usage;
pub mod env_variables;
pub mod health;
pub mod homepage;
pub mod license;
pub mod memory;
pub mod name;
pub mod ports;
pub mod sentences;
pub mod volumes;
