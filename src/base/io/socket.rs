//! A stream socket of either family, or what stands for one within the process.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::Loopback;

/// A connected stream socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// None: a connection within the process.
    Loopback(Loopback),
}

impl Socket {
    /// Ready when reading is worth trying. Costs no system call.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => stream.poll_read_ready(cx),
            Socket::Unix(stream) => stream.poll_read_ready(cx),
            Socket::Loopback(stream) => stream.poll_readable(cx).map(Ok),
        }
    }

    /// Waits for the first bytes and looks at them; none when the peer sends none.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.ready_to_read().await?;
            match self.try_peek(buffer, 0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return peeked,
            }
        }
    }

    /// Waits for bytes, the end or an error; true when the peer sends nothing more behind what is there.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn ready_to_read(&self) -> io::Result<bool> {
        let ready = match self {
            Socket::Tcp(stream) => stream.ready(Interest::READABLE).await?,
            Socket::Unix(stream) => stream.ready(Interest::READABLE).await?,
            Socket::Loopback(stream) => return Ok(stream.ready_to_read().await),
        };
        Ok(ready.is_read_closed())
    }

    /// Looks at the bytes that are there, which have to be more than `known`; 0 where there are none, and will be none.
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` where there is nothing new.
    pub fn try_peek(&self, buffer: &mut [u8], known: usize) -> io::Result<usize> {
        let mut look = |descriptor| {
            let there = recv(descriptor, buffer, MsgFlags::MSG_PEEK).map_err(io::Error::from)?;
            // What is known already makes the socket readable, and nothing to wait for.
            if there > 0 && there <= known { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(there) }
        };
        match self {
            Socket::Tcp(stream) => stream.try_io(Interest::READABLE, || look(stream.as_raw_fd())),
            Socket::Unix(stream) => stream.try_io(Interest::READABLE, || look(stream.as_raw_fd())),
            Socket::Loopback(stream) => stream.try_peek(buffer, known),
        }
    }

    /// Takes bytes that were looked at.
    ///
    /// # Errors
    /// Those of the system, and where there are fewer.
    pub fn try_take(&self, buffer: &mut [u8]) -> io::Result<()> {
        // As a look, for those of the runtime note that nothing is left when something may be.
        let taken = match self {
            Socket::Tcp(stream) => recv(stream.as_raw_fd(), buffer, MsgFlags::empty()),
            Socket::Unix(stream) => recv(stream.as_raw_fd(), buffer, MsgFlags::empty()),
            Socket::Loopback(stream) => return stream.try_take(buffer),
        };
        if taken? < buffer.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Socket::Unix(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Socket::Loopback(stream) => {
                stream.shutdown_write();
                Ok(())
            }
        }
    }

    /// Has closing send a reset.
    pub(super) fn reset_on_close(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            // They know no resets.
            Socket::Unix(_) => Ok(()),
            Socket::Loopback(stream) => {
                stream.break_off();
                Ok(())
            }
        }
    }

    /// The local IP address and port; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            Socket::Unix(_) | Socket::Loopback(_) => None,
        }
    }

    /// The peer's IP address and port; `None` for Unix sockets.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            Socket::Unix(_) | Socket::Loopback(_) => None,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Socket::Loopback(stream) => stream.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Loopback(stream) => stream.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// One slice alone goes by `send`, which costs the kernel less than `writev`.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [slice] = slices {
            return self.poll_write(cx, slice);
        }
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Socket::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Socket::Loopback(stream) => stream.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}
