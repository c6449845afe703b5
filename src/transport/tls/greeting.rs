//! What a client says first, kept as it came: the library tells but part of it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::io::Socket;

use super::client_hello::{self, ClientHello, Wanted};

/// A socket whose first bytes are kept until they are [`heard`](Self::heard).
#[derive(Debug)]
pub(super) struct Listening {
    socket: Socket,
    first: Option<Vec<u8>>,
}

impl Listening {
    pub(super) fn new(socket: Socket) -> Self {
        Listening { socket, first: Some(Vec::new()) }
    }

    /// The greeting that came; nothing is kept any longer.
    pub(super) fn heard(&mut self) -> ClientHello {
        let first = self.first.take().unwrap_or_default();
        // The library has read it, and found nothing wrong.
        client_hello::parse(&first, usize::MAX, Wanted::default()).unwrap_or_default()
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Listening { socket, first } = &mut *self;
        ready!(Pin::new(socket).poll_read(cx, buffer))?;
        if let Some(first) = first {
            first.extend_from_slice(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
