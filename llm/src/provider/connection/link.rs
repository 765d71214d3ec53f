//! An open connection, driven by whoever waits on it: no task of its own that could outlive the request.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Fault;

pub(super) struct Link {
    /// None once the connection has ended; how it ended shows in what was waited for.
    connection: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Link {
    pub(super) async fn open<S>(stream: S, address: &str) -> Result<(Link, SendRequest<Full<Bytes>>), Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| Fault::Broken { address: address.to_owned(), cause })?;
        let connection = async {
            // The error is also that of the request or of its body, where it is told.
            let _ = connection.await;
        };
        Ok((Link { connection: Some(Box::pin(connection)) }, sender))
    }

    /// Waits for `what` while the connection does its work.
    pub(super) async fn drive<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        poll_fn(|context| {
            if let Some(connection) = &mut self.connection
                && connection.as_mut().poll(context).is_ready()
            {
                self.connection = None;
            }
            what.as_mut().poll(context)
        })
        .await
    }
}
