//! The two bodies of a stream.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::HeaderMap;

use crate::base::headers::Headers;
use crate::codec::{Frame, StreamError};

use super::fields::{check_names, read_fields, write_fields};
use super::stream_error;

/// The body coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    stream: RecvStream,
    /// Handed out; the peer may send as much again once it has been taken from us.
    unreleased: usize,
    ended: bool,
    /// Bytes of the trailers before HPACK packed them.
    pub(super) trailer_bytes: u64,
}

impl Incoming {
    pub(super) fn new(stream: RecvStream) -> Self {
        let ended = stream.is_end_stream();
        Incoming { stream, unreleased: 0, ended, trailer_bytes: 0 }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        if self.unreleased > 0 {
            let released = self.stream.flow_control().release_capacity(self.unreleased);
            released.map_err(|error| stream_error(&error))?;
            self.unreleased = 0;
        }
        if let Some(data) = ready!(self.stream.poll_data(cx)) {
            let data = data.map_err(|error| stream_error(&error))?;
            self.unreleased = data.len();
            self.ended = self.stream.is_end_stream() && data.is_empty();
            return Poll::Ready(Ok(Some(Frame::Data(data))));
        }
        let trailers = ready!(self.stream.poll_trailers(cx)).map_err(|error| stream_error(&error))?;
        self.ended = true;
        trailers.as_ref().map_or(Ok(()), check_names).map_err(StreamError::Protocol)?;
        Poll::Ready(Ok(trailers.map(|map| {
            let mut headers = Headers::new();
            self.trailer_bytes = read_fields(&map, &mut headers);
            Frame::Trailers(Box::new(headers))
        })))
    }
}

/// The body going out.
#[derive(Debug)]
pub(super) struct Outgoing {
    stream: Option<SendStream<Bytes>>,
    pending: VecDeque<Bytes>,
    queued: usize,
    end: End,
    /// Bytes of the trailers before HPACK packed them.
    pub(super) trailer_bytes: u64,
}

#[derive(Debug)]
enum End {
    Open,
    Due(Option<HeaderMap>),
    Sent,
}

impl Outgoing {
    /// A body whose stream comes with [`open`](Self::open).
    pub(super) fn closed() -> Self {
        Outgoing { stream: None, pending: VecDeque::new(), queued: 0, end: End::Sent, trailer_bytes: 0 }
    }

    pub(super) fn open(&mut self, stream: SendStream<Bytes>, end: bool) {
        self.stream = Some(stream);
        self.end = if end { End::Sent } else { End::Open };
    }

    pub(super) fn stream(&mut self) -> Option<&mut SendStream<Bytes>> {
        self.stream.as_mut()
    }

    pub(super) fn send_data(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.queued += data.len();
            self.pending.push_back(data);
        }
    }

    pub(super) fn send_end(&mut self, trailers: Option<&Headers>) {
        if matches!(self.end, End::Open) {
            self.end = End::Due(trailers.map(|trailers| {
                let (map, bytes) = write_fields(trailers);
                self.trailer_bytes = bytes;
                map
            }));
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.queued
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Ok(()));
        };
        while let Some(first) = self.pending.front_mut() {
            stream.reserve_capacity(first.len());
            let capacity = match ready!(stream.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(error)) => return Poll::Ready(Err(stream_error(&error))),
                None => return Poll::Ready(Err(StreamError::Closed)),
            };
            let piece = first.split_to(first.len().min(capacity));
            self.queued -= piece.len();
            if first.is_empty() {
                self.pending.pop_front();
            }
            let last = self.pending.is_empty() && matches!(self.end, End::Due(None));
            stream.send_data(piece, last).map_err(|error| stream_error(&error))?;
            if last {
                self.end = End::Sent;
            }
        }
        if let End::Due(trailers) = &mut self.end {
            let sent = match trailers.take() {
                Some(trailers) => stream.send_trailers(trailers),
                None => stream.send_data(Bytes::new(), true),
            };
            self.end = End::Sent;
            sent.map_err(|error| stream_error(&error))?;
        }
        Poll::Ready(Ok(()))
    }
}
