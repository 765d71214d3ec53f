//! The use cases: what people ask of the fleet, each read as the sentence it implements.

pub mod ca;
pub mod enrol;
pub mod keyring;
