//! Bytes that are no HTTP, behind the seam of messages: what comes on a connection is one body, and what goes another.

use std::io;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::base::headers::Headers;
use crate::base::io::Io;

use super::h1::Output;
use super::{Frame, MessageStream, StreamError};

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// A connection whose bytes are passed on as they are.
#[derive(Debug)]
pub struct Plain {
    io: Io,
    /// What was read and is not passed on.
    input: BytesMut,
    output: Output,
    read: u64,
    /// The peer sends nothing more.
    ended: bool,
    /// Nothing more is sent to the peer, once what waits is written.
    ending: bool,
    was_reset: bool,
}

impl Plain {
    /// A connection of which nothing was read.
    pub fn new(io: Io) -> Self {
        Plain {
            io,
            input: BytesMut::new(),
            output: Output::default(),
            read: 0,
            ended: false,
            ending: false,
            was_reset: false,
        }
    }

    /// Takes bytes that were read of it elsewhere, before any are here.
    pub fn put_back(&mut self, bytes: BytesMut) {
        self.read += bytes.len() as u64;
        self.input = bytes;
    }

    /// The connection itself.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Bytes that came so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Bytes that went so far.
    pub fn written(&self) -> u64 {
        self.output.written()
    }

    /// Whether the peer sends nothing more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the peer has reset it.
    pub fn was_reset(&self) -> bool {
        self.was_reset
    }

    fn broke(&mut self, error: &io::Error) -> StreamError {
        self.was_reset |= error.kind() == io::ErrorKind::ConnectionReset;
        StreamError::Closed
    }
}

impl MessageStream for Plain {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>> {
        if !self.input.is_empty() {
            return Poll::Ready(Ok(Some(Frame::Data(self.input.split().freeze()))));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        self.input.reserve(READ_SIZE);
        self.io.poll_read(cx, &mut self.input).map(|read| match read {
            Ok(0) => {
                self.ended = true;
                Ok(None)
            }
            Ok(read) => {
                self.read += read as u64;
                Ok(Some(Frame::Data(self.input.split().freeze())))
            }
            Err(error) => Err(self.broke(&error)),
        })
    }

    fn send_data(&mut self, data: Bytes) {
        self.output.push(data);
    }

    fn send_end(&mut self, _: Option<&Headers>) {
        self.ending = true;
    }

    fn buffered(&self) -> usize {
        self.output.len()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let flushed = self.output.poll_flush(&self.io, cx);
        if self.ending && matches!(flushed, Poll::Ready(Ok(()))) {
            self.ending = false;
            self.io.shutdown_write();
        }
        flushed.map_err(|error| self.broke(&error))
    }
}
