//! The figures of placement, as `cargo bench -p coordinator --bench placement` left them.

use std::fs;

use anyhow::{Context, Result};

use super::figures::{Bound, Figures};
use crate::orchestrator::repository;

/// Decisions a second on 5,000 nodes, every node scored.
const DECISIONS: f64 = 50_000.0;
/// One decision on 100,000 nodes, in milliseconds.
const LARGE_MILLISECONDS: f64 = 10.0;

/// # Errors
/// Where the benchmark has not been run.
pub fn placement(figures: &mut Figures) -> Result<()> {
    figures.heading("placement: one decision and the change that follows it, by criterion");
    let rate = 1e9 / nanoseconds("decide and change, 5000 nodes")?;
    figures.note("placement decisions a second on 5,000 nodes", rate, "/s", Bound::AtLeast(DECISIONS));
    let large = nanoseconds("decide and change, 100000 nodes")? / 1e6;
    figures.note("one decision on 100,000 nodes", large, "ms", Bound::AtMost(LARGE_MILLISECONDS));
    Ok(())
}

/// The median that criterion estimated.
fn nanoseconds(benchmark: &str) -> Result<f64> {
    let folder = benchmark.replace(|c: char| !(c.is_alphanumeric() || " ,_-".contains(c)), "_");
    let path = repository().join("target/criterion/placement").join(folder).join("new/estimates.json");
    let run = "run `cargo bench -p coordinator --bench placement` first";
    let text = fs::read_to_string(&path).with_context(|| format!("{}: {run}", path.display()))?;
    let estimates: serde_json::Value = serde_json::from_str(&text)?;
    estimates["median"]["point_estimate"]
        .as_f64()
        .with_context(|| format!("{} has no median", path.display()))
}
