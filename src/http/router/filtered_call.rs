//! A call on its way through the filters of its cluster, and the answer on its way back.
//!
//! Both are whole, so each filter sees all of a message before the next one does, and what it would hold at most does not
//! matter.

use std::iter::once;
use std::rc::Rc;

use bytes::Bytes;

use crate::base::headers::Headers;
use crate::codec::Frame;
use crate::http::exchange::{Held, Way, through};
use crate::http::filter::{HttpFilter, Passing, Step, Stream, unfold};
use crate::http::hosted;
use crate::http::worker::{HeaderPair, Worker};
use crate::observability::stream_info::StreamInfo;
use crate::upstream::Cluster;
use crate::upstream::filters::Kept;
use crate::upstream::pool::HostPool;

use super::call::{Answer, CallError};
use super::filtered_copy;

/// The filters of a call, and what they are told of it.
pub(super) struct Filters<'f> {
    passed: Passing<'f>,
    /// The headers of the call as they left them, and of its answer.
    pub(super) headers: HeaderPair,
    info: StreamInfo,
}

impl<'f> Filters<'f> {
    /// Those that a call to a host of the cluster passes; `None` where that is none. No route speaks to them.
    pub(super) fn begin(
        cluster: &'f Cluster,
        kept: &'f Kept,
        pool: &HostPool,
        request: &Headers,
    ) -> Option<Box<Self>> {
        let passed = hosted::chain(cluster, None, kept)?.begin(None);
        if passed.is_empty() {
            return None;
        }
        let headers = HeaderPair { request: request.clone(), response: Headers::new() };
        Some(Box::new(Filters { passed, headers, info: filtered_copy::info(pool) }))
    }

    /// Takes the call through them: what they make of its body.
    pub(super) async fn request(&mut self, worker: &Rc<Worker>, body: Bytes) -> Result<Held, CallError> {
        let Filters { passed, headers, info } = self;
        let mut body = Held::whole(body);
        for number in 0.. {
            let mut stream = Stream::new(headers, info, worker, None);
            unfold(passed, number, &mut stream, None);
            let Some(filter) = passed.get_mut(number) else { break };
            let holds = settle(filter.request_headers(&mut stream)).await?;
            let mut stream = Stream::new(headers, info, worker, None);
            match holds {
                true => drop(settle(filter.request_body(&mut stream, &mut body)).await?),
                false => body.pass(|frame, end| {
                    through(once(&mut *filter), Way::Request, &mut stream, frame, end);
                }),
            }
        }
        Ok(body)
    }

    /// Takes the answer through them.
    pub(super) async fn response(
        &mut self,
        worker: &Rc<Worker>,
        answer: &mut Answer,
    ) -> Result<(), CallError> {
        let Filters { passed, headers, info } = self;
        std::mem::swap(&mut headers.response, &mut answer.headers);
        let mut body = Held::whole(answer.body.split().freeze());
        answer.trailers.take().into_iter().for_each(|trailers| body.push(Frame::Trailers(trailers)));
        for filter in passed.iter_mut().rev() {
            let bodiless = body.is_empty();
            let mut stream = Stream::new(headers, info, worker, None).without_body(bodiless);
            let holds = settle(filter.response_headers(&mut stream)).await?;
            let mut stream = Stream::new(headers, info, worker, None);
            match holds {
                true => drop(settle(filter.response_body(&mut stream, &mut body)).await?),
                false => body.pass(|frame, end| {
                    through(once(&mut *filter), Way::Response, &mut stream, frame, end);
                }),
            }
        }
        std::mem::swap(&mut headers.response, &mut answer.headers);
        while let Some(frame) = body.pop() {
            match frame {
                Frame::Data(data) => answer.body.extend_from_slice(&data),
                Frame::Trailers(trailers) => answer.trailers = Some(trailers),
            }
        }
        Ok(())
    }
}

/// Takes a filter's step to its end; whether it wants to see the whole body.
async fn settle(step: Step<'_>) -> Result<bool, CallError> {
    let reply = match step {
        Step::Continue | Step::Discover => None,
        Step::Hold(_) => return Ok(true),
        Step::Reply(reply) => Some(reply),
        Step::Wait(waiting) => waiting.await,
    };
    reply.map_or(Ok(false), |reply| Err(CallError::Instead(reply)))
}
