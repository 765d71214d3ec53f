//! Who is to answer a request.

pub mod difficulty;
pub mod score;
