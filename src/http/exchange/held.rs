//! A part of a message that was read ahead, before the message goes on.
//!
//! **Invariant:** the frames are those that came, in their order; no body is copied, but that many small pieces in a row
//! become one: so a body takes no more memory than it has bytes, many times over, in whatever pieces it comes. What
//! nobody asked to be held is never in here, and then this takes no memory but its own.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::codec::Frame;

/// Pieces below this are small: to keep one takes about as much as to copy it.
const SMALL: usize = 256;

/// As many small pieces in a row become one.
const ROW: usize = 64;

/// Frames of a message that wait for their turn.
#[derive(Debug, Default)]
pub(in crate::http) struct Held {
    frames: VecDeque<Frame>,
    bytes: u64,
    /// How many frames at the end are small pieces that were not put together yet.
    small: usize,
    /// Whether the end of the message is in here, or was.
    ended: bool,
}

impl Held {
    /// A whole message of which this is the body.
    pub(in crate::http) fn whole(body: Bytes) -> Self {
        let mut held = Held { ended: true, ..Held::default() };
        held.push(Frame::Data(body));
        held
    }

    /// A message of which these are the frames so far.
    pub(super) fn of(frames: impl Iterator<Item = Frame>, ended: bool) -> Self {
        let mut held = Held::default();
        frames.for_each(|frame| held.push(frame));
        held.ended |= ended;
        held
    }

    /// Adds a frame at the end; a piece of no bytes is none.
    pub(in crate::http) fn push(&mut self, frame: Frame) {
        match &frame {
            Frame::Data(data) if data.is_empty() => return,
            Frame::Data(data) => {
                self.bytes += data.len() as u64;
                self.small = if data.len() < SMALL { self.small + 1 } else { 0 };
            }
            Frame::Trailers(_) => (self.ended, self.small) = (true, 0),
        }
        self.frames.push_back(frame);
        if self.small == ROW {
            self.join();
        }
    }

    /// Puts the small pieces at the end together.
    #[cold]
    fn join(&mut self) {
        let mut joined = BytesMut::with_capacity(ROW * SMALL);
        for frame in self.frames.drain(self.frames.len() - self.small..) {
            if let Frame::Data(data) = frame {
                joined.extend_from_slice(&data);
            }
        }
        self.small = 0;
        // Without the room that was not needed.
        self.frames.push_back(Frame::Data(Bytes::copy_from_slice(&joined)));
    }

    /// The pieces of the body that are held.
    pub(in crate::http) fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.frames.iter().filter_map(|frame| match frame {
            Frame::Data(data) => Some(data),
            Frame::Trailers(_) => None,
        })
    }

    /// Takes the first frame.
    pub(in crate::http) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.small = self.small.min(self.frames.len());
        if let Frame::Data(data) = &frame {
            self.bytes -= data.len() as u64;
        }
        Some(frame)
    }

    /// Puts data back that was taken from the front.
    pub(in crate::http) fn unpop(&mut self, data: Bytes) {
        self.bytes += data.len() as u64;
        self.frames.push_front(Frame::Data(data));
    }

    /// Shows a frame that has come, or the end, to `pass`; what is left of it then. The end is shown as a piece of no
    /// bytes, to which some may be added.
    pub(in crate::http) fn pass_one(
        &mut self,
        frame: Option<Frame>,
        mut pass: impl FnMut(&mut Frame, bool),
    ) -> Option<Frame> {
        self.ended = !matches!(frame, Some(Frame::Data(_)));
        let end = frame.is_none();
        let mut frame = frame.unwrap_or_else(|| Frame::Data(Bytes::new()));
        pass(&mut frame, end);
        match frame {
            Frame::Data(data) if data.is_empty() => None,
            frame => Some(frame),
        }
    }

    /// Whether the end of the message has come.
    pub(in crate::http) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing is held.
    pub(in crate::http) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes of the body that are held.
    pub(in crate::http) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Shows each frame to `pass`, which may change it.
    pub(in crate::http) fn pass(&mut self, mut pass: impl FnMut(&mut Frame, bool)) {
        let (frames, ended) = (std::mem::take(&mut self.frames), self.ended);
        (self.bytes, self.small) = (0, 0);
        let last = frames.len().saturating_sub(1);
        for (index, mut frame) in frames.into_iter().enumerate() {
            pass(&mut frame, ended && index == last);
            self.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut held = Held::default();
        held.push(Frame::Data(Bytes::from_static(b"ab")));
        held.push(Frame::Data(Bytes::new()));
        held.push(Frame::Data(Bytes::from_static(b"c")));
        assert_eq!((held.bytes(), held.is_ended()), (3, false));
        held.push(Frame::Trailers(Box::default()));
        assert!(held.is_ended());
        assert!(matches!(held.pop(), Some(Frame::Data(data)) if data == "ab"));
        assert!(matches!(held.pop(), Some(Frame::Data(data)) if data == "c"));
        assert_eq!(held.bytes(), 0);
        assert!(matches!(held.pop(), Some(Frame::Trailers(_))));
        assert!(held.pop().is_none() && held.is_empty());
    }

    #[test]
    fn a_body_in_tiny_pieces_takes_few_frames() {
        let mut held = Held::default();
        let body: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        let part = Bytes::from(body.clone());
        for index in 0..part.len() {
            held.push(Frame::Data(part.slice(index..=index)));
            // Now and then all are looked at, and the first is taken and put back.
            if index % 1000 == 0 {
                held.pass(|_, _| {});
                let Some(Frame::Data(first)) = held.pop() else { panic!("a piece") };
                held.unpop(first);
            }
        }
        assert!(held.frames.len() < 2 * part.len() / ROW, "{} frames", held.frames.len());
        assert_eq!(held.bytes(), body.len() as u64);
        assert_eq!(held.data().flatten().copied().collect::<Vec<u8>>(), body);
    }

    #[test]
    fn what_changes_in_passing_is_counted_anew() {
        let mut held = Held::whole(Bytes::from_static(b"abc"));
        held.pass(|frame, end| {
            assert!(end);
            *frame = Frame::Data(Bytes::from_static(b"z"));
        });
        assert_eq!(held.bytes(), 1);
        held.pass(|frame, _| *frame = Frame::Data(Bytes::new()));
        assert!(held.is_empty() && held.is_ended());
    }
}
