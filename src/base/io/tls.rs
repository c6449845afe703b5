//! A socket over which TLS is spoken, once the handshake is done.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncBufRead as _, AsyncWrite as _};
use tokio_rustls::TlsStream;
use tokio_util::io::poll_read_buf;

use super::socket::Socket;

/// A session, its socket, and whether the peer was told of the end.
#[derive(Debug)]
pub(super) struct Tls {
    stream: TlsStream<Socket>,
    ended: bool,
}

impl Tls {
    pub(super) fn new(stream: TlsStream<Socket>) -> Self {
        Tls { stream, ended: false }
    }

    pub(super) fn socket(&self) -> &Socket {
        self.stream.get_ref().0
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        or_end(poll_read_buf(Pin::new(&mut self.stream), cx, buffer), 0)
    }

    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        or_end(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, buffer), ())
    }

    /// Ready when there is plain text, the end or an error; records that hold neither are read and done with.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        or_end(Pin::new(&mut self.stream).poll_fill_buf(cx).map_ok(|_| ()), ())
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            [slice] => Pin::new(&mut self.stream).poll_write(cx, slice),
            slices => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    /// Ready when what was written has gone to the socket.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Tells the peer that nothing more comes, as far as the socket takes that at once.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match &mut self.stream {
            TlsStream::Client(stream) => {
                let (socket, session) = stream.get_mut();
                session.send_close_notify();
                write_at_once(|writer| session.write_tls(writer), socket);
            }
            TlsStream::Server(stream) => {
                let (socket, session) = stream.get_mut();
                session.send_close_notify();
                write_at_once(|writer| session.write_tls(writer), socket);
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.end();
    }
}

/// A peer that closes without a word has closed, as for Envoy: what is complete is told by the protocol above.
fn or_end<T>(polled: Poll<io::Result<T>>, end: T) -> Poll<io::Result<T>> {
    match polled {
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(end)),
        polled => polled,
    }
}

/// Writes until nothing is left or the socket takes nothing more: whoever closes does not wait.
fn write_at_once(mut write: impl FnMut(&mut dyn Write) -> io::Result<usize>, socket: &Socket) {
    while write(&mut AtOnce(socket)).is_ok_and(|written| written > 0) {}
}

/// Writes what a socket takes without waiting.
struct AtOnce<'s>(&'s Socket);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
