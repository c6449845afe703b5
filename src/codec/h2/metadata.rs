//! METADATA frames, Envoy's extension of HTTP/2: maps of names and values about a stream, which are in neither of its
//! messages and pass no filter. `h2` passes over them; here they are taken out of what is read and put between what is
//! written.
//!
//! A stream's maps wait until it is known where they lead ([`Port::lead_to`]), and from then on go there as they come. As
//! in Envoy they may overtake a body on its way, but neither the head of its message nor its end.

mod block;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use bytes::{BufMut, Bytes, BytesMut};

use crate::observability::stats::Http1Stats;

use super::MAX_FRAME_SIZE;
use super::flood::{End, Flood};
use super::frames::{END_METADATA, Frame, kind};
use super::meter::{Inner, Meter};

use block::{decode, encode};

/// What is known of a stream's METADATA, once there is some.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// Bytes that came in all.
    received: u64,
    /// The map that is coming, as far as it has come.
    block: Vec<u8>,
    /// Maps that came and lead nowhere yet.
    waiting: VecDeque<Bytes>,
    sink: Option<Sink>,
    /// Frames to be written.
    out: BytesMut,
}

/// Where the maps of a stream lead to.
#[derive(Clone, Debug)]
pub enum Sink {
    /// To a stream of another connection.
    Port(Port),
    /// To a message of HTTP/1.1, which knows none: it is counted.
    Http1(Http1Stats),
    /// To who takes none.
    Nowhere,
}

/// The METADATA of one stream, both ways.
#[derive(Clone, Debug)]
pub struct Port {
    /// Of its connection; weak, since two streams hold each other's.
    connection: Weak<RefCell<Inner>>,
    stream: u32,
}

impl Port {
    /// Has what comes on the stream, and what has come, go to `sink`.
    pub fn lead_to(&self, sink: Sink) {
        let Some(connection) = self.connection.upgrade() else { return };
        let waiting = {
            let mut inner = connection.borrow_mut();
            let Some(stream) = inner.streams.get_mut(&self.stream) else { return };
            std::mem::take(&mut stream.metadata.get_or_insert_default().waiting)
        };
        for block in waiting {
            sink.take(&block);
        }
        if let Some(stream) = connection.borrow_mut().streams.get_mut(&self.stream) {
            stream.metadata.get_or_insert_default().sink = Some(sink);
        }
    }

    /// Keeps what comes on the stream from here on, until it is known where it leads.
    pub fn hold(&self) {
        let Some(connection) = self.connection.upgrade() else { return };
        if let Some(stream) = connection.borrow_mut().streams.get_mut(&self.stream)
            && let Some(metadata) = &mut stream.metadata
        {
            metadata.sink = None;
        }
    }

    /// Has a map written on the stream, unless that has ended.
    fn send(&self, block: &[u8]) {
        let Some(connection) = self.connection.upgrade() else { return };
        let inner = &mut *connection.borrow_mut();
        let Some(stream) = inner.streams.get_mut(&self.stream).filter(|stream| !stream.local_ended) else {
            return;
        };
        let out = &mut stream.metadata.get_or_insert_default().out;
        if out.is_empty() {
            inner.metadata_due.push(self.stream);
        }
        write_frames(self.stream, block, out);
        if let Some(writer) = &inner.writer {
            writer.wake_by_ref();
        }
    }
}

impl Sink {
    fn take(&self, block: &[u8]) {
        match self {
            Sink::Port(port) => port.send(block),
            Sink::Http1(stats) => stats.metadata_not_supported_error().inc(),
            Sink::Nowhere => {}
        }
    }
}

/// The frames of one map.
fn write_frames(stream: u32, block: &[u8], out: &mut BytesMut) {
    let mut parts = block.chunks(MAX_FRAME_SIZE as usize).peekable();
    while let Some(part) = parts.next() {
        let flags = if parts.peek().is_none() { END_METADATA } else { 0 };
        out.put_uint(part.len() as u64, 3);
        out.put_slice(&[kind::METADATA, flags]);
        out.put_u32(stream);
        out.put_slice(part);
    }
}

/// The payloads of METADATA frames, found in what is read.
#[derive(Debug)]
pub(super) struct Inlet {
    /// Bytes accepted of one stream.
    limit: u64,
    /// The frame whose payload is read, and the bytes that are missing of it.
    current: Option<(Frame, usize)>,
}

impl Inlet {
    /// One that takes so many bytes of each stream.
    pub(super) fn new(limit: u64) -> Self {
        Inlet { limit, current: None }
    }

    /// Looks at a frame whose payload comes next.
    pub(super) fn begin(&mut self, frame: Frame) {
        if frame.kind == kind::METADATA {
            self.current = Some((frame, frame.length as usize));
        }
    }

    /// Looks at what comes behind what it has seen.
    pub(super) fn take(&mut self, bytes: &[u8], meter: &Meter) -> Result<(), Flood> {
        let Some((frame, missing)) = self.current else { return Ok(()) };
        let part = &bytes[..missing.min(bytes.len())];
        meter.metadata_in(frame.stream, part, self.limit)?;
        self.current = (part.len() < missing).then_some((frame, missing - part.len()));
        if self.current.is_none() && frame.ends_metadata() {
            return meter.metadata_ended(frame.stream);
        }
        Ok(())
    }
}

impl Meter {
    /// The METADATA of a stream.
    pub(super) fn port(&self, stream: u32) -> Port {
        Port { connection: Rc::downgrade(&self.inner), stream }
    }

    /// A part of a map came; that of a stream which is not there, or has said all, is passed over.
    fn metadata_in(&self, id: u32, part: &[u8], limit: u64) -> Result<(), Flood> {
        let inner = &mut *self.inner.borrow_mut();
        let Some(stream) = inner.streams.get_mut(&id).filter(|stream| !stream.remote_ended) else {
            return Ok(());
        };
        let metadata = stream.metadata.get_or_insert_default();
        metadata.received += part.len() as u64;
        if metadata.received > limit {
            return Err(Flood::Metadata);
        }
        metadata.block.extend_from_slice(part);
        Ok(())
    }

    /// A map is complete.
    fn metadata_ended(&self, id: u32) -> Result<(), Flood> {
        let (block, sink) = {
            let inner = &mut *self.inner.borrow_mut();
            let Some(stream) = inner.streams.get_mut(&id).filter(|stream| !stream.remote_ended) else {
                return Ok(());
            };
            let metadata = stream.metadata.get_or_insert_default();
            let fields = decode(&std::mem::take(&mut metadata.block)).ok_or(Flood::Metadata)?;
            if fields.is_empty() {
                inner.stats.metadata_empty_frames().inc();
                return Ok(());
            }
            let block = encode(&fields).freeze();
            let Some(sink) = metadata.sink.clone() else {
                metadata.waiting.push_back(block);
                return Ok(());
            };
            (block, sink)
        };
        sink.take(&block);
        Ok(())
    }

    /// Whether maps came on a stream that lead nowhere yet.
    pub(super) fn holds_metadata(&self, id: u32) -> bool {
        let inner = self.inner.borrow();
        let metadata = inner.streams.get(&id).and_then(|stream| stream.metadata.as_ref());
        metadata.is_some_and(|metadata| !metadata.waiting.is_empty())
    }

    /// Moves the frames that may be written now to the end of `own`. True if others wait for the heads of their streams
    /// to be written. `cx` is that of who writes, who is woken when there are more.
    pub(super) fn take_metadata(&self, cx: &Context<'_>, own: &mut BytesMut) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        if !inner.writer.as_ref().is_some_and(|writer| writer.will_wake(cx.waker())) {
            inner.writer = Some(Waker::clone(cx.waker()));
        }
        let Inner { end, streams, metadata_due, .. } = inner;
        metadata_due.retain(|id| {
            let Some(stream) = streams.get_mut(id).filter(|stream| !stream.local_ended) else { return false };
            if *end == End::Client && stream.wire.header_sent == 0 {
                return true;
            }
            if let Some(metadata) = &mut stream.metadata {
                own.unsplit(std::mem::take(&mut metadata.out));
            }
            false
        });
        !metadata_due.is_empty()
    }
}

#[cfg(test)]
mod tests;
