//! Answers that stream what a use case tells while it works.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::problem::to_status;
use super::service::Answer;
use crate::fleet::FleetError;

/// Events that may queue up for a slow listener.
const QUEUE: usize = 1024;

pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Starts work and streams what it tells, at last what it gives. The work goes on when the listener leaves. Where it
/// panics the stream ends with an error: it must not look as if all had been told.
pub(super) fn stream<T, F, W>(work: F) -> Answer<Events<T>>
where
    T: Send + 'static,
    F: FnOnce(Sender<Result<T, FleetError>>) -> W,
    W: Future<Output = Result<Option<T>, FleetError>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(QUEUE);
    let work = tokio::spawn(work(sender.clone()));
    tokio::spawn(async move {
        let last = work.await.unwrap_or(Err(FleetError::BrokenOff)).transpose();
        if let Some(last) = last {
            let _ = sender.send(last).await;
        }
    });
    Ok(Response::new(ReceiverStream::new(receiver).map_err(|error| to_status(&error)).boxed()))
}

#[cfg(test)]
mod tests {
    use proto::code::Code;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_stream_with_an_error() {
        let work = |sender: Sender<Result<u8, FleetError>>| async move {
            let _ = sender.send(Ok(1)).await;
            Ok(Some(std::hint::black_box(None::<u8>).expect("a fault of ours")))
        };
        let told: Vec<_> = stream(work).expect("started").into_inner().collect().await;
        let [Ok(1), Err(status)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(Code::from_grpc(status.code()), Code::Internal);
    }

    #[tokio::test]
    async fn what_the_work_gives_comes_last() {
        let work = |sender: Sender<Result<u8, FleetError>>| async move {
            let _ = sender.send(Ok(1)).await;
            Ok(Some(2))
        };
        let told: Vec<_> = stream(work).expect("started").into_inner().collect().await;
        assert!(matches!(told.as_slice(), [Ok(1), Ok(2)]), "{told:?}");
    }
}
