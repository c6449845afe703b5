//! Bytes that somebody looks at before they are passed on.
//!
//! What the peer sends is read, and held until it may pass; what is sent to the peer passes meanwhile.

use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::{Io, Stream};

/// Bytes that are read at once.
const READ_SIZE: usize = 16 * 1024;

/// Who says whether bytes may pass.
pub trait Watch: fmt::Debug {
    /// Ready once what was read, so many bytes, may pass; never where it may not, and then who watches sees to the
    /// connection's end.
    fn poll_pass(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<Passes>;

    /// The alert of TLS that tells the peer that nothing passes any more; `None` as long as something may, and where
    /// nothing tells it.
    fn alert(&self) -> Option<u8> {
        None
    }
}

/// What may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// What was read; who watches is asked again about what is read next.
    This,
    /// Everything from here on.
    All,
}

/// Who watches a stream, and what is held for it.
#[derive(Debug)]
pub(super) struct Watched {
    watch: Box<dyn Watch>,
    held: BytesMut,
    state: State,
    /// Whether the watch is asked about the end, too.
    with_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is held.
    Reading,
    /// What is held waits, or where that is nothing the end.
    Asking,
    /// What is held passes.
    Passing(Passes),
    /// The peer sends nothing more.
    Ended,
}

impl Watched {
    /// Ready when something may pass, or the end is there.
    fn poll_hold(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.state = match self.state {
                State::Reading => {
                    // No room is taken for a peer that sends nothing.
                    ready!(stream.poll_readable(cx))?;
                    self.held.reserve(READ_SIZE);
                    match (ready!(stream.poll_read(cx, &mut self.held))?, self.with_end) {
                        (0, false) => State::Ended,
                        _ => State::Asking,
                    }
                }
                State::Asking => {
                    let Poll::Ready(passes) = self.watch.poll_pass(self.held.len(), cx) else {
                        if let Some(alert) = self.watch.alert() {
                            stream.refuse(alert);
                        }
                        return Poll::Pending;
                    };
                    if self.held.is_empty() { State::Ended } else { State::Passing(passes) }
                }
                State::Passing(_) | State::Ended => return Poll::Ready(Ok(())),
            };
        }
    }

    /// Hands over what may pass, up to so much.
    fn take(&mut self, room: usize, put: impl FnOnce(&[u8])) -> usize {
        let taken = room.min(self.held.len());
        put(&self.held[..taken]);
        self.held.advance(taken);
        if self.held.is_empty() {
            self.held = BytesMut::new();
            if self.state == State::Passing(Passes::This) {
                self.state = State::Reading;
            }
        }
        taken
    }

    /// Whether it is done with the stream.
    fn is_done(&self) -> bool {
        self.held.is_empty() && matches!(self.state, State::Passing(Passes::All) | State::Ended)
    }
}

impl Io {
    /// Has somebody look at what the peer sends before it passes, and where `with_end` says so, at the end of it that
    /// comes before any byte, too.
    pub fn watched(self, watch: Box<dyn Watch>, with_end: bool) -> Self {
        let watched = Watched { watch, held: BytesMut::new(), state: State::Reading, with_end };
        Io { watched: Some(Box::new(watched)).into(), ..self }
    }

    /// Whether somebody does.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.borrow().is_some()
    }

    pub(super) fn poll_read_watched(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.capacity() - buffer.len();
        self.poll_take_watched(cx, room, |bytes| buffer.put_slice(bytes))
    }

    pub(super) fn poll_take_watched(
        &self,
        cx: &mut Context<'_>,
        room: usize,
        put: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_readable_watched(cx))?;
        let mut watched = self.watched.borrow_mut();
        let Some(watch) = watched.as_mut() else { return Poll::Ready(Ok(0)) };
        let taken = watch.take(room, put);
        if taken > 0 && watch.is_done() {
            *watched = None;
        }
        Poll::Ready(Ok(taken))
    }

    pub(super) fn poll_readable_watched(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.watched.borrow_mut().as_mut() {
            Some(watched) => watched.poll_hold(&mut self.stream.borrow_mut(), cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;

    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;

    use super::*;

    /// Lets pass as often as it is told to, and counts how often it is asked.
    #[derive(Clone, Debug, Default)]
    struct Allowance(Rc<[Cell<u32>; 2]>, Option<Passes>);

    impl Watch for Allowance {
        fn poll_pass(&mut self, _: usize, _: &mut Context<'_>) -> Poll<Passes> {
            let [allowed, asked] = &*self.0;
            asked.set(asked.get() + 1);
            match (allowed.get().checked_sub(1), self.1) {
                (Some(left), Some(passes)) => {
                    allowed.set(left);
                    Poll::Ready(passes)
                }
                _ => Poll::Pending,
            }
        }
    }

    fn pair(passes: Passes, with_end: bool) -> (Io, UnixStream, Rc<[Cell<u32>; 2]>) {
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        let allowance = Allowance(Rc::default(), Some(passes));
        let counts = Rc::clone(&allowance.0);
        (Io::from(near).watched(Box::new(allowance), with_end), far, counts)
    }

    async fn read(io: &Io, room: usize) -> Vec<u8> {
        let mut buffer = BytesMut::with_capacity(room);
        poll_fn(|cx| io.poll_read(cx, &mut buffer)).await.expect("a connection that is there");
        buffer.to_vec()
    }

    /// Whether reading waits.
    async fn waits(io: &Io) -> bool {
        poll_fn(|cx| Poll::Ready(io.poll_readable(cx).is_pending())).await
    }

    #[tokio::test]
    async fn bytes_wait_until_they_may_pass_and_then_nobody_looks() {
        let (io, mut far, counts) = pair(Passes::All, true);
        far.write_all(b"hello").await.expect("a connection that is there");
        while counts[1].get() == 0 {
            assert!(waits(&io).await, "nothing passes unasked");
            tokio::task::yield_now().await;
        }
        counts[0].set(1);
        assert_eq!(read(&io, 2).await, b"he");
        assert_eq!(read(&io, 100).await, b"llo");
        assert!(!io.is_watched());
        far.write_all(b"more").await.expect("a connection that is there");
        assert_eq!(read(&io, 100).await, b"more");
    }

    #[tokio::test]
    async fn who_wants_to_see_all_is_asked_each_time() {
        let (io, mut far, counts) = pair(Passes::This, true);
        counts[0].set(9);
        for bytes in [&b"one"[..], b"two"] {
            far.write_all(bytes).await.expect("a connection that is there");
            assert_eq!(read(&io, 100).await, bytes);
        }
        drop(far);
        assert_eq!(read(&io, 100).await, b"");
        assert_eq!(counts[1].get(), 3, "the end is seen, too");
        assert_eq!(read(&io, 100).await, b"", "and stays");
    }

    #[tokio::test]
    async fn an_end_alone_passes_who_does_not_want_to_see_it() {
        let (io, far, counts) = pair(Passes::All, false);
        drop(far);
        assert_eq!(read(&io, 100).await, b"");
        assert_eq!(counts[1].get(), 0);
    }
}
