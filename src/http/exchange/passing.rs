//! The bodies and trailers of a request and of its response on their way through the filters.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::codec::{Frame, MessageStream, Pump, PumpError, StreamError};
use crate::config::http_connection_manager::UnderscoresAction;
use crate::http::downstream::Downstream;
use crate::http::filter::{HttpFilter, Stream};
use crate::http::filters::Filter;
use crate::http::hosted::Hosted;
use crate::http::router::Mirror;
use crate::http::sanitize;
use crate::http::upstream::Upstream;
use crate::route::mutation::Levels;

use super::{Exchange, Held, Replay};

/// Which message passes.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum Way {
    Request,
    Response,
}

impl<'c, D: Downstream> Exchange<'c, D> {
    /// Moves the request: what is held of it, then what comes, which passes the filters.
    pub(in crate::http) fn pump_request(
        &mut self,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        let Upstream { carrier, hosted } = upstream;
        let action = self.connection.manager.options.common.headers_with_underscores_action;
        let is_plain = action == UnderscoresAction::Allow
            && self.filters.is_empty()
            && self.request_body.is_empty()
            && hosted.is_none();
        if is_plain && self.replay.is_none() && self.mirrors.is_empty() {
            return self.request_pump.poll(self.down, carrier, cx);
        }
        let (mut request, pump) = self.outgoing(levels);
        let next = |cx: &mut Context<'_>| match hosted {
            Some(hosted) => request.poll_through(hosted, cx),
            None => request.poll_next(cx),
        };
        pump.poll_from(next, carrier, cx)
    }

    /// The next piece of the request as the router has it, which is what filters of hosts are given.
    pub(super) fn poll_outgoing(
        &mut self,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        self.outgoing(levels).0.poll_next(cx)
    }

    fn outgoing<'i>(&'i mut self, levels: Levels<'i>) -> (Outgoing<'i, 'c, D>, &'i mut Pump) {
        let Exchange {
            connection,
            down,
            headers,
            info,
            filters,
            request_body,
            mirrors,
            replay,
            request_pump,
            ..
        } = self;
        let stream = Stream::new(headers, info, &connection.worker, Some(levels));
        let action = connection.manager.options.common.headers_with_underscores_action;
        let incoming = Incoming { down: *down, held: request_body, filters, stream, mirrors, action };
        (Outgoing { incoming, replay: replay.as_deref_mut() }, request_pump)
    }

    /// Takes what comes of the request while no host is there for it. Ready at its end, or when it cannot all be kept.
    pub(in crate::http) fn keep_request(
        &mut self,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let Exchange { connection, down, headers, info, filters, request_body, replay, mirrors, .. } = self;
        let Some(replay) = replay else { return Poll::Ready(Ok(())) };
        let stream = Stream::new(headers, info, &connection.worker, Some(levels));
        let action = connection.manager.options.common.headers_with_underscores_action;
        let mut request = Incoming { down: *down, held: request_body, filters, stream, mirrors, action };
        while ready!(replay.poll_next(|cx| request.poll_next(cx), cx))?.is_some() && !replay.is_exceeded() {}
        Poll::Ready(Ok(()))
    }

    /// The next piece of the response, once it has passed the filters of its host.
    pub(in crate::http) fn poll_from_host(
        &mut self,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        let Exchange { connection, headers, info, .. } = self;
        let stream = Stream::new(headers, info, &connection.worker, Some(levels));
        FromHost { upstream, stream }.poll_next(cx)
    }

    /// Moves the response, likewise, through the last filter first.
    pub(in crate::http) fn pump_response(
        &mut self,
        pump: &mut Pump,
        upstream: &mut Upstream<'_>,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        let Exchange { connection, down, headers, info, filters, response_body, .. } = self;
        if filters.is_empty() && upstream.hosted.is_none() {
            return pump.poll(&mut upstream.carrier, *down, cx);
        }
        let stream = Stream::new(headers, info, &connection.worker, Some(levels));
        let mut response = FromHost { upstream, stream };
        let mut next = |cx: &mut Context<'_>| match ready!(response.poll_through(response_body, filters, cx))?
        {
            Some(Frame::Data(data)) => poll_paced(data, filters, response_body, cx).map(Ok),
            other => Poll::Ready(Ok(other)),
        };
        pump.poll_from(&mut next, *down, cx)
    }
}

/// What hosts are given: what is kept of the request, if it is, and then what comes.
struct Outgoing<'i, 'c, D> {
    incoming: Incoming<'i, 'c, D>,
    replay: Option<&'i mut Replay>,
}

impl<D: Downstream> Outgoing<'_, '_, D> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        let Outgoing { incoming, replay } = self;
        match replay {
            Some(replay) => replay.poll_next(|cx| incoming.poll_next(cx), cx),
            None => incoming.poll_next(cx),
        }
    }

    /// The next piece, once it has passed the filters of the host.
    fn poll_through(
        &mut self,
        hosted: &mut Hosted<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        if let Some(frame) = hosted.request.pop() {
            return Poll::Ready(Ok(Some(frame)));
        }
        let all = hosted.filters.len();
        while !hosted.request.is_ended() {
            let frame = ready!(self.poll_next(cx))?;
            if let Some(frame) = hosted.pass_request(frame, all, &mut self.incoming.stream) {
                return Poll::Ready(Ok(Some(frame)));
            }
        }
        Poll::Ready(Ok(None))
    }
}

/// A response as it comes from its host, through the filters of that.
struct FromHost<'i, 'f> {
    upstream: &'i mut Upstream<'f>,
    stream: Stream<'i>,
}

impl FromHost<'_, '_> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        let Upstream { carrier, hosted } = &mut *self.upstream;
        match hosted {
            Some(hosted) => hosted.poll_response(|cx| carrier.poll_frame(cx), &mut self.stream, cx),
            None => carrier.poll_frame(cx),
        }
    }

    /// The next piece, once it has passed the filters of the chain as well.
    fn poll_through(
        &mut self,
        held: &mut Held,
        filters: &mut [Filter<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        if let Some(frame) = held.pop() {
            return Poll::Ready(Ok(Some(frame)));
        }
        while !held.is_ended() {
            let frame = ready!(self.poll_next(cx))?;
            let passed = held.pass_one(frame, |frame, end| {
                through(filters.iter_mut().rev(), Way::Response, &mut self.stream, frame, end);
            });
            if let Some(frame) = passed {
                return Poll::Ready(Ok(Some(frame)));
            }
        }
        Poll::Ready(Ok(None))
    }
}

/// What a request is read from: what is held of it, then what comes.
struct Incoming<'i, 'c, D> {
    down: &'i mut D,
    held: &'i mut Held,
    filters: &'i mut [Filter<'c>],
    stream: Stream<'i>,
    mirrors: &'i mut Vec<Mirror>,
    /// What becomes of trailers with underscores in their names.
    action: UnderscoresAction,
}

impl<D: Downstream> Incoming<'_, '_, D> {
    /// The next piece, once it has passed the filters. The request's copies are given it as well, when they take it.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        let Incoming { down, held, filters, stream, mirrors, action } = self;
        for mirror in mirrors.iter() {
            ready!(mirror.poll_room(cx));
        }
        let pass = |frame: &mut Frame, end| through(filters.iter_mut(), Way::Request, stream, frame, end);
        let frame = ready!(poll_next(held, |cx| sanitize::poll_request(*down, *action, cx), pass, cx))?;
        mirrors.retain(|mirror| mirror.give(frame.as_ref()));
        Poll::Ready(Ok(frame))
    }
}

/// Shows a piece of a message to filters.
pub(in crate::http) fn through<'f, 'c: 'f>(
    filters: impl Iterator<Item = &'f mut Filter<'c>>,
    way: Way,
    stream: &mut Stream<'_>,
    frame: &mut Frame,
    end: bool,
) {
    for filter in filters {
        match (way, &mut *frame) {
            (Way::Request, Frame::Data(data)) => filter.request_data(stream, data, end),
            (Way::Request, Frame::Trailers(trailers)) => filter.request_trailers(stream, trailers),
            (Way::Response, Frame::Data(data)) => filter.response_data(stream, data, end),
            (Way::Response, Frame::Trailers(trailers)) => filter.response_trailers(stream, trailers),
        }
    }
}

/// As much of a response's body as the filters let out now; the rest stays held.
fn poll_paced(
    mut data: Bytes,
    filters: &mut [Filter<'_>],
    held: &mut Held,
    cx: &mut Context<'_>,
) -> Poll<Option<Frame>> {
    for filter in filters.iter_mut().rev() {
        match filter.poll_response_pace(data.len(), cx) {
            Poll::Ready(now) if now >= data.len() => {}
            Poll::Ready(now) => held.unpop(data.split_off(now)),
            Poll::Pending => {
                held.unpop(data);
                return Poll::Pending;
            }
        }
    }
    Poll::Ready(Some(Frame::Data(data)))
}

/// The next frame of a message: what is held of it first.
pub(in crate::http) fn poll_next(
    held: &mut Held,
    fresh: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
    pass: impl FnMut(&mut Frame, bool),
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, StreamError>> {
    match held.pop() {
        Some(frame) => Poll::Ready(Ok(Some(frame))),
        None => poll_fresh(held, fresh, pass, cx),
    }
}

/// The next frame of a message that is not held, once it has passed.
pub(super) fn poll_fresh(
    held: &mut Held,
    mut fresh: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
    mut pass: impl FnMut(&mut Frame, bool),
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame>, StreamError>> {
    while !held.is_ended() {
        let frame = ready!(fresh(cx))?;
        if let Some(frame) = held.pass_one(frame, &mut pass) {
            return Poll::Ready(Ok(Some(frame)));
        }
    }
    Poll::Ready(Ok(None))
}
