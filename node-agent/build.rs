//! Leaves the unwind tables out of the agent that is shipped: profile `agent`, the only one built for size, in
//! which a panic ends the process.

fn main() {
    println!("cargo::rerun-if-changed=no-unwind.ld");
    let of = |variable| std::env::var(variable).unwrap_or_default();
    if of("OPT_LEVEL") == "z" && of("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/no-unwind.ld", of("CARGO_MANIFEST_DIR"));
    }
}
