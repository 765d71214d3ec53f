//! The instructions that models are given, as files that people can read and change.

/// Writes a plan.
pub const PLAN: &str = include_str!("prompts/plan.md");
/// Answers what is wrong with a plan; `{{problems}}` is one line for each.
pub const CORRECT: &str = include_str!("prompts/correct.md");
/// Writes anew what of a plan has not run yet.
pub const REPLAN: &str = include_str!("prompts/replan.md");
/// Says from evidence whether a plan reached its goal.
pub const VERIFY: &str = include_str!("prompts/verify.md");
/// Says what a README says about single things.
pub const FILL: &str = include_str!("prompts/fill.md");
/// Answers a question about the fleet.
pub const ANSWER: &str = include_str!("prompts/answer.md");
