//! What goes out on a connection although `h2` does not write it, and what it writes that does not go out.
//!
//! - Settings that are given by number (`custom_settings_parameters`) join `h2`'s first SETTINGS frame. As in Envoy they
//!   come first, so that what is enforced is also what the peer holds to be in force.
//! - The GOAWAY that announces the end goes out when a drain begins, `drain_timeout` before `h2` is told of it. What
//!   `h2` does first then, the same GOAWAY and a PING whose answer it waits for, is left out, and the answer is made
//!   here: the time that it stands for has passed.
//! - METADATA goes out between the frames of others.

use std::io::IoSlice;

use bytes::{BufMut, BytesMut};

use super::frames::{Frame, Frames, HEAD, kind};

/// The last stream of the GOAWAY that only announces the end (RFC 9113 §6.8).
pub(super) const ANY_STREAM: u32 = u32::MAX >> 1;
/// Bytes of a GOAWAY that tells no more than it has to, and of a PING.
const FRAME: usize = HEAD + 8;
/// What `h2` asks in the PING by which it ends a connection.
const LAST_PING: u64 = 0x0b7b_a2f0_8b9b_fe54;
/// The flag of an answer to a PING (RFC 9113 §6.7).
const ACK: u8 = 1;

/// Identifiers and values, as they stand in SETTINGS (RFC 9113 §6.5.1).
pub(super) type Parameters = [(u16, u32)];

/// What is changed of a connection's bytes. Most connections have none of it.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// The beginning of the connection, up to its first frame.
    opening: Option<Opening>,
    /// What goes out before anything else that `h2` writes.
    own: BytesMut,
    /// Whether `own` has to go out here and now: a part of it has gone, or nothing else has.
    own_is_next: bool,
    /// The end was announced, and `h2` has not said so yet.
    announced: bool,
    /// The answer to its PING, until `h2` has read it.
    answer: Option<[u8; FRAME]>,
}

/// The beginning of a connection.
#[derive(Debug)]
struct Opening {
    /// Bytes before the first frame.
    preface: usize,
    seen: BytesMut,
    parameters: Box<Parameters>,
}

/// What becomes of bytes that `h2` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They go out, up to here.
    Out(usize),
    /// So many of them do not go out as they are.
    Kept(usize),
}

impl Edits {
    /// Adds parameters to the first frame, which comes after so many bytes.
    pub(super) fn with_settings(preface: usize, parameters: &Parameters) -> Self {
        let opening = Opening { preface, seen: BytesMut::new(), parameters: parameters.into() };
        Edits { opening: Some(opening), ..Edits::default() }
    }

    /// Announces the end of the connection.
    pub(super) fn announce(&mut self) {
        if self.announced {
            return;
        }
        self.announced = true;
        let own = &mut self.own;
        own.put_uint(8, 3);
        own.put_slice(&[kind::GOAWAY, 0]);
        own.put_u32(0);
        own.put_u32(ANY_STREAM);
        own.put_u32(h2::Reason::NO_ERROR.into());
    }

    /// Has `more` go out, which `due` gives where frames of their own may stand.
    pub(super) fn add(&mut self, more: BytesMut) {
        self.own.unsplit(more);
    }

    /// Whether something has to go out.
    pub(super) fn holds(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether the connection's first frame has not gone out.
    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Whether the end of the connection was announced.
    pub(super) fn is_announced(&self) -> bool {
        self.announced
    }

    /// What has to go out now, before anything else; `sent` is what has gone.
    pub(super) fn due(&mut self, sent: &Frames) -> Option<&mut BytesMut> {
        self.own_is_next |= sent.is_between_frames();
        self.own_is_next &= !self.own.is_empty();
        self.own_is_next.then_some(&mut self.own)
    }

    /// Looks at what `h2` writes next.
    pub(super) fn look(&mut self, slices: &[IoSlice<'_>], sent: &Frames) -> Fate {
        if let Some(opening) = &mut self.opening {
            let taken = opening.take(slices);
            if let Some(bytes) = opening.complete() {
                self.own.unsplit(bytes);
                self.own_is_next = true;
                self.opening = None;
            }
            return Fate::Kept(taken);
        }
        let whole = slices.iter().map(|slice| slice.len()).sum();
        if !self.announced {
            return Fate::Out(whole);
        }
        match find(slices, sent.clone()) {
            None => Fate::Out(whole),
            Some((0, frame)) => {
                if frame.kind == kind::PING {
                    self.answer = Some(answer());
                }
                Fate::Kept(FRAME)
            }
            Some((before, _)) => Fate::Out(before),
        }
    }

    /// The answer to the PING that was kept; given once, where the frames that are read have ended and there is `room`.
    pub(super) fn answer(&mut self, received: &Frames, room: usize) -> Option<[u8; FRAME]> {
        self.answer.take_if(|answer| received.is_between_frames() && answer.len() <= room)
    }
}

impl Opening {
    /// Takes what belongs to the first frame and the bytes before it. Gives the number of bytes.
    fn take(&mut self, slices: &[IoSlice<'_>]) -> usize {
        let mut taken = 0;
        for slice in slices {
            let mut slice = &slice[..];
            // First as much as it takes to know the length, then the rest.
            while let Some(more) = self.wanted().checked_sub(self.seen.len()).filter(|more| *more > 0) {
                let part = &slice[..more.min(slice.len())];
                if part.is_empty() {
                    break;
                }
                self.seen.extend_from_slice(part);
                taken += part.len();
                slice = &slice[part.len()..];
            }
        }
        taken
    }

    /// Bytes of the opening, as far as that is known.
    fn wanted(&self) -> usize {
        let head = self.preface + HEAD;
        match self.seen.get(self.preface..head) {
            Some([a, b, c, ..]) => head + u32::from_be_bytes([0, *a, *b, *c]) as usize,
            _ => head,
        }
    }

    /// The opening with the parameters, once all of it is there.
    fn complete(&mut self) -> Option<BytesMut> {
        if self.seen.len() < self.preface + HEAD || self.seen.len() < self.wanted() {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.seen);
        let rest = bytes.split_off(self.preface + HEAD);
        for (identifier, value) in &self.parameters {
            bytes.put_u16(*identifier);
            bytes.put_u32(*value);
        }
        bytes.unsplit(rest);
        let length = (bytes.len() - self.preface - HEAD) as u32;
        bytes[self.preface..self.preface + 3].copy_from_slice(&length.to_be_bytes()[1..]);
        Some(bytes)
    }
}

/// The first frame by which `h2` begins to end a connection, and how many bytes come before it.
fn find(slices: &[IoSlice<'_>], mut frames: Frames) -> Option<(usize, Frame)> {
    let mut before = 0;
    for slice in slices {
        let mut bytes = &slice[..];
        while let Some(frame) = frames.next(&mut bytes) {
            let wanted = match frame.kind {
                kind::GOAWAY => frame.first_word() == ANY_STREAM,
                kind::PING => frame.words() == LAST_PING && !frame.is_ack(),
                _ => false,
            };
            if wanted {
                let end = before + slice.len() - bytes.len();
                return Some((end.checked_sub(FRAME)?, frame));
            }
        }
        before += slice.len();
    }
    None
}

/// The answer that `h2` waits for.
fn answer() -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[2] = 8;
    (frame[3], frame[4]) = (kind::PING, ACK);
    frame[HEAD..].copy_from_slice(&LAST_PING.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[0, 0, payload.len() as u8, kind, 0, 0, 0, 0, 0], payload].concat()
    }

    fn due(edits: &mut Edits, sent: &Frames) -> Vec<u8> {
        edits.due(sent).map(|own| own.split().to_vec()).unwrap_or_default()
    }

    #[test]
    fn parameters_join_the_first_frame_however_it_is_cut() {
        let opening = [&b"preface"[..], &frame(4, &[0, 1, 0, 0, 0, 9])].concat();
        for cut in 0..=opening.len() {
            let mut edits = Edits::with_settings(7, &[(0x1234, 5)]);
            let frames = Frames::after(7);
            assert_eq!(edits.look(&[IoSlice::new(&opening[..cut])], &frames), Fate::Kept(cut));
            let rest = [&opening[cut..], b"more"].concat();
            if cut < opening.len() {
                let kept = Fate::Kept(opening.len() - cut);
                assert_eq!(edits.look(&[IoSlice::new(&rest)], &frames), kept, "{cut}");
            }
            let expected = [&b"preface"[..], &frame(4, &[0x12, 0x34, 0, 0, 0, 5, 0, 1, 0, 0, 0, 9])].concat();
            assert_eq!(due(&mut edits, &frames), expected, "{cut}");
            assert_eq!(edits.look(&[IoSlice::new(b"more")], &Frames::default()), Fate::Out(4));
        }
    }

    #[test]
    fn an_end_that_was_announced_is_not_announced_again() {
        let mut edits = Edits::default();
        edits.announce();
        edits.announce();
        let goaway = frame(kind::GOAWAY, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(due(&mut edits, &Frames::default()), goaway);
        let ping = frame(kind::PING, &LAST_PING.to_be_bytes());
        let written = [&frame(0, b"data")[..], &goaway, &ping, &frame(0, b"data")].concat();
        let frames = Frames::default();
        assert_eq!(edits.look(&[IoSlice::new(&written)], &frames), Fate::Out(13));
        assert_eq!(edits.look(&[IoSlice::new(&written[13..])], &frames), Fate::Kept(17));
        assert_eq!(edits.answer(&frames, 99), None);
        assert_eq!(edits.look(&[IoSlice::new(&written[30..])], &frames), Fate::Kept(17));
        assert_eq!(edits.look(&[IoSlice::new(&written[47..])], &frames), Fate::Out(13));
        assert_eq!(edits.answer(&frames, 16), None);
        assert_eq!(edits.answer(&frames, 17).map(|answer| answer[4]), Some(ACK));
        assert_eq!(edits.answer(&frames, 17), None);
    }

    #[test]
    fn frames_of_its_own_go_out_between_those_of_others() {
        let mut edits = Edits::default();
        let mut frames = Frames::default();
        let data = frame(0, b"data");
        let mut begun = &data[..10];
        while frames.next(&mut begun).is_some() {}
        edits.announce();
        assert!(edits.due(&frames).is_none());
        assert_eq!(frames.next(&mut &data[10..]), None);
        assert!(edits.due(&frames).is_some());
    }
}
