//! What comes before the protocol of a connection: the handshake of TLS.

use std::time::Duration;

use crate::base::io::Io;
use crate::config::tls::WORKLOAD;
use crate::http::Ungreeted;
use crate::observability::stats::ListenerStats;
use crate::observability::stream_info::{Address, ConnectionInfo, StateObject};
use crate::transport::tls::{Ends, HandshakeError, ServerContext};

use super::filter_chain::FilterChain;

/// The stream that the protocol is spoken over, once the client is greeted. That it failed is noted of the connection.
pub(super) async fn greet(
    io: Io,
    chain: &FilterChain,
    stats: &ListenerStats,
    info: &ConnectionInfo,
) -> Result<Io, Ungreeted> {
    match &chain.tls {
        None => Ok(io),
        // Boxed, so that connections without it need not carry its size.
        Some(context) => Box::pin(handshake(io, context, chain.handshake_timeout, stats, info)).await,
    }
}

async fn handshake(
    io: Io,
    context: &ServerContext,
    timeout: Option<Duration>,
    stats: &ListenerStats,
    info: &ConnectionInfo,
) -> Result<Io, Ungreeted> {
    let ip = |address: &Address| match address {
        Address::Ip(address) => Some(address.ip()),
        Address::Pipe(_) | Address::Internal { .. } => None,
    };
    let workload = workload(info);
    let ends = Ends { local: ip(&info.local), remote: ip(&info.remote) };
    match context.accept(io, ends, &workload, timeout).await {
        Ok((io, tls)) => {
            info.tls.get_or_init(|| Box::new(tls));
            Ok(io)
        }
        Err(error) => {
            let is_late = error.is_late();
            note_failure(error, info);
            if is_late {
                stats.downstream_cx_transport_socket_connect_timeout().inc();
                return Err(Ungreeted::TooSlow);
            }
            Err(Ungreeted::NotUnderstood)
        }
    }
}

/// The workload on whose behalf a connection is, as a listener filter has noted it; empty for none.
fn workload(info: &ConnectionInfo) -> Box<str> {
    let notes = info.notes.borrow();
    let text = notes.as_deref().and_then(|notes| notes.state(WORKLOAD)).map(StateObject::text);
    text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default().into()
}

fn note_failure(mut error: HandshakeError, info: &ConnectionInfo) {
    if let Some(seen) = error.take_seen() {
        info.tls.get_or_init(|| seen);
    }
    if !error.reason().is_empty() {
        info.transport_failure_reason.get_or_init(|| error.reason().to_owned());
    }
}
