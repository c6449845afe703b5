//! A request and its response on their way through the filters.

use std::task::{Context, Poll};

use crate::codec::{Frame, Pump, PumpError};
use crate::http::downstream::Downstream;
use crate::http::filter::{HttpFilter, Step, Stream};
use crate::http::upstream::Upstream;
use crate::route::mutation::Levels;

use super::{Exchange, Failure, Watch};

impl<D: Downstream> Exchange<'_, D> {
    /// Takes the request's headers through the filters that its route leaves in the chain.
    pub(super) async fn filter_request(&mut self, levels: Option<Levels<'_>>) -> Result<(), Failure> {
        self.begin_filtering(levels);
        for number in 0..self.filters.len() {
            let Exchange { connection, down, timer, deadlines, headers, info, filters, .. } = self;
            let mut stream = Stream::new(headers, info, &connection.worker, levels);
            let answer = match filters[number].request_headers(&mut stream) {
                Step::Continue => Ok(None),
                Step::Reply(reply) => Ok(Some(reply)),
                Step::Wait(waiting) => Watch { down: *down, timer, deadlines }.until_done(waiting).await,
            };
            if let Some(reply) = answer.map_err(|interrupt| self.interrupted(interrupt))? {
                return Err(reply.into());
            }
        }
        Ok(())
    }

    /// Takes the response's headers through the filters, the last first.
    pub(super) fn filter_response(&mut self, levels: Option<Levels<'_>>) {
        self.begin_filtering(levels);
        let Exchange { connection, headers, info, filters, .. } = self;
        let mut stream = Stream::new(headers, info, &connection.worker, levels);
        for filter in filters.iter_mut().rev() {
            filter.response_headers(&mut stream);
        }
    }

    /// Moves the request, and its trailers through the filters.
    pub(in crate::http) fn pump_request(
        &mut self,
        upstream: &mut Upstream,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        let Exchange { connection, down, headers, info, filters, request_pump, .. } = self;
        if filters.is_empty() {
            return request_pump.poll(*down, upstream, cx);
        }
        let mut stream = Stream::new(headers, info, &connection.worker, Some(levels));
        request_pump.poll_through(*down, upstream, cx, |frame| {
            if let Frame::Trailers(trailers) = frame {
                filters.iter_mut().for_each(|filter| filter.request_trailers(&mut stream, trailers));
            }
        })
    }

    /// Moves the response, and its trailers through the filters, the last first.
    pub(in crate::http) fn pump_response(
        &mut self,
        pump: &mut Pump,
        upstream: &mut Upstream,
        levels: Levels<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), PumpError>> {
        let Exchange { connection, down, headers, info, filters, .. } = self;
        if filters.is_empty() {
            return pump.poll(upstream, *down, cx);
        }
        let mut stream = Stream::new(headers, info, &connection.worker, Some(levels));
        pump.poll_through(upstream, *down, cx, |frame| {
            if let Frame::Trailers(trailers) = frame {
                filters.iter_mut().rev().for_each(|filter| filter.response_trailers(&mut stream, trailers));
            }
        })
    }

    /// Makes the filters, unless they are there: answers to what is no good request pass them as well.
    fn begin_filtering(&mut self, levels: Option<Levels<'_>>) {
        if !self.filtering {
            self.filtering = true;
            self.filters = self.connection.manager.chain.begin(levels);
        }
    }
}
