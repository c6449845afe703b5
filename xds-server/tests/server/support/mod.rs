//! What several of the test modules use.
pub(crate) mod client;
pub(crate) mod envoy;
pub(crate) mod http;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Longer than anything takes; only a test that fails waits for it.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Waits for what should happen, and says what did not.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {LIMIT:?}"),
    }
}

/// Replaces a file as editors and tools do: written beside, then renamed.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Says something that the test runner does not keep to itself, as it does with what is printed.
pub(crate) fn shout(text: &str) {
    writeln!(io::stderr(), "{text}").expect("standard error is open");
}
