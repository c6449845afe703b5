//! Checks over HTTP/2: a connection that is kept, and the streams on it.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::answer::Answer;
use super::asking::{Asking, Connection, converse};
use crate::base::headers::Headers;
use crate::base::io::Io;
use crate::codec::StreamError;
use crate::codec::h2::{self, Connecting, Settings};
use crate::config::cluster::HttpHealthCheck;
use crate::upstream::pool::http2_options;

/// A connection. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    client: h2::Client,
    /// Told when the host ends the connection for an error: the check that goes on fails then, though its stream may be
    /// answered yet.
    failed: Rc<Notify>,
}

impl Http2 {
    /// Whether the host takes no more requests on it.
    pub(super) fn goes_away(&self) -> bool {
        self.client.watch().goes_away()
    }
}

impl Asking {
    /// Asks on a stream of its own, until the answer is `enough` or has ended.
    ///
    /// Where a stream fails its connection is kept all the same, as in Envoy, and for a call it is even where no answer
    /// comes in time.
    pub(super) async fn over_http2(
        &mut self,
        check: &HttpHealthCheck,
        headers: &Headers,
        enough: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, StreamError> {
        let connection = self.http2().await?;
        let mut stream = connection.client.stream();
        if self.call_timeout().is_some() {
            self.keep(Some(Connection::Http2(connection.clone())));
        }
        stream.send_headers(headers, check.send.is_empty(), false);
        let converse =
            converse(&mut stream, check, |stream, cx, headers| stream.poll_head(cx, headers, false), enough);
        let answered = tokio::select! {
            // What is read with the answer came before it.
            biased;
            () = connection.failed.notified() => Err(StreamError::Closed),
            answered = converse => answered,
        };
        self.keep(Some(Connection::Http2(connection)));
        answered
    }

    /// The connection that was kept, if it may serve again, or another.
    async fn http2(&mut self) -> Result<Http2, StreamError> {
        if let Some(Connection::Http2(mut kept)) = self.connection.take()
            && !kept.goes_away()
            && kept.client.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let io = self.connect().await.map_err(|_| StreamError::Closed)?;
        self.http2_on(io).await
    }

    pub(super) async fn http2_on(&self, io: Io) -> Result<Http2, StreamError> {
        let config = &self.cluster.config;
        let limit = config.http.max_response_headers_kb * 1024;
        let settings = Settings::new(&http2_options(config), limit, None);
        let (mut client, driver) = h2::connect(io, &settings, self.cluster.codec_stats.http2()).await?;
        let failed = Rc::new(Notify::new());
        // It ends with the last handle of the connection, which this value or its stream has.
        spawn_local(drive(driver, client.watch(), Rc::clone(&failed)));
        client.ready().await?;
        Ok(Http2 { client, failed })
    }
}

/// Moves the frames of a connection until it ends, and tells when the host ends it for an error.
async fn drive(driver: Connecting, watch: Rc<h2::Watch>, failed: Rc<Notify>) {
    let mut driver = pin!(driver.run());
    poll_fn(|cx| {
        let polled = driver.as_mut().poll(cx);
        if watch.goaway_code().is_some_and(|code| code != 0) {
            failed.notify_one();
        }
        // What ended it, its streams know.
        polled.map(drop)
    })
    .await;
}
