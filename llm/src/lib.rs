//! Language models for plans: providers behind one seam, what they cost and allow, and who is asked.
//!
//! Everything here that decides is pure: time, randomness and observations are arguments. Only
//! `provider::connection` does I/O.

mod date;
pub mod error;
pub mod key;
pub mod limits;
pub mod message;
pub mod provider;
