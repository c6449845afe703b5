//! A stream socket of either family.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connected stream socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Ready when reading is worth trying. Costs no system call.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(stream) => stream.poll_read_ready(cx),
            Socket::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Waits for the first bytes and looks at them; none when the peer sends none.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.peek(buffer).await,
            Socket::Unix(stream) => loop {
                stream.readable().await?;
                let peeked = stream.try_io(tokio::io::Interest::READABLE, || {
                    nix::sys::socket::recv(
                        std::os::fd::AsRawFd::as_raw_fd(stream),
                        buffer,
                        nix::sys::socket::MsgFlags::MSG_PEEK,
                    )
                    .map_err(io::Error::from)
                });
                match peeked {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    peeked => return peeked,
                }
            },
        }
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Socket::Unix(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
        }
    }

    /// Has closing send a reset.
    pub(super) fn reset_on_close(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            // They know no resets.
            Socket::Unix(_) => Ok(()),
        }
    }

    /// The local IP address and port; `None` for Unix sockets.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.local_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The peer's IP address and port; `None` for Unix sockets.
    pub(super) fn remote_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            Socket::Unix(_) => None,
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
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
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
