//! Waiting, never for longer than anything on loopback may take.

use std::future::Future;
use std::time::Duration;

/// Longer than any single step takes on a busy machine.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// What `future` gives, or a failure that says what did not happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONGEST, future).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {LONGEST:?}"))
}
