//! Turns the .proto files into Rust. protox parses them, so no protoc has to be installed.

use std::error::Error;

const ROOT: &str = "proto";
/// Messages that carry secret values: their `Debug` is written by hand in `redact.rs`.
const SECRET: [&str; 5] = [
    "orchestrator.v1.InstanceSpec",
    "orchestrator.v1.BeginRunRequest",
    "orchestrator.v1.DeployRequest",
    "orchestrator.v1.SetSecretRequest",
    "orchestrator.v1.GetGithubTokenReply",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let feature = |name: &str| std::env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let mut files = vec!["orchestrator/v1/agent.proto", "orchestrator/v1/run.proto"];
    if feature("COORDINATOR") {
        files.extend([
            "orchestrator/v1/coordinator.proto",
            "orchestrator/v1/plans.proto",
            "orchestrator/v1/assistant.proto",
        ]);
    }
    let mut config = tonic_prost_build::Config::new();
    config.btree_map(["."]).skip_debug(SECRET);
    tonic_prost_build::configure()
        .build_transport(false)
        .build_client(feature("CLIENT"))
        .build_server(feature("SERVER"))
        .compile_fds_with_config(protox::compile(files, [ROOT])?, config)?;
    Ok(())
}
