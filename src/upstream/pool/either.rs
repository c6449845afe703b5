//! What carries a request where either version of HTTP may: connections that speak what the host chooses by ALPN
//! (`HttpProtocolOptions.auto_config`).
//!
//! As in Envoy a connection counts for one request until it is known what it speaks, and a request that finds room on
//! another meanwhile leaves one behind that others find.

use std::rc::Rc;

use super::AcquireError;
use super::host::{Carries, Connected, H2, HostPool};
use super::http1::Lease;
use super::http2::StreamLease;

/// What carries one request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is there")]
pub enum Either {
    /// A connection of its own.
    Http1(Lease),
    /// A stream of a shared connection.
    Http2(StreamLease),
}

impl HostPool {
    /// A stream or a connection that is there.
    pub fn either(self: &Rc<Self>) -> Option<Either> {
        self.stream().map(Either::Http2).or_else(|| self.idle().map(Either::Http1))
    }

    /// The same, once there is one, over the version of HTTP that the host chooses.
    ///
    /// Dropping the future gives up waiting; what is being made stays for others.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_either(self: &Rc<Self>, high_priority: bool) -> Result<Either, AcquireError> {
        self.acquire_either_made(Carries::Either, high_priority).await
    }

    /// The same over HTTP/1.1.
    ///
    /// Dropping the future gives up waiting, and connecting where none is made before it is needed.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_http1(self: &Rc<Self>, high_priority: bool) -> Result<Either, AcquireError> {
        if self.preconnects() {
            return self.acquire_either_made(Carries::Http1, high_priority).await;
        }
        self.acquire(high_priority).await.map(Either::Http1)
    }

    /// The same over HTTP/2.
    ///
    /// Dropping the future gives up waiting, and connecting where none is made before it is needed.
    ///
    /// # Errors
    /// The circuit breaker's refusal, or what kept the connection from being made.
    pub async fn acquire_http2(self: &Rc<Self>, high_priority: bool) -> Result<Either, AcquireError> {
        if self.preconnects() {
            return self.acquire_either_made(Carries::Http2, high_priority).await;
        }
        self.acquire_stream(high_priority).await.map(Either::Http2)
    }
}

/// Whether the host speaks HTTP/2. One that chooses nothing speaks HTTP/1.1.
pub(super) fn chose_http2(connected: &Connected) -> bool {
    connected.established.tls.as_ref().is_some_and(|tls| *tls.alpn == *H2)
}
