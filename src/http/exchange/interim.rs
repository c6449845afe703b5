//! Responses before the response: `100 Continue` and what a host says beside it (RFC 9110 §15.2).

use crate::base::headers::{Headers, Known};
use crate::http::downstream::Downstream;
use crate::observability::stream_info::Protocol;

use super::{Exchange, Failure, client_gone};

/// What stands for one connection, or for a body, and none has.
const NOT_FORWARDED: &[Known] = &[
    Known::Connection,
    Known::ContentLength,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::TransferEncoding,
    Known::Upgrade,
];

impl<D: Downstream> Exchange<'_, D> {
    /// Tells a client that waits with its body to send it, unless that is left to the host.
    pub(super) async fn answer_expectation(&mut self) -> Result<(), Failure> {
        let request = &mut self.headers.request;
        let waits =
            request.get(Known::Expect).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"));
        if !waits || self.connection.manager.options.proxy_100_continue {
            return Ok(());
        }
        request.remove(Known::Expect);
        self.send_interim(&Headers::new(), 100).await
    }

    /// Passes on what the host said before its response.
    pub(in crate::http) async fn pass_interim(&mut self, status: u16) -> Result<(), Failure> {
        let mut headers = std::mem::take(&mut self.headers.response);
        for name in NOT_FORWARDED {
            headers.remove(*name);
        }
        let sent = self.send_interim(&headers, status).await;
        self.headers.response = headers;
        sent
    }

    async fn send_interim(&mut self, headers: &Headers, status: u16) -> Result<(), Failure> {
        // HTTP/1.0 has no such responses (RFC 9110 §15.2).
        if self.info.protocol == Some(Protocol::Http10) {
            return Ok(());
        }
        self.down.send_interim(headers, status);
        let manager = &self.connection.manager;
        manager.stats.count_response(status);
        manager.listener_stats.count_response(status);
        // At once: the client may wait for it.
        match self.until(|this, cx| this.down.poll_flush(cx)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(client_gone()),
            Err(interrupt) => Err(self.interrupted(interrupt)),
        }
    }
}
