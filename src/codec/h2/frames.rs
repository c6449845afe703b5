//! Frames as they pass by: the heads are picked out of the bytes of one direction, however those are cut, and the
//! payloads are passed over unread (RFC 9113 §4.1).

/// The types of frames that somebody looks at (RFC 9113 §6).
pub(super) mod kind {
    pub(in crate::codec::h2) const DATA: u8 = 0;
    pub(in crate::codec::h2) const HEADERS: u8 = 1;
    pub(in crate::codec::h2) const PRIORITY: u8 = 2;
    pub(in crate::codec::h2) const RST_STREAM: u8 = 3;
    pub(in crate::codec::h2) const SETTINGS: u8 = 4;
    pub(in crate::codec::h2) const PING: u8 = 6;
    pub(in crate::codec::h2) const GOAWAY: u8 = 7;
    pub(in crate::codec::h2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::codec::h2) const CONTINUATION: u8 = 9;
    /// Envoy's extension.
    pub(in crate::codec::h2) const METADATA: u8 = 0x4d;
}

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// The flag of the last frame of a map.
pub(super) const END_METADATA: u8 = 0x4;
const PADDED: u8 = 0x8;

/// Bytes of a frame before its payload.
pub(super) const HEAD: usize = 9;
/// Bytes of a payload that are looked at: as many as RST_STREAM, PING and GOAWAY have that matter.
const SHOWN: usize = 8;

/// A frame, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    flags: u8,
    /// 0 for the connection.
    pub(super) stream: u32,
    /// Whether there is nothing in it but padding.
    pub(super) is_empty: bool,
    /// Bytes of payload.
    pub(super) length: u32,
    /// The payload's first bytes, of RST_STREAM, PING and GOAWAY only.
    shown: [u8; SHOWN],
}

impl Frame {
    /// Whether this is the last of its stream in this direction.
    pub(super) fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Bytes on the wire.
    pub(super) fn wire_length(&self) -> u64 {
        u64::from(self.length) + HEAD as u64
    }

    /// The first number of the payload: RST_STREAM's error code, GOAWAY's last stream.
    pub(super) fn first_word(&self) -> u32 {
        let [a, b, c, d, ..] = self.shown;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The second number of the payload: GOAWAY's error code.
    pub(super) fn second_word(&self) -> u32 {
        let [.., a, b, c, d] = self.shown;
        u32::from_be_bytes([a, b, c, d])
    }

    /// What a PING asks or answers.
    pub(super) fn words(&self) -> u64 {
        u64::from_be_bytes(self.shown)
    }

    /// Whether it answers a PING or SETTINGS.
    pub(super) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    /// Whether it is a PING or SETTINGS, or the answer to one.
    pub(super) fn is_control(&self) -> bool {
        matches!(self.kind, kind::PING | kind::SETTINGS)
    }

    /// Whether it is the last that a map of METADATA came in.
    pub(super) fn ends_metadata(&self) -> bool {
        self.kind == kind::METADATA && self.flags & END_METADATA != 0
    }

    /// Whether a header block goes on in the next frame.
    pub(super) fn leaves_block_open(&self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::CONTINUATION) && self.flags & END_HEADERS == 0
    }
}

/// Finds the frames in the bytes of one direction of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// The head of the next frame as far as it has come, and what is looked at of its payload: the length of the
    /// padding where it has one, or numbers.
    head: [u8; HEAD + SHOWN],
    have: usize,
    /// Bytes to pass over before the next head.
    skip: usize,
    /// A header block has begun and not ended.
    block_open: bool,
}

impl Frames {
    /// The frames that follow so many bytes which are none.
    pub(super) fn after(skip: usize) -> Self {
        Frames { skip, ..Frames::default() }
    }

    /// Whether any frame may begin with the next byte: within a header block it may not (RFC 9113 §4.3).
    pub(super) fn is_between_frames(&self) -> bool {
        self.have == 0 && self.skip == 0 && !self.block_open
    }

    /// How much of `bytes` there is up to the end of the first frame that ends in it; all if there is no such frame.
    pub(super) fn first_end(&self, bytes: &[u8]) -> usize {
        let mut frames = self.clone();
        let mut rest = bytes;
        if self.have > 0 || self.skip == 0 {
            frames.next(&mut rest);
        }
        (bytes.len() - rest.len()).saturating_add(frames.skip).min(bytes.len())
    }

    /// The next frame whose head is complete in `bytes`, which is moved on behind it; `None` when all is read.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            *bytes = &bytes[passed..];
            let wanted = self.wanted();
            let taken = (wanted - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            *bytes = &bytes[taken..];
            if self.have == self.wanted() {
                return Some(self.complete());
            }
            if bytes.is_empty() {
                return None;
            }
        }
    }

    /// Bytes that it takes to know what there is to know of the frame.
    fn wanted(&self) -> usize {
        let [a, b, c, kind, flags, ..] = self.head;
        if self.have < HEAD {
            return HEAD;
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let shown = match kind {
            kind::DATA | kind::HEADERS if flags & PADDED != 0 => 1,
            kind::RST_STREAM | kind::PING | kind::GOAWAY => SHOWN,
            _ => 0,
        };
        HEAD + shown.min(length)
    }

    fn complete(&mut self) -> Frame {
        let [a, b, c, kind, flags, s, t, u, v, shown @ ..] = std::mem::take(&mut self.head);
        let length = u32::from_be_bytes([0, a, b, c]);
        let taken = std::mem::take(&mut self.have) - HEAD;
        self.skip = length as usize - taken;
        let padded = matches!(kind, kind::DATA | kind::HEADERS) && flags & PADDED != 0 && taken > 0;
        let padding = if padded { u32::from(shown[0]) + 1 } else { 0 };
        let stream = u32::from_be_bytes([s, t, u, v]) & (u32::MAX >> 1);
        let frame = Frame { kind, flags, stream, is_empty: length <= padding, length, shown };
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) {
            self.block_open = frame.leaves_block_open();
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes = [
            b"preface".to_vec(),
            frame(kind::HEADERS, 0, 1, b"abc"),
            frame(kind::CONTINUATION, 4, 1, b""),
            frame(kind::DATA, PADDED, 1, &[2, 0, 0]),
            frame(kind::DATA, PADDED, 1, &[1, b'x', 0]),
            frame(kind::DATA, PADDED, 1, b""),
            frame(kind::DATA, 1, 1, b""),
            frame(6, 0, 0, b"12345678"),
        ]
        .concat();
        for step in 1..bytes.len() {
            let mut frames = Frames::after(7);
            let mut found = Vec::new();
            for mut piece in bytes.chunks(step) {
                while let Some(frame) = frames.next(&mut piece) {
                    found.push((frame.kind, frame.is_empty, frame.ends_stream(), frame.leaves_block_open()));
                }
            }
            assert_eq!(
                found,
                [
                    (kind::HEADERS, false, false, true),
                    (kind::CONTINUATION, true, false, false),
                    (kind::DATA, true, false, false),
                    (kind::DATA, false, false, false),
                    (kind::DATA, true, false, false),
                    (kind::DATA, true, true, false),
                    (6, false, false, false),
                ],
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn where_the_first_frame_ends() {
        let bytes = [frame(kind::DATA, 0, 1, b"abc"), frame(kind::DATA, 0, 1, b"")].concat();
        for (seen, expected) in [(0, 12), (5, 7), (9, 3), (11, 1), (12, 9), (20, 1)] {
            let mut frames = Frames::default();
            let mut before = &bytes[..seen];
            while frames.next(&mut before).is_some() {}
            assert_eq!(frames.first_end(&bytes[seen..]), expected, "{seen}");
        }
        assert_eq!(Frames::default().first_end(&bytes[..11]), 11);
    }

    #[test]
    fn nothing_may_stand_within_a_header_block() {
        let mut frames = Frames::default();
        assert!(frames.next(&mut &frame(kind::HEADERS, 0, 1, b"")[..]).is_some());
        assert!(!frames.is_between_frames());
        assert!(frames.next(&mut &frame(kind::CONTINUATION, 4, 1, b"")[..]).is_some());
        assert!(frames.is_between_frames());
    }

    #[test]
    fn what_is_told_of_a_frame() {
        let bytes = [
            frame(kind::HEADERS, 5, 1, b"abc"),
            frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
            frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 2, b'h', b'i']),
            frame(kind::DATA, 1, 3, b"ab"),
        ]
        .concat();
        let mut frames = Frames::default();
        let mut rest = &bytes[..];
        let found: Vec<Frame> = std::iter::from_fn(|| frames.next(&mut rest)).collect();
        assert_eq!((found[0].wire_length(), found[0].stream), (12, 1));
        assert_eq!(found[1].first_word(), 8);
        assert_eq!((found[2].first_word(), found[2].second_word()), (3, 2));
        assert_eq!((found[3].stream, found[3].length), (3, 2));
    }
}
