//! A request on its way through the filters between the router and its host, and its response on the way back.

use std::borrow::Cow;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use crate::codec::h1::client::ResponseHead;
use crate::http::downstream::Downstream;
use crate::http::filter::{HttpFilter, Stream, unfold};
use crate::http::hosted::{self, Hosted};
use crate::http::local_reply::LocalReply;
use crate::http::router::Connecting;
use crate::http::upstream::Upstream;
use crate::route::mutation::Levels;
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::pool::AcquireError;

use super::filtering::Taken;
use super::{Exchange, Failure, Watch};

/// Why a request does not get through the filters.
#[derive(Debug)]
pub(in crate::http) enum Stopped {
    /// A filter answers, or the request has come to its end.
    Failed(Failure),
    /// There is no connection to the host.
    NoConnection(AcquireError),
}

impl<'c, D: Downstream> Exchange<'c, D> {
    /// The filters that an attempt passes; `None` where that is none.
    #[inline]
    pub(in crate::http) fn begin_hosted<'f>(
        &self,
        cluster: &'f Cluster,
        kept: &'f Kept,
        levels: Levels<'f>,
    ) -> Option<Box<Hosted<'f>>>
    where
        'c: 'f,
    {
        let chain = hosted::chain(cluster, self.hosted.map(|chain| &**chain), kept)?;
        Hosted::begin(chain, Some(levels))
    }

    /// Takes the request's headers through the filters, while a connection is made.
    pub(in crate::http) async fn filter_to_host(
        &mut self,
        hosted: &mut Hosted<'_>,
        levels: Levels<'_>,
        connecting: &mut Connecting<'_>,
    ) -> Result<(), Stopped> {
        for number in 0.. {
            let bodiless = self.request_is_bodiless() && hosted.request.is_empty();
            let Exchange { connection, down, timer, deadlines, headers, info, .. } = self;
            let mut stream =
                Stream::new(headers, info, &connection.worker, Some(levels)).without_body(bodiless);
            unfold(&mut hosted.filters, number, &mut stream, hosted.levels);
            let Some(filter) = hosted.filters.get_mut(number) else { break };
            let watch = Watch { down: *down, timer, deadlines };
            let taken = watch.take(filter.request_headers(&mut stream)).await;
            match self.settle(taken).map_err(Stopped::Failed)? {
                // A request on its way to a host has a route.
                Taken::Passed | Taken::Undiscovered => self.catch_up_to_host(hosted, number, levels),
                Taken::Held(limit) => {
                    self.hold_for_host(hosted, number, limit, levels, connecting).await?;
                }
            }
        }
        Ok(())
    }

    fn catch_up_to_host(&mut self, hosted: &mut Hosted<'_>, number: usize, levels: Levels<'_>) {
        if !hosted.request.is_empty() {
            let Exchange { connection, headers, info, .. } = self;
            let mut stream = Stream::new(headers, info, &connection.worker, Some(levels));
            hosted.catch_up(number, &mut stream);
        }
    }

    /// Reads the rest of the request, and shows the whole of it to the filter that asked for it.
    async fn hold_for_host(
        &mut self,
        hosted: &mut Hosted<'_>,
        number: usize,
        limit: u64,
        levels: Levels<'_>,
        connecting: &mut Connecting<'_>,
    ) -> Result<(), Stopped> {
        let read = self
            .until(|this, cx| {
                if let Poll::Ready(Err(error)) = connecting.poll(cx) {
                    return Poll::Ready(Err(Stopped::NoConnection(error)));
                }
                this.poll_hold_for_host(hosted, number, limit, levels, cx).map_err(Stopped::Failed)
            })
            .await;
        read.map_err(|interrupt| Stopped::Failed(self.interrupted(interrupt)))??;
        let Exchange { connection, down, timer, deadlines, headers, info, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, Some(levels));
        let watch = Watch { down: *down, timer, deadlines };
        let Hosted { filters, request, .. } = hosted;
        let taken = watch.take(filters[number].request_body(&mut stream, request)).await;
        self.settle(taken).map(drop).map_err(Stopped::Failed)
    }

    fn poll_hold_for_host(
        &mut self,
        hosted: &mut Hosted<'_>,
        number: usize,
        limit: u64,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let ended = hosted.request.is_ended();
            if hosted.request.bytes() > limit {
                let reply = LocalReply { close: !ended, ..LocalReply::request_too_large() };
                return Poll::Ready(Err(reply.into()));
            }
            if ended {
                break;
            }
            let frame = ready!(self.poll_outgoing(levels, cx)).map_err(|error| self.bad_request(error))?;
            let Exchange { connection, deadlines, headers, info, .. } = self;
            deadlines.touch(Instant::now());
            let mut stream = Stream::new(headers, info, &connection.worker, Some(levels));
            if let Some(frame) = hosted.pass_request(frame, number, &mut stream) {
                hosted.request.push(frame);
            }
        }
        if self.info.timing.downstream_rx_end.is_none() {
            self.request_read();
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the response's headers through the filters.
    pub(in crate::http) fn filter_from_host(
        &mut self,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        head: &ResponseHead,
    ) -> Result<(), Failure> {
        let Some(hosted) = &mut upstream.hosted else { return Ok(()) };
        self.info.response_code_details = Cow::Borrowed("via_upstream");
        let Exchange { connection, headers, info, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, Some(levels)).without_body(head.end);
        hosted.pass_head(&mut stream).map_err(Failure::from)
    }
}
