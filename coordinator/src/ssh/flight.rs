//! Attempts that all who need their outcome share, such as making one connection.

use std::sync::Mutex;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// At most one attempt is under way.
pub struct Flight<T: Clone>(Mutex<Option<Shared<BoxFuture<'static, T>>>>);

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// Waits for the attempt under way, or for the one that `start` makes.
    pub async fn join(&self, start: impl FnOnce() -> BoxFuture<'static, T>) -> T {
        let attempt = {
            let mut slot = self.0.lock().expect("no panic while held");
            match &*slot {
                Some(attempt) if attempt.peek().is_none() => attempt.clone(),
                Some(_) | None => slot.insert(start().shared()).clone(),
            }
        };
        attempt.await
    }
}
