//! `cargo +nightly fuzz run run_journal`; the body also runs on mutated seeds in the ordinary tests.
#![no_main]

#[path = "../../plan/tests/robustness/bodies.rs"]
#[expect(dead_code, reason = "the bodies of all targets are in one file")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::journal(bytes));
