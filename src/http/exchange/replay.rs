//! What of a request's body is kept, so that it can be sent again.
//!
//! Pieces are kept as they came and share their memory with what was sent. Only small ones are copied, together, so
//! that a body in tiny chunks takes no more room than it has bytes, many times over.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use crate::codec::{Frame, StreamError};

use super::Held;

/// Pieces below this are put together: to keep one takes about as much as to copy it.
const SMALL: usize = 256;

/// A request's body as far as it has come, up to a limit.
#[derive(Debug)]
pub(in crate::http) struct Replay {
    pieces: VecDeque<Frame>,
    /// Small pieces behind those.
    tail: BytesMut,
    /// Pieces that the attempt in progress was given.
    next: usize,
    /// Bytes of the body that may still be replay.
    room: u64,
    /// Bytes of the body that have come.
    received: u64,
    state: State,
    is_ended: bool,
}

/// Whether what comes is replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Keeping,
    /// It does not have to be: nothing is sent again.
    Released,
    /// It cannot be any more, which has not been told yet.
    Exceeded,
}

impl Replay {
    /// Nothing yet, and this many bytes at most.
    pub(in crate::http) fn new(limit: u64) -> Self {
        let (pieces, tail) = (VecDeque::new(), BytesMut::new());
        Replay { pieces, tail, next: 0, room: limit, received: 0, state: State::Keeping, is_ended: false }
    }

    /// Whether there is nothing to send again.
    pub(in crate::http) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }

    /// Bytes of the body that have come, kept or not.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Begins again with the first piece, for another attempt.
    pub(in crate::http) fn rewind(&mut self) {
        self.settle();
        self.next = 0;
    }

    /// Another attempt goes on where it was: puts its place in exchange for that of the one in progress.
    pub(in crate::http) fn swap_place(&mut self, place: &mut usize) {
        self.settle();
        std::mem::swap(&mut self.next, place);
    }

    /// Keeps what comes, however much: the request has come, but was not all read.
    pub(in crate::http) fn lift_limit(&mut self) {
        self.room = u64::MAX;
    }

    /// All that has come, for another exchange.
    pub(super) fn into_held(mut self) -> Held {
        self.settle();
        Held::of(self.pieces.into_iter(), self.is_ended)
    }

    /// Nothing is sent again: what an attempt was given already is let go.
    pub(in crate::http) fn release(&mut self) {
        self.let_go(State::Released);
    }

    /// Whether nothing is kept any more.
    pub(in crate::http) fn is_released(&self) -> bool {
        self.state != State::Keeping
    }

    /// Whether more came than may be replay, and that was not told yet.
    pub(in crate::http) fn is_exceeded(&self) -> bool {
        self.state == State::Exceeded
    }

    /// Whether more came than may be replay; told once.
    pub(in crate::http) fn take_excess(&mut self) -> bool {
        let exceeded = self.state == State::Exceeded;
        if exceeded {
            self.state = State::Released;
        }
        exceeded
    }

    fn let_go(&mut self, state: State) {
        if self.state == State::Keeping {
            self.state = state;
            self.pieces.drain(..self.next);
            self.next = 0;
            self.tail = BytesMut::new();
        }
    }

    /// The next piece for the attempt in progress: one that is kept, or else one that comes.
    pub(super) fn poll_next(
        &mut self,
        mut fresh: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        if let Some(frame) = self.again() {
            return Poll::Ready(Ok(Some(frame)));
        }
        if self.is_ended {
            return Poll::Ready(Ok(None));
        }
        let frame = ready!(fresh(cx))?;
        match &frame {
            Some(frame) => self.keep(frame),
            None => self.is_ended = true,
        }
        Poll::Ready(Ok(frame))
    }

    /// The next piece that the attempt in progress was not given yet.
    fn again(&mut self) -> Option<Frame> {
        if self.state != State::Keeping {
            return self.pieces.pop_front();
        }
        let piece = self.pieces.get(self.next)?.clone();
        self.next += 1;
        Some(piece)
    }

    /// Keeps a piece that the attempt in progress is given now.
    fn keep(&mut self, frame: &Frame) {
        if let Frame::Data(data) = frame {
            self.received += data.len() as u64;
        }
        if self.state != State::Keeping {
            return;
        }
        match frame {
            Frame::Data(data) => match self.room.checked_sub(data.len() as u64) {
                Some(room) => {
                    self.room = room;
                    self.keep_data(data);
                }
                None => self.let_go(State::Exceeded),
            },
            Frame::Trailers(_) => {
                self.is_ended = true;
                self.push(frame.clone());
            }
        }
    }

    fn keep_data(&mut self, data: &Bytes) {
        if data.len() < SMALL {
            self.tail.extend_from_slice(data);
        } else {
            self.push(Frame::Data(data.clone()));
        }
    }

    fn push(&mut self, frame: Frame) {
        self.settle();
        self.pieces.push_back(frame);
        self.next += 1;
    }

    /// Makes a piece of the small ones.
    fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(Frame::Data(self.tail.split().freeze()));
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::headers::Headers;
    use crate::base::random::Rng;

    fn data(bytes: &[u8]) -> Frame {
        Frame::Data(Bytes::copy_from_slice(bytes))
    }

    /// Everything that an attempt is still given of what is replay.
    fn replayed(replay: &mut Replay) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(frame) = replay.again() {
            match frame {
                Frame::Data(data) => all.extend_from_slice(&data),
                Frame::Trailers(_) => all.extend_from_slice(b"<end>"),
            }
        }
        all
    }

    #[test]
    fn each_attempt_is_given_the_whole_body() {
        let mut replay = Replay::new(10_000);
        let large = [b'x'; SMALL];
        for piece in [&b"a"[..], b"bc", &large, b"d"] {
            replay.keep(&data(piece));
        }
        assert!(replayed(&mut replay).is_empty());
        let expected = [b"abc", &large[..], b"d"].concat();
        for _ in 0..2 {
            replay.rewind();
            assert_eq!(replayed(&mut replay), expected);
        }
        replay.keep(&data(b"e"));
        replay.keep(&Frame::Trailers(Box::new(Headers::new())));
        replay.rewind();
        assert_eq!(replayed(&mut replay), [&expected[..], b"e<end>"].concat());
    }

    #[test]
    fn large_pieces_share_their_memory() {
        let piece = Bytes::from(vec![b'x'; SMALL]);
        let mut replay = Replay::new(10_000);
        replay.keep(&Frame::Data(piece.clone()));
        replay.rewind();
        let Some(Frame::Data(again)) = replay.again() else { panic!("a piece") };
        assert_eq!(again.as_ptr(), piece.as_ptr());
    }

    #[test]
    fn what_exceeds_the_limit_lets_all_go_and_is_told_once() {
        let mut replay = Replay::new(4);
        replay.keep(&data(b"abcd"));
        assert!(!replay.take_excess());
        replay.keep(&data(b"e"));
        assert!(replay.take_excess() && !replay.take_excess());
        replay.rewind();
        assert!(replay.is_empty());
    }

    #[test]
    fn an_attempt_that_is_the_last_is_given_the_rest() {
        let mut replay = Replay::new(10_000);
        let (one, other) = ([b'1'; SMALL], [b'2'; SMALL]);
        replay.keep(&data(&one));
        replay.keep(&data(&other));
        replay.rewind();
        assert!(replay.again().is_some());
        replay.release();
        replay.keep(&data(b"later"));
        assert_eq!(replayed(&mut replay), other);
        assert!(replay.is_empty());
    }

    #[test]
    fn attempts_beside_each_other_see_the_same_body_each_at_its_own_pace() {
        let mut replay = Replay::new(u64::MAX);
        replay.keep(&data(b"one "));
        let mut other = 0;
        replay.swap_place(&mut other);
        assert_eq!(replayed(&mut replay), b"one ");
        replay.keep(&data(b"two "));
        replay.swap_place(&mut other);
        assert_eq!(replayed(&mut replay), b"two ");
        replay.keep(&data(b"three"));
        replay.swap_place(&mut other);
        assert_eq!(replayed(&mut replay), b"three");
        replay.rewind();
        assert_eq!(replayed(&mut replay), b"one two three");
    }

    #[test]
    fn whatever_happens_each_attempt_sees_a_beginning_of_the_same_body() {
        let mut rng = Rng::seeded(17);
        for _ in 0..500 {
            let mut replay = Replay::new(u64::MAX);
            let (mut body, mut given) = (Vec::new(), Vec::new());
            for _ in 0..40 {
                match rng.below(6) {
                    0 => {
                        replay.rewind();
                        given.clear();
                    }
                    1..3 => {
                        if let Some(Frame::Data(piece)) = replay.again() {
                            given.extend_from_slice(&piece);
                        }
                    }
                    _ => {
                        given.extend(replayed(&mut replay));
                        let piece = vec![rng.next_u64() as u8; rng.below(2 * SMALL as u64) as usize];
                        replay.keep(&data(&piece));
                        body.extend_from_slice(&piece);
                        given.extend_from_slice(&piece);
                    }
                }
                assert!(body.starts_with(&given));
            }
            replay.rewind();
            assert_eq!(replayed(&mut replay), body);
        }
    }
}
