//! `version`: ours, and where a coordinator elsewhere was named, its.

use proto::v1::VersionRequest;
use serde::Serialize;

use super::Context;
use super::problem::Failure;

#[derive(Debug, Serialize)]
struct Versions {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinator: Option<String>,
}

pub async fn run(context: &Context) -> Result<u8, Failure> {
    let coordinator = match context.settings.coordinator {
        Some(_) => {
            let request = context.request(VersionRequest {});
            Some(context.connect().await?.version(request).await?.into_inner().version)
        }
        None => None,
    };
    let versions = Versions { version: env!("CARGO_PKG_VERSION"), coordinator };
    context.print_or(&versions, |_| match &versions.coordinator {
        Some(theirs) => format!("orchestrator {}, coordinator {theirs}\n", versions.version),
        None => format!("orchestrator {}\n", versions.version),
    })?;
    Ok(0)
}
