//! What was taken of a connection's frames before its socket takes it: answers to a peer that asks for many and reads
//! none. As long as they are taken that peer is read on, until it has asked once too often
//! (`max_outbound_control_frames`); everybody else waits until the socket takes more.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};

use crate::base::io::Io;

use super::flood::Guard;
use super::frames::Frames;

/// Bytes that are taken at most: some thousands of answers. Where more may be owed such a peer is not read on.
const ROOM: usize = 64 * 1024;

/// Bytes that wait for the socket.
#[derive(Debug)]
pub(super) struct Backlog {
    bytes: BytesMut,
    /// Finds the frames in them.
    frames: Frames,
}

impl Backlog {
    /// Nothing yet, behind what was written so far.
    pub(super) fn behind(written: &Frames) -> Self {
        Backlog { bytes: BytesMut::new(), frames: written.clone() }
    }

    /// Takes as much of the slices as there is room for; how many bytes that is.
    pub(super) fn take(&mut self, slices: &[IoSlice<'_>]) -> usize {
        let before = self.bytes.len();
        for slice in slices {
            let room = ROOM.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&slice[..room.min(slice.len())]);
        }
        self.bytes.len() - before
    }

    /// Ready once the socket has taken all.
    pub(super) fn poll_write(
        &mut self,
        io: &Io,
        guard: &mut Guard,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            let written = ready!(Io::poll_write_vectored(io, cx, &[IoSlice::new(&self.bytes)]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let mut gone = &self.bytes[..written];
            while let Some(frame) = self.frames.next(&mut gone) {
                guard.went_out(frame);
            }
            self.bytes.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let mut backlog = Backlog::behind(&Frames::default());
        let part = [0; ROOM - 10];
        assert_eq!(backlog.take(&[IoSlice::new(&part), IoSlice::new(&part)]), ROOM);
        assert_eq!(backlog.take(&[IoSlice::new(&part)]), 0);
    }
}
