//! Messages of a stream of gRPC, each a report (gRPC over HTTP2, "Length-Prefixed-Message").

use bytes::{Buf as _, BytesMut};
use prost::Message as _;

use crate::upstream::orca::Report;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Bytes of a message at most, as in Envoy.
const MAX_MESSAGE: usize = 64 * 1024;

/// What came is no message, or one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What came and is not read yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Takes what came, all of which is to be read before more is taken: of a message that is too long no more is kept than
    /// came with its beginning.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next report that is whole; messages without content are none.
    pub(super) fn next(&mut self) -> Result<Option<Report>, Malformed> {
        while let Some(length) = self.next_length()? {
            if self.buffer.len() - PREFIX < length {
                return Ok(None);
            }
            self.buffer.advance(PREFIX);
            let message = self.buffer.split_to(length);
            if length > 0 {
                return Report::decode(message).map(Some).map_err(|_| Malformed);
            }
        }
        Ok(None)
    }

    /// Bytes of the message that comes next; `None` before that is told.
    fn next_length(&self) -> Result<Option<usize>, Malformed> {
        let Some((prefix, _)) = self.buffer.split_at_checked(PREFIX) else { return Ok(None) };
        let mut length = &prefix[1..];
        let length = length.get_u32() as usize;
        // Nobody has agreed on a compression.
        if prefix[0] != 0 || length > MAX_MESSAGE { Err(Malformed) } else { Ok(Some(length)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).expect("it is short");
        [&[0], &length.to_be_bytes()[..], message].concat()
    }

    fn report(rps_fractional: f64) -> Report {
        Report { rps_fractional, ..Report::default() }
    }

    fn all(frames: &mut Frames) -> Result<Vec<Report>, Malformed> {
        let mut reports = Vec::new();
        while let Some(report) = frames.next()? {
            reports.push(report);
        }
        Ok(reports)
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let stream: Vec<u8> = [
            framed(&report(1.0).encode_to_vec()),
            framed(&[]),
            framed(&report(2.0).encode_to_vec()),
            vec![0, 0, 0],
        ]
        .concat();
        for size in 1..=stream.len() {
            let mut frames = Frames::default();
            let mut reports = Vec::new();
            for part in stream.chunks(size) {
                frames.push(part);
                reports.extend(all(&mut frames).expect("all are messages"));
            }
            assert_eq!(reports, [report(1.0), report(2.0)], "in parts of {size}");
        }
    }

    #[test]
    fn what_is_compressed_too_long_or_no_report_is_refused() {
        let prefix = |length: u32| [&[0], &length.to_be_bytes()[..]].concat();
        for (bytes, expected) in [
            (prefix(65_536), Ok(Vec::new())),
            (prefix(65_537), Err(Malformed)),
            (prefix(u32::MAX), Err(Malformed)),
            (vec![1, 0, 0, 0, 0], Err(Malformed)),
            (framed(&[0xff, 0xff]), Err(Malformed)),
        ] {
            let mut frames = Frames::default();
            frames.push(&bytes);
            assert_eq!(all(&mut frames), expected, "{bytes:?}");
        }
    }
}
