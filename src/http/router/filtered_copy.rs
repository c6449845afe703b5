//! A copy of a request on its way through the filters of its cluster, or those of the router where that has none.
//!
//! What hosts make of a copy is for nobody, so its response passes no filters: those that may stand here only change it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::codec::{Frame, StreamError};
use crate::http::filter::{Chain, HttpFilter, Step, Stream, unfold};
use crate::http::hosted::{self, Hosted};
use crate::observability::stream_info::{Protocol, StreamInfo, UpstreamInfo};
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::pool::HostPool;

use super::connect::{locality, stream_address, upstream_info};
use super::connecting::Connecting;
use super::shadow::{Ended, Passage};

/// The filters of a copy, and what they are told of it.
pub(super) struct Filters<'f> {
    hosted: Box<Hosted<'f>>,
    info: StreamInfo,
}

impl<'f> Filters<'f> {
    /// Those that a copy for a host of the cluster passes; `None` where that is none. No route speaks to them.
    pub(super) fn begin(
        cluster: &'f Cluster,
        of_router: Option<&'f Chain>,
        kept: &'f Kept,
        pool: &HostPool,
    ) -> Option<Box<Self>> {
        let hosted = Hosted::begin(hosted::chain(cluster, of_router, kept)?, None)?;
        Some(Box::new(Filters { hosted, info: info(pool) }))
    }
}

/// What is known of a request that no client has sent.
pub(super) fn info(pool: &HostPool) -> StreamInfo {
    StreamInfo {
        protocol: Some(Protocol::Http11),
        upstream_attempts: 1,
        upstream: Some(UpstreamInfo {
            host: Some(stream_address(&pool.host)),
            hostname: Arc::clone(&pool.host.hostname),
            host_metadata: pool.host.metadata(),
            locality_metadata: pool.host.locality_metadata(),
            locality: locality(&pool.host),
            ..upstream_info(&pool.cluster)
        }),
        ..StreamInfo::of_nobody()
    }
}

impl Passage<'_> {
    /// Takes the copy's headers through the filters, once a connection was asked for.
    pub(super) async fn pass_filters(&mut self, connecting: &mut Connecting<'_>) -> Result<(), Ended> {
        if let Poll::Ready(Err(error)) = poll_fn(|cx| Poll::Ready(connecting.poll(cx))).await {
            return Err(Ended::NoConnection(error));
        }
        for number in 0.. {
            let bodiless = self.body.is_none();
            let Passage { worker, headers, filters: Some(filters), .. } = self else { break };
            let Filters { hosted, info } = &mut **filters;
            let mut stream = Stream::new(headers, info, worker, None).without_body(bodiless);
            unfold(&mut hosted.filters, number, &mut stream, None);
            let Some(filter) = hosted.filters.get_mut(number) else { break };
            let held = match filter.request_headers(&mut stream) {
                // The route of a copy is that of its request.
                Step::Continue | Step::Discover => None,
                Step::Hold(limit) => Some(limit),
                Step::Reply(_) => return Err(Ended::Early),
                Step::Wait(waiting) => match waiting.await {
                    None => None,
                    Some(_) => return Err(Ended::Early),
                },
            };
            match held {
                None => hosted.catch_up(number, &mut stream),
                Some(limit) => self.hold(number, limit, connecting).await?,
            }
        }
        Ok(())
    }

    /// Waits for the rest of the copy while its connection is made, and shows the whole of it to the filter that asked for it.
    async fn hold(
        &mut self,
        number: usize,
        limit: u64,
        connecting: &mut Connecting<'_>,
    ) -> Result<(), Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = connecting.poll(cx) {
                return Poll::Ready(Err(Ended::NoConnection(error)));
            }
            self.poll_hold(number, limit, cx)
        })
        .await?;
        let Passage { worker, headers, filters: Some(filters), .. } = self else { return Ok(()) };
        let Filters { hosted, info } = &mut **filters;
        let mut stream = Stream::new(headers, info, worker, None);
        let Hosted { filters, request, .. } = &mut **hosted;
        match filters[number].request_body(&mut stream, request) {
            Step::Continue | Step::Discover | Step::Hold(_) => Ok(()),
            Step::Reply(_) => Err(Ended::Early),
            Step::Wait(waiting) => waiting.await.map_or(Ok(()), |_| Err(Ended::Early)),
        }
    }

    fn poll_hold(&mut self, number: usize, limit: u64, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let Passage { worker, headers, body, filters: Some(filters), .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let Filters { hosted, info } = &mut **filters;
        let mut stream = Stream::new(headers, info, worker, None);
        loop {
            if hosted.request.bytes() > limit {
                return Poll::Ready(Err(Ended::Early));
            }
            let Some(body) = body.as_mut().filter(|_| !hosted.request.is_ended()) else {
                return Poll::Ready(Ok(()));
            };
            let frame = ready!(body.poll_next(cx)).map_err(|_| Ended::Early)?;
            if let Some(frame) = hosted.pass_request(frame, number, &mut stream) {
                hosted.request.push(frame);
            }
        }
    }

    /// The next piece of the copy, once it has passed the filters.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        let Passage { worker, headers, body, filters, .. } = self;
        let Some(body) = body else { return Poll::Ready(Ok(None)) };
        let Some(filters) = filters else { return body.poll_next(cx) };
        let Filters { hosted, info } = &mut **filters;
        if let Some(frame) = hosted.request.pop() {
            return Poll::Ready(Ok(Some(frame)));
        }
        let all = hosted.filters.len();
        let mut stream = Stream::new(headers, info, worker, None);
        while !hosted.request.is_ended() {
            let frame = ready!(body.poll_next(cx))?;
            if let Some(frame) = hosted.pass_request(frame, all, &mut stream) {
                return Poll::Ready(Ok(Some(frame)));
            }
        }
        Poll::Ready(Ok(None))
    }
}
