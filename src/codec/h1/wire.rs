//! What both ends of a connection have: the socket, what was read and not yet used, what waits to be written,
//! and the framing of the messages now going each way.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use crate::base::headers::{Headers, Spelling};
use crate::base::io::Io;
use crate::codec::{Frame, MessageStream, StreamError, buffer_limit};
use crate::config::protocol::HeaderKeyFormat;
use crate::observability::stream_info::WireBytes;

use super::body::{BodyDecoder, Decoded, Framing};
use super::encode::{self, BodyEncoder};
use super::head;
use super::{HeadLimits, Limits, Output, ParseError};

/// Bytes read at once when nothing is known of how much comes.
const READ_SIZE: usize = 16 * 1024;
/// Bytes read at once at most.
const MAX_READ_SIZE: usize = 64 * 1024;

/// One connection, whichever end of it this is.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) io: Io,
    pub(super) input: BytesMut,
    pub(super) output: Output,
    pub(super) decoder: BodyDecoder,
    pub(super) encoder: BodyEncoder,
    pub(super) forward_trailers: bool,
    pub(super) limits: HeadLimits,
    /// How names of headers are written, and whether their spelling is kept.
    key_format: HeaderKeyFormat,
    read: u64,
    next_read: usize,
    max_read: usize,
    /// Bytes used and queued before the messages that now go each way.
    before: (u64, u64),
    headers_sent_before: u64,
    heads_read: u64,
    trailers_read: u64,
    head_is_read: bool,
}

impl Wire {
    pub(super) fn new(io: Io, limits: Limits, forward_trailers: bool) -> Self {
        let Limits { head: limits, buffer_bytes } = limits;
        Wire {
            io,
            input: BytesMut::new(),
            output: Output::default(),
            decoder: BodyDecoder::new(Framing::None, limits),
            encoder: BodyEncoder::Plain,
            forward_trailers,
            limits,
            key_format: HeaderKeyFormat::LowerCase,
            read: 0,
            next_read: READ_SIZE,
            // A limit is a soft one, as in Envoy: a read of the usual size may go beyond it.
            max_read: buffer_limit(buffer_bytes, MAX_READ_SIZE).clamp(READ_SIZE, MAX_READ_SIZE),
            before: (0, 0),
            headers_sent_before: 0,
            heads_read: 0,
            trailers_read: 0,
            head_is_read: false,
        }
    }

    /// Writes names of headers in this format.
    pub(super) fn set_key_format(&mut self, key_format: HeaderKeyFormat) {
        self.output = Output::new(key_format == HeaderKeyFormat::TitleCase);
        self.key_format = key_format;
    }

    /// Keeps how the names are written in the head of this length that was just read into `headers`.
    pub(super) fn keep_spelling(&self, length: usize, headers: &mut Headers) {
        if let HeaderKeyFormat::Preserve { forward_reason_phrase, others } = self.key_format {
            headers.keep_spelling(Spelling::of_head(&self.input[..length], others, forward_reason_phrase));
        }
    }

    /// Reads once, more at a time while the peer fills what it is given.
    ///
    /// Errors of the socket and the end of the stream are both [`StreamError::Closed`] and `Ok(false)`.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, StreamError>> {
        if self.input.is_empty() && ready!(self.io.poll_readable(cx)).is_err() {
            // Only once there is something to read is there a buffer: an idle connection has none.
            return Poll::Ready(Err(StreamError::Closed));
        }
        let hint = usize::try_from(self.decoder.remaining()).unwrap_or(MAX_READ_SIZE);
        let size = hint.clamp(self.next_read, self.max_read);
        self.input.reserve(size);
        match ready!(self.io.poll_read(cx, &mut self.input)) {
            Ok(0) => Poll::Ready(Ok(false)),
            Ok(count) => {
                self.read += count as u64;
                self.next_read = if count >= size { self.max_read } else { READ_SIZE };
                Poll::Ready(Ok(true))
            }
            Err(_) => Poll::Ready(Err(StreamError::Closed)),
        }
    }

    /// Gives back the memory of a connection that waits.
    pub(super) fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        self.output.release();
        self.next_read = READ_SIZE;
    }

    /// Bytes read and written so far, in all.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.read, self.output.written())
    }

    /// How many trailers a message may have, and how long they may be. Those that are dropped are not counted, as in Envoy.
    pub(super) fn trailer_limits(&self) -> HeadLimits {
        let count = if self.forward_trailers { self.limits.count } else { usize::MAX };
        HeadLimits { count, ..self.limits }
    }

    /// From here on what passes belongs to the next message each way.
    pub(super) fn begin_messages(&mut self) {
        self.before = (self.used(), self.queued());
        self.headers_sent_before = self.output.header_bytes();
        self.heads_read = 0;
        self.trailers_read = 0;
        self.head_is_read = false;
    }

    /// A head with so many bytes of headers was read; unless it is informational, the body follows.
    pub(super) fn note_head(&mut self, header_bytes: u64, informational: bool) {
        self.heads_read += header_bytes;
        self.head_is_read = !informational;
    }

    /// What came and went of the messages now going each way. What was read and is not understood yet counts for a
    /// message that is not complete.
    pub(super) fn counted(&self) -> WireBytes {
        let complete = self.head_is_read && self.decoder.is_done();
        let read = if complete { self.used() } else { self.read };
        let header_sent = self.output.header_bytes() - self.headers_sent_before;
        WireBytes {
            received: read - self.before.0,
            header_received: self.heads_read + self.trailers_read,
            // As in Envoy, which counts trailers on one of the two sides only.
            decompressed_header_received: self.heads_read,
            sent: self.queued() - self.before.1,
            header_sent,
            decompressed_header_sent: header_sent,
        }
    }

    fn used(&self) -> u64 {
        self.read - self.input.len() as u64
    }

    fn queued(&self) -> u64 {
        self.output.written() + self.output.len() as u64
    }
}

impl MessageStream for Wire {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        loop {
            match self.decoder.decode(&mut self.input).map_err(StreamError::Protocol)? {
                Decoded::Frame(Frame::Trailers(_)) if !self.forward_trailers => {}
                Decoded::Frame(frame) => {
                    if let Frame::Trailers(trailers) = &frame {
                        self.trailers_read += head::size(trailers);
                    }
                    return Poll::Ready(Ok(Some(frame)));
                }
                Decoded::End => return Poll::Ready(Ok(None)),
                Decoded::NeedMore => {
                    if !ready!(self.poll_fill(cx))? {
                        self.decoder.end_of_stream().map_err(StreamError::Protocol)?;
                    }
                }
            }
        }
    }

    fn send_data(&mut self, data: Bytes) {
        encode::data(self.encoder, data, &mut self.output);
    }

    fn send_end(&mut self, trailers: Option<&Headers>) {
        encode::end(self.encoder, trailers.filter(|_| self.forward_trailers), &mut self.output);
        self.encoder = BodyEncoder::Plain;
    }

    fn buffered(&self) -> usize {
        self.output.len()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.output.poll_flush(&self.io, cx).map_err(|_| StreamError::Closed)
    }
}

/// The error of a peer that closed before its message was complete.
pub(super) fn cut_off(anything_read: bool) -> StreamError {
    if anything_read { StreamError::Protocol(ParseError::Incomplete) } else { StreamError::Closed }
}
