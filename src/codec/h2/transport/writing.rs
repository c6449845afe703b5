//! What is written below a connection: what `h2` writes, and what is to go out between that.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use smallvec::SmallVec;

use crate::base::io::Io;
use crate::codec::h2::backlog::Backlog;
use crate::codec::h2::edits::Fate;

use super::Transport;

impl Transport {
    /// Has METADATA go out with what is written next. True if some of it waits: for a frame to end, or for the head of its
    /// stream.
    pub(super) fn gather_metadata(&mut self, cx: &Context<'_>) -> bool {
        if self.metadata.is_none() || self.edits.as_ref().is_some_and(|edits| edits.is_opening()) {
            return false;
        }
        let mut own = BytesMut::new();
        let waits = self.meter.take_metadata(cx, &mut own);
        if !own.is_empty() {
            self.edits.get_or_insert_default().add(own);
        }
        waits || self.edits.as_ref().is_some_and(|edits| edits.holds())
    }

    /// Writes what goes out beside what `h2` writes.
    pub(super) fn poll_edits(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_backlog(cx))?;
        if self.watch.announce.take() {
            self.edits.get_or_insert_default().announce();
        }
        let Some(mut edits) = self.edits.take() else { return Poll::Ready(Ok(())) };
        let mut done = Poll::Ready(Ok(()));
        while let Some(own) = edits.due(&self.sent) {
            match Io::poll_write_vectored(&self.io, cx, &[IoSlice::new(own)]) {
                Poll::Ready(Ok(0)) => {
                    done = Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    break;
                }
                Poll::Ready(Ok(written)) => {
                    self.note_written(&[IoSlice::new(own)], written, true);
                    own.advance(written);
                }
                other => {
                    done = other.map_ok(drop);
                    break;
                }
            }
        }
        self.edits = Some(edits);
        self.watch.blocked.set(done.is_pending());
        done
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = match self.poll_backlog(cx)? {
            Poll::Ready(()) => Io::poll_write_vectored(&self.io, cx, slices),
            Poll::Pending => Poll::Pending,
        };
        self.watch.blocked.set(polled.is_pending());
        if self.io.bounds_waiting() {
            self.bear(slices, &polled, cx)?;
        }
        match polled {
            Poll::Ready(Ok(written)) => self.note_written(slices, written, true),
            Poll::Pending if self.guard.owes_many() => return self.put_off(slices),
            _ => {}
        }
        polled
    }

    /// Bears that what streams have sent waits for the peer, for as long as that is permitted. What waits for its windows
    /// alone does not count.
    fn bear(
        &self,
        slices: &[IoSlice<'_>],
        polled: &Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let offered = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let waiting = match polled {
            Poll::Pending => usize::try_from(self.meter.pending()).unwrap_or(usize::MAX),
            Poll::Ready(Ok(written)) if *written == offered => 0,
            Poll::Ready(_) => return Ok(()),
        };
        self.io.poll_waiting(waiting, cx).inspect_err(|_| {
            self.meter.overfull();
            self.watch.give_up();
        })
    }

    /// Takes what the socket does not, if there is room for it.
    #[cold]
    fn put_off(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let backlog = self.backlog.get_or_insert_with(|| Box::new(Backlog::behind(&self.sent)));
        let taken = backlog.take(slices);
        if taken == 0 {
            return Poll::Pending;
        }
        self.note_written(slices, taken, false);
        Poll::Ready(Ok(taken))
    }

    /// Ready once nothing is put off any more.
    pub(super) fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(backlog) = &mut self.backlog {
            ready!(backlog.poll_write(&self.io, &mut self.guard, cx))?;
            self.backlog = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what `h2` writes, and what is to go out before it.
    pub(super) fn write_between(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.edits.is_none() && !self.watch.announce.get() {
            return self.write(cx, slices);
        }
        ready!(self.poll_edits(cx))?;
        let Some(edits) = &mut self.edits else { return self.write(cx, slices) };
        match edits.look(slices, &self.sent) {
            Fate::Kept(bytes) => {
                // There is something to read, or to write, that nobody else tells of.
                cx.waker().wake_by_ref();
                Poll::Ready(Ok(bytes))
            }
            Fate::Out(bytes) => self.write(cx, &cut(slices, bytes)),
        }
    }

    /// Looks at what was written; `is_out` says that the socket has taken it.
    fn note_written(&mut self, slices: &[IoSlice<'_>], mut written: usize, is_out: bool) {
        self.watch.written.set(self.watch.written.get() + written as u64);
        for slice in slices {
            let taken = written.min(slice.len());
            let mut bytes = &slice[..taken];
            while let Some(frame) = self.sent.next(&mut bytes) {
                self.meter.frame_out(frame);
                self.guard.send(frame);
                if is_out {
                    self.guard.went_out(frame);
                }
            }
            written -= taken;
        }
    }
}

/// As much of the slices as this.
pub(super) fn cut<'s>(slices: &'s [IoSlice<'s>], mut bytes: usize) -> SmallVec<[IoSlice<'s>; 4]> {
    let cut = slices.iter().map(|slice| {
        let taken = bytes.min(slice.len());
        bytes -= taken;
        IoSlice::new(&slice[..taken])
    });
    cut.collect()
}
