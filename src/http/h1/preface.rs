//! Whether a connection begins with HTTP/2's preface, so that it is handed over.

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;

use super::ClosedBy;
use crate::base::timer::Timer;
use crate::codec::h1;
use crate::config::http_connection_manager::CodecType;
use crate::http::deadlines::HeadTimeout;
use crate::http::manager::Connection;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of it by which a connection is HTTP/2's: what comes then has to be the rest.
const PREFACE_BEGIN: usize = "PRI * HTTP/2".len();

/// Whether so much of it has come that nothing else is meant.
pub(super) fn is_begun(server: &h1::Server) -> bool {
    server.starts_with(&PREFACE[..PREFACE_BEGIN]) == Some(true)
}

/// What a connection begins with.
pub(super) enum Found {
    Http1,
    Http2,
    Neither(ClosedBy),
}

/// Waits for as much of HTTP/2's preface as it takes to tell what the connection begins with.
pub(super) async fn find(
    connection: &Connection,
    server: &mut h1::Server,
    codec: CodecType,
    timer: &mut Timer,
) -> Found {
    let deadline = HeadTimeout::new(Instant::now(), &connection.manager.options).map(|timeout| timeout.at);
    let may_be_http1 = |server: &h1::Server| codec == CodecType::Auto && !is_begun(server);
    poll_fn(|cx| {
        loop {
            match server.starts_with(PREFACE) {
                Some(true) => return Poll::Ready(Found::Http2),
                Some(false) if may_be_http1(server) => return Poll::Ready(Found::Http1),
                Some(false) => {
                    connection.manager.stats.downstream_cx_protocol_error().inc();
                    return Poll::Ready(Found::Neither(ClosedBy::Proxy));
                }
                None => {}
            }
            match server.poll_more(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) if may_be_http1(server) => return Poll::Ready(Found::Http1),
                Poll::Ready(false) => return Poll::Ready(Found::Neither(ClosedBy::Peer)),
                Poll::Pending if may_be_http1(server) => {
                    return timer.poll(deadline, cx).map(|()| Found::Http1);
                }
                Poll::Pending => {
                    return timer.poll(deadline, cx).map(|()| Found::Neither(ClosedBy::Proxy));
                }
            }
        }
    })
    .await
}
