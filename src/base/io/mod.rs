//! A connection's byte stream, read and written through a shared reference.
//!
//! Both directions of a proxied message are driven from one task, so the reading and the writing side borrow
//! the stream only within a poll. A further transport is a further variant here.

mod loopback;
mod patience;
mod pipe;
mod socket;
mod tls;
mod watch;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;
use tokio_util::io::poll_read_buf;

pub use loopback::Loopback;
pub use patience::OVERFULL;
use patience::Patience;
pub use pipe::Pipe;
pub use socket::Socket;
use tls::Tls;
use watch::Watched;
pub use watch::{Passes, Watch};

/// A connected stream: a socket or what stands for one, or TLS over it.
#[derive(Debug)]
pub struct Io {
    stream: RefCell<Stream>,
    /// Who looks at what is read; boxed, since hardly anybody does.
    watched: RefCell<Option<Box<Watched>>>,
    /// How long what waits for the peer may be too much, where that is bounded.
    patience: RefCell<Option<Box<Patience>>>,
}

#[derive(Debug)]
enum Stream {
    Plain(Socket),
    /// Boxed, since a session takes many times the room of a socket.
    Tls(Box<Tls>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => tls.socket(),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(socket) => poll_read_buf(Pin::new(socket), cx, buffer),
            Stream::Tls(tls) => tls.poll_read(cx, buffer),
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(socket) => socket.poll_readable(cx),
            Stream::Tls(tls) => tls.poll_readable(cx),
        }
    }

    /// Tells the peer over TLS why nothing passes any more.
    fn refuse(&mut self, alert: u8) {
        if let Stream::Tls(tls) = self {
            tls.refuse(alert);
        }
    }
}

impl From<Stream> for Io {
    fn from(stream: Stream) -> Self {
        Io { stream: RefCell::new(stream), watched: RefCell::default(), patience: RefCell::default() }
    }
}

impl From<Socket> for Io {
    fn from(socket: Socket) -> Self {
        Stream::Plain(socket).into()
    }
}

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Self {
        Stream::Plain(Socket::Tcp(stream)).into()
    }
}

impl From<UnixStream> for Io {
    fn from(stream: UnixStream) -> Self {
        Stream::Plain(Socket::Unix(stream)).into()
    }
}

impl From<TlsStream<Socket>> for Io {
    fn from(stream: TlsStream<Socket>) -> Self {
        Stream::Tls(Box::new(Tls::new(stream))).into()
    }
}

impl From<(Socket, rustls::ServerConnection)> for Io {
    fn from((socket, session): (Socket, rustls::ServerConnection)) -> Self {
        Stream::Tls(Box::new(Tls::over(socket, session.into()))).into()
    }
}

impl Io {
    /// The socket, for TLS to be spoken over it; `None` where it is already.
    pub fn into_socket(self) -> Option<Socket> {
        match self.stream.into_inner() {
            Stream::Plain(socket) => Some(socket),
            Stream::Tls(_) => None,
        }
    }

    /// Says what is to be done once what the peer sends is no TLS; nothing is where it is not spoken.
    pub fn on_tls_fault(&mut self, act: impl FnOnce() + Send + 'static) {
        if let Stream::Tls(tls) = self.stream.get_mut() {
            tls.on_fault(Box::new(act));
        }
    }

    /// Reads what is there, up to the buffer's spare capacity, which must not be zero; 0 bytes mean the end.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.is_overfull() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.is_watched() {
            return self.poll_read_watched(cx, buffer);
        }
        self.stream.borrow_mut().poll_read(cx, buffer)
    }

    /// Ready when reading is worth trying: bytes are there, the end, or an error. Costs no system call over a plain
    /// socket.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_overfull() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.is_watched() {
            return self.poll_readable_watched(cx);
        }
        self.stream.borrow_mut().poll_readable(cx)
    }

    /// Whether the peer of an idle connection has ended it. Over TLS that shows only with what is read.
    pub fn has_ended(&self) -> bool {
        match &*self.stream.borrow() {
            Stream::Plain(socket) => match socket.try_peek(&mut [0], 0) {
                Ok(there) => there == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            },
            Stream::Tls(_) => false,
        }
    }

    /// Writes some of the slices.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.stream.borrow_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Stream::Tls(tls) => tls.poll_write_vectored(cx, slices),
        }
    }

    /// Ready when all that was written has gone to the socket; always where it is plain.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.stream.borrow_mut() {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(tls) => tls.poll_flush(cx),
        }
    }

    /// Tells the peer that nothing more comes. An error means that it is gone already, which callers who
    /// close do not care about.
    pub fn shutdown_write(&self) {
        let stream = &mut *self.stream.borrow_mut();
        if let Stream::Tls(tls) = stream {
            tls.end();
        }
        if let Err(error) = stream.socket().shutdown_write() {
            tracing::trace!(target: "connection", %error, "shutdown of a closed connection");
        }
    }

    /// Has the connection end with a reset once it is dropped, and not with what waits to be sent.
    pub fn reset(&self) {
        let stream = &mut *self.stream.borrow_mut();
        if let Stream::Tls(tls) = stream {
            tls.break_off();
        }
        if let Err(error) = stream.socket().reset_on_close() {
            tracing::trace!(target: "connection", %error, "reset of a closed connection");
        }
    }

    /// Whether its other end is within the process.
    pub fn is_loopback(&self) -> bool {
        matches!(self.stream.borrow().socket(), Socket::Loopback(_))
    }

    /// The local IP address and port; `None` for Unix sockets.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.stream.borrow().socket().local_address()
    }

    /// The peer's IP address and port; `None` for Unix sockets.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.stream.borrow().socket().remote_address()
    }
}

impl tokio::io::AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_watched() {
            let room = buffer.remaining();
            return self.poll_take_watched(cx, room, |bytes| buffer.put_slice(bytes)).map_ok(|_| ());
        }
        match self.get_mut().stream.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Stream::Tls(tls) => tls.poll_read_into(cx, buffer),
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Io::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shutdown_write();
        Poll::Ready(Ok(()))
    }
}
