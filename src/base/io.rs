//! A connection's byte stream, read and written through a shared reference.
//!
//! Both directions of a proxied message are driven from one task, so the reading and the writing side borrow
//! the stream only within a poll. A further transport is a further variant here.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::poll_read_buf;

/// A connected stream socket.
#[derive(Debug)]
pub struct Io {
    stream: RefCell<Stream>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Self {
        Io { stream: RefCell::new(Stream::Tcp(stream)) }
    }
}

impl From<UnixStream> for Io {
    fn from(stream: UnixStream) -> Self {
        Io { stream: RefCell::new(Stream::Unix(stream)) }
    }
}

impl Io {
    /// Reads what is there, up to the buffer's spare capacity, which must not be zero; 0 bytes mean the end.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match &mut *self.stream.borrow_mut() {
            Stream::Tcp(stream) => poll_read_buf(Pin::new(stream), cx, buffer),
            Stream::Unix(stream) => poll_read_buf(Pin::new(stream), cx, buffer),
        }
    }

    /// Ready when reading is worth trying: bytes are there, the end, or an error. Costs no system call.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.stream.borrow() {
            Stream::Tcp(stream) => stream.poll_read_ready(cx),
            Stream::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Writes some of the slices. One alone goes by `send`, which costs the kernel less than `writev`.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (&mut *self.stream.borrow_mut(), slices) {
            (Stream::Tcp(stream), [slice]) => Pin::new(stream).poll_write(cx, slice),
            (Stream::Tcp(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
            (Stream::Unix(stream), [slice]) => Pin::new(stream).poll_write(cx, slice),
            (Stream::Unix(stream), slices) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    /// Tells the peer that nothing more comes. An error means that it is gone already, which callers who
    /// close do not care about.
    pub fn shutdown_write(&self) {
        let result = match &*self.stream.borrow() {
            Stream::Tcp(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
            Stream::Unix(stream) => socket2::SockRef::from(stream).shutdown(Shutdown::Write),
        };
        if let Err(error) = result {
            tracing::trace!(target: "connection", %error, "shutdown of a closed connection");
        }
    }

    /// The local IP address and port; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &*self.stream.borrow() {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// The peer's IP address and port; `None` for Unix sockets.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        match &*self.stream.borrow() {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }
}

impl tokio::io::AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut().stream.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Io::poll_write_vectored(&self, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}
