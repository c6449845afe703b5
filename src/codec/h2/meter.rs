//! What passes on a connection, counted: frames for the statistics, bytes for each stream.
//!
//! `h2` tells neither bytes nor what it does about streams that it refuses by itself. The meter sees the frames in
//! both directions, so it knows: a request that was reset before anybody was handed it was malformed.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::rc::Rc;
use std::task::Waker;

use h2::Reason;

use crate::observability::stats::Http2Stats;
use crate::observability::stream_info::WireBytes;

use super::edits::ANY_STREAM;
use super::flood::{End, Flood};
use super::frames::{Frame, kind};
use super::stream::{Owner, Stream, StreamHasher, StreamMeter};

/// A request that was refused before it was handed to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub fault: Fault,
    /// What came and went on its stream.
    pub wire: WireBytes,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A field of it is not what RFC 9113 §8.2 asks for; or `h2` has refused it, which does not tell why.
    Field,
    /// What it has to have is missing, or does not go together (RFC 9113 §8.3).
    Message,
    /// Its headers are larger than is accepted; it was answered 431.
    TooLarge,
}

/// The meter of a connection. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    pub(super) inner: Rc<RefCell<Inner>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) end: End,
    pub(super) stats: Http2Stats,
    frames_read: u64,
    streams_begun: u64,
    pub(super) streams: HashMap<u32, Stream, BuildHasherDefault<StreamHasher>>,
    /// Streams of the peer that ended before anybody was handed them, who may be yet.
    unclaimed: VecDeque<(u32, Stream)>,
    last_opened: u32,
    /// The last stream of the peer that is served, as it was told when this end said goodbye.
    last_served: u32,
    pub(super) flood: Option<Flood>,
    /// The connection ends because too much has waited for its peer for too long.
    pub(super) overfull: bool,
    /// Streams that METADATA waits to be written on.
    pub(super) metadata_due: Vec<u32>,
    /// Who writes the connection, where METADATA may be written.
    pub(super) writer: Option<Waker>,
}

impl Meter {
    pub(super) fn new(end: End, stats: Http2Stats) -> Self {
        let inner = Inner {
            end,
            stats,
            frames_read: 0,
            streams_begun: 0,
            streams: HashMap::default(),
            unclaimed: VecDeque::new(),
            last_opened: 0,
            last_served: ANY_STREAM,
            flood: None,
            overfull: false,
            metadata_due: Vec::new(),
            writer: None,
        };
        Meter { inner: Rc::new(RefCell::new(inner)) }
    }

    /// Notes a frame that was read.
    pub(super) fn frame_in(&self, frame: Frame) {
        self.inner.borrow_mut().frame_in(frame);
    }

    /// Notes a frame that was written.
    pub(super) fn frame_out(&self, frame: Frame) {
        self.inner.borrow_mut().frame_out(frame);
    }

    /// Counts an answer with more headers than are accepted.
    pub(super) fn header_overflow(&self) {
        self.inner.borrow().stats.header_overflow().inc();
    }

    /// Streams whose messages have not ended.
    pub(super) fn open_streams(&self) -> usize {
        self.inner.borrow().streams.values().filter(|stream| !stream.is_closed()).count()
    }

    /// Counts a flood that the connection ends by.
    pub(super) fn flood(&self, flood: Flood) {
        let inner = &mut *self.inner.borrow_mut();
        inner.flood = Some(flood);
        let stats = &inner.stats;
        match flood {
            Flood::EmptyFrames => stats.inbound_empty_frames_flood().inc(),
            Flood::PriorityFrames => stats.inbound_priority_frames_flood().inc(),
            Flood::WindowUpdates => stats.inbound_window_update_frames_flood().inc(),
            Flood::Control => stats.outbound_control_flood().inc(),
            // Envoy has no counter of its own for it.
            Flood::Metadata => {}
        }
    }

    /// Notes that too much has waited for the peer for too long.
    pub(super) fn overfull(&self) {
        self.inner.borrow_mut().overfull = true;
    }

    /// Bytes that streams have queued and that have not gone.
    pub(super) fn pending(&self) -> u64 {
        self.inner.borrow().streams.values().map(|stream| stream.pending).sum()
    }

    /// Frames read so far.
    pub(super) fn frames_read(&self) -> u64 {
        self.inner.borrow().frames_read
    }

    /// Streams begun by this end so far.
    pub(super) fn streams_begun(&self) -> u64 {
        self.inner.borrow().streams_begun
    }

    /// Counts a peer that did not answer.
    pub(super) fn keepalive_timeout(&self) {
        self.inner.borrow().stats.keepalive_timeout().inc();
    }

    /// A request that was refused; each is told once. To be asked when there is no stream to be handed out.
    pub(super) fn take_refused(&self) -> Option<Refused> {
        let inner = &mut *self.inner.borrow_mut();
        while let Some((_, stream)) = inner.unclaimed.pop_front() {
            let Some(fault) = stream.fault else { continue };
            match fault {
                Fault::Field | Fault::Message => inner.stats.rx_messaging_error().inc(),
                Fault::TooLarge => inner.stats.header_overflow().inc(),
            }
            return Some(Refused { fault, wire: stream.wire });
        }
        None
    }

    /// Notes why a request is about to be reset that nobody was handed.
    pub(super) fn refuse(&self, id: u32, fault: Fault) {
        if let Some(stream) = self.inner.borrow_mut().streams.get_mut(&id) {
            stream.fault = Some(fault);
        }
    }

    /// The connection has ended by an error: what was never handed to anybody was at fault.
    pub(super) fn broken(&self) {
        let inner = &mut *self.inner.borrow_mut();
        let at_fault = |stream: &Stream| stream.owner == Owner::Nobody;
        let ids: Vec<u32> =
            inner.streams.iter().filter(|(_, stream)| at_fault(stream)).map(|(id, _)| *id).collect();
        for id in ids {
            inner.end(id, |stream| {
                stream.fault.get_or_insert(Fault::Field);
                stream.close();
            });
        }
    }

    /// Follows a stream for who serves it.
    pub(super) fn attach(&self, id: u32) -> StreamMeter {
        let inner = &mut *self.inner.borrow_mut();
        inner.streams_begun += u64::from(inner.end == End::Client);
        let ended = inner.unclaimed.iter().position(|(unclaimed, _)| *unclaimed == id);
        let ended = ended.and_then(|at| inner.unclaimed.remove(at)).map(|(_, stream)| stream);
        let stats = &inner.stats;
        let stream = inner.streams.entry(id).or_insert_with(|| {
            ended.unwrap_or_else(|| {
                stats.streams_active().inc();
                Stream::default()
            })
        });
        stream.owner = Owner::Attached;
        StreamMeter { meter: self.clone(), id }
    }
}

impl Inner {
    fn frame_in(&mut self, frame: Frame) {
        self.frames_read += 1;
        if frame.stream == 0 {
            return;
        }
        if frame.kind == kind::HEADERS && self.end == End::Server {
            match self.streams.contains_key(&frame.stream) {
                true => self.stats.trailers().inc(),
                false => self.open(frame.stream),
            }
        }
        let Some(stream) = self.streams.get_mut(&frame.stream) else {
            return;
        };
        stream.wire.received += frame.wire_length();
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION => stream.wire.header_received += frame.wire_length(),
            kind::RST_STREAM if !stream.is_closed() => {
                stream.reset_by_peer = true;
                self.stats.rx_reset().inc();
                return self.end(frame.stream, Stream::close);
            }
            _ => {}
        }
        if frame.ends_stream() {
            self.end(frame.stream, |stream| stream.remote_ended = true);
        }
    }

    fn frame_out(&mut self, frame: Frame) {
        if frame.kind == kind::GOAWAY {
            let announces = frame.first_word() == ANY_STREAM;
            if !announces && frame.second_word() == u32::from(Reason::NO_ERROR) {
                self.stats.goaway_sent().inc();
                // A GOAWAY for an error ends the connection, and the request at fault is told of then.
                self.serve_up_to(frame.first_word());
            }
            return;
        }
        if frame.kind == kind::RST_STREAM {
            self.stats.tx_reset().inc();
        }
        let Some(stream) = self.streams.get_mut(&frame.stream) else {
            return;
        };
        stream.wire.sent += frame.wire_length();
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION => {
                stream.wire.header_sent += frame.wire_length();
                if self.end == End::Server && stream.owner == Owner::Nobody {
                    // Answered by `h2` itself, which it does for one reason only.
                    stream.fault = Some(Fault::TooLarge);
                }
            }
            kind::DATA => {
                let sent = stream.pending.min(frame.length.into());
                stream.pending -= sent;
                self.stats.pending_send_bytes().sub(sent);
            }
            kind::RST_STREAM => return self.reset(frame),
            _ => {}
        }
        if stream.is_framed()
            && let Some(waiting) = stream.waiting.take()
        {
            waiting.wake();
        }
        if frame.ends_stream() {
            self.end(frame.stream, |stream| stream.local_ended = true);
        }
    }

    /// A stream of the peer; its ids are odd and grow (RFC 9113 §5.1.1). One after the last that is served is passed over
    /// by `h2`, so it would never end.
    fn open(&mut self, id: u32) {
        if id.is_multiple_of(2) || id <= self.last_opened || id > self.last_served {
            return;
        }
        self.last_opened = id;
        self.stats.streams_active().inc();
        self.streams.insert(id, Stream::default());
    }

    /// Streams of the peer after this one come to nothing.
    fn serve_up_to(&mut self, last: u32) {
        if self.end == End::Client {
            return;
        }
        self.last_served = self.last_served.min(last);
        let ignored = |(id, stream): (&u32, &Stream)| *id > last && stream.owner == Owner::Nobody;
        let ignored: Vec<u32> =
            self.streams.iter().filter(|one| ignored((one.0, one.1))).map(|(id, _)| *id).collect();
        for id in ignored {
            self.streams.remove(&id);
            self.stats.streams_active().dec();
        }
    }

    /// A stream was reset from here; if nobody ever had it, for a fault of its request.
    fn reset(&mut self, frame: Frame) {
        let refused = frame.first_word() == u32::from(Reason::REFUSED_STREAM);
        if let Some(stream) = self.streams.get_mut(&frame.stream)
            && stream.owner == Owner::Nobody
            && self.end == End::Server
        {
            if refused {
                self.stats.stream_refused_errors().inc();
            } else {
                stream.fault.get_or_insert(Fault::Field);
            }
        }
        self.end(frame.stream, Stream::close);
    }

    /// Notes the end of a message.
    fn end(&mut self, id: u32, note: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let was_closed = stream.is_closed();
        note(stream);
        if stream.local_ended
            && let Some(waiting) = stream.waiting.take()
        {
            waiting.wake();
        }
        if stream.is_closed() && !was_closed {
            self.stats.streams_active().dec();
            self.stats.pending_send_bytes().sub(std::mem::take(&mut stream.pending));
            if stream.owner != Owner::Attached
                && let Some(stream) = self.streams.remove(&id)
                && stream.owner == Owner::Nobody
            {
                self.unclaimed.push_back((id, stream));
            }
        }
    }
}

impl Drop for Inner {
    /// A connection that is gone has no streams.
    fn drop(&mut self) {
        for stream in self.streams.values().filter(|stream| !stream.is_closed()) {
            self.stats.streams_active().dec();
            self.stats.pending_send_bytes().sub(stream.pending);
        }
    }
}

#[cfg(test)]
mod tests;
