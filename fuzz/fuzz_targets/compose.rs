//! `cargo +nightly fuzz run compose`; the body also runs on mutated seeds in the ordinary tests.
#![no_main]

#[path = "../../modules/tests/robustness/bodies.rs"]
#[expect(dead_code, reason = "the bodies of all targets are in one file")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::compose(bytes));
