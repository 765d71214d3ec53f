//! Language models for plans: providers behind one seam, what they cost and allow, and who is asked.
//!
//! Everything here that decides is pure: time, randomness and observations are arguments. Only
//! `provider::connection` does I/O.

#[cfg(feature = "coordinator")]
pub mod breaker;
#[cfg(feature = "coordinator")]
pub mod budget;
mod date;
pub mod error;
#[cfg(feature = "coordinator")]
pub mod keeper;
pub mod key;
pub mod limits;
pub mod message;
#[cfg(feature = "coordinator")]
pub mod money;
#[cfg(feature = "coordinator")]
pub mod prompts;
pub mod provider;
#[cfg(feature = "coordinator")]
pub mod quota;
#[cfg(feature = "coordinator")]
pub mod rates;
#[cfg(feature = "coordinator")]
pub mod retry;
#[cfg(feature = "coordinator")]
pub mod router;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "coordinator")]
pub mod tier;
