//! Bytes between sockets that are not copied: the kernel moves its pages through a pipe.
//!
//! Worth it for much at once alone: for 64 KiB it takes half of the time of reading and writing them, for some hundred
//! bytes it costs two system calls more.

use std::cell::RefCell;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use tokio::io::Interest;

use super::socket::Socket;
use super::{Io, Stream};

/// What a pipe is asked to hold. The kernel may allow less to who has many of them.
const PIPE_BYTES: usize = 256 << 10;

/// Pipes that a thread keeps for those who need one next.
const SPARE: usize = 4;

thread_local! {
    static SPARES: RefCell<Vec<(PipeReader, PipeWriter)>> = const { RefCell::new(Vec::new()) };
}

/// A pipe, and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    /// Both ends; there until it is dropped.
    ends: Option<(PipeReader, PipeWriter)>,
    holds: usize,
}

impl Pipe {
    /// An empty one; `None` when the system has none left.
    pub fn take() -> Option<Self> {
        let ends = SPARES.with_borrow_mut(Vec::pop).or_else(|| {
            let (reader, writer) = io::pipe().ok()?;
            let bytes = PIPE_BYTES.try_into().unwrap_or(i32::MAX);
            if let Err(error) = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(bytes)) {
                tracing::trace!(target: "connection", %error, "a pipe of the usual size");
            }
            Some((reader, writer))
        })?;
        Some(Pipe { ends: Some(ends), holds: 0 })
    }

    /// Bytes in it.
    pub fn holds(&self) -> usize {
        self.holds
    }
}

impl Drop for Pipe {
    /// An empty one is kept for the next who needs one.
    fn drop(&mut self) {
        let Some(ends) = self.ends.take().filter(|_| self.holds == 0) else {
            return;
        };
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARE {
                spares.push(ends);
            }
        });
    }
}

impl Io {
    /// Whether its bytes may go through a pipe: they are nobody's but the kernel's.
    pub fn is_plain(&self) -> bool {
        let is_plain = matches!(&*self.stream.borrow(), Stream::Plain(Socket::Tcp(_) | Socket::Unix(_)));
        is_plain && !self.is_watched()
    }

    /// Moves what is there into an empty pipe; how much it was, 0 at the end.
    pub fn poll_fill(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        let (Stream::Plain(socket), Some((_, writer))) = (&*self.stream.borrow(), &pipe.ends) else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let moved = ready!(socket.poll_io(cx, Interest::READABLE, || move_bytes(
            socket.descriptor()?,
            writer,
            PIPE_BYTES
        )))?;
        pipe.holds += moved;
        Poll::Ready(Ok(moved))
    }

    /// Moves what is in the pipe to the peer, as far as there is room for it; how much it was.
    pub fn poll_empty(&self, cx: &mut Context<'_>, pipe: &mut Pipe) -> Poll<io::Result<usize>> {
        let (Stream::Plain(socket), Some((reader, _))) = (&*self.stream.borrow(), &pipe.ends) else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        let moved = ready!(socket.poll_io(cx, Interest::WRITABLE, || move_bytes(
            reader,
            socket.descriptor()?,
            pipe.holds
        )))?;
        pipe.holds -= moved;
        Poll::Ready(Ok(moved))
    }
}

fn move_bytes(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    Ok(splice(from, None, to, None, most, flags)?)
}

impl Socket {
    /// Does something with the socket as often as it says that it would block, once the socket is ready again.
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            ready!(match (self, interest.is_readable()) {
                (Socket::Tcp(stream), true) => stream.poll_read_ready(cx),
                (Socket::Tcp(stream), false) => stream.poll_write_ready(cx),
                (Socket::Unix(stream), true) => stream.poll_read_ready(cx),
                (Socket::Unix(stream), false) => stream.poll_write_ready(cx),
                (Socket::Loopback(_), _) => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
            })?;
            let acted = match self {
                Socket::Tcp(stream) => stream.try_io(interest, &mut act),
                Socket::Unix(stream) => stream.try_io(interest, &mut act),
                Socket::Loopback(_) => Err(io::ErrorKind::Unsupported.into()),
            };
            match acted {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                acted => return Poll::Ready(acted),
            }
        }
    }
}

impl Socket {
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        match self {
            Socket::Tcp(stream) => Ok(stream.as_fd()),
            Socket::Unix(stream) => Ok(stream.as_fd()),
            Socket::Loopback(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
