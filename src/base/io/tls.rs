//! A socket over which TLS is spoken, once the handshake is done.
//!
//! The library takes what is read in steps of 4 KiB, which as many reads of the socket would be. So a whole record is
//! read at once, into room that all connections of a thread share, and the library takes it from there.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead as _, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use rustls::Connection;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_rustls::TlsStream;

mod refusal;

use super::socket::Socket;

/// What one read of a socket takes: the longest record with its head, of any version, and the start of the next.
const READ_BYTES: usize = 20 << 10;

/// Plain text from which on the library takes no more before some is read.
const PLAIN_BYTES: usize = 16 << 10;

thread_local! {
    static RECEIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// A session, its socket, and whether the peer was told of the end.
#[derive(Debug)]
pub(super) struct Tls {
    socket: Socket,
    /// `None` once the peer was refused: nothing is read or written any more.
    session: Option<Connection>,
    /// What was read from the socket beyond that which the session takes; nearly always empty.
    waiting: BytesMut,
    /// What is wrong with what was read, to be told when the plain text before it was.
    failure: Option<io::Error>,
    /// What is to be done once something is wrong.
    on_fault: OnFault,
    ended: bool,
}

/// What is to be done once, if ever.
#[derive(Default)]
struct OnFault(Option<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for OnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFault")
    }
}

impl Tls {
    pub(super) fn new(stream: TlsStream<Socket>) -> Self {
        let (socket, session) = match stream {
            TlsStream::Client(stream) => {
                let (socket, session) = stream.into_inner();
                (socket, Connection::Client(session))
            }
            TlsStream::Server(stream) => {
                let (socket, session) = stream.into_inner();
                (socket, Connection::Server(session))
            }
        };
        Tls::over(socket, session)
    }

    /// Where the library's stream was set up over something else than the socket.
    pub(super) fn over(socket: Socket, session: Connection) -> Self {
        Tls {
            socket,
            session: Some(session),
            waiting: BytesMut::new(),
            failure: None,
            on_fault: OnFault::default(),
            ended: false,
        }
    }

    pub(super) fn on_fault(&mut self, act: Box<dyn FnOnce() + Send>) {
        self.on_fault = OnFault(Some(act));
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.capacity() - buffer.len();
        self.poll_take(cx, room, |plain| buffer.put_slice(plain))
    }

    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_take(cx, buffer.remaining(), |plain| buffer.put_slice(plain)).map_ok(|_| ())
    }

    /// Ready when there is plain text, the end or an error; records that hold neither are read and done with.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_plain(cx).map_ok(|_| ())
    }

    /// Hands over plain text until the room is full or nothing more was read; how much it was, 0 at the end.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        mut put: impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        if !ready!(self.poll_plain(cx))? {
            return Poll::Ready(Ok(taken));
        }
        while taken < room {
            let Some(session) = &mut self.session else { break };
            let part = match session.reader().into_first_chunk() {
                Ok(plain) => {
                    let part = plain.len().min(room - taken);
                    put(&plain[..part]);
                    part
                }
                Err(_) => 0, // told when next it is read
            };
            session.reader().consume(part);
            taken += part;
            match part {
                0 if self.has_waiting() => self.digest_waiting(cx),
                0 => break,
                _ => {}
            }
        }
        Poll::Ready(Ok(taken))
    }

    /// Ready when there is plain text (true), the end (false) or an error.
    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            let Some(session) = &mut self.session else { return Poll::Ready(Ok(false)) };
            match session.reader().fill_buf() {
                Ok(plain) => return Poll::Ready(Ok(!plain.is_empty())),
                // A peer that closes without a word has closed, as for Envoy: what is complete is told by the
                // protocol above.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(false)),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
            if let Some(error) = self.failure.take() {
                return Poll::Ready(Err(error));
            }
            if self.has_waiting() {
                self.digest_waiting(cx);
            } else {
                ready!(self.poll_receive(cx))?;
            }
        }
    }

    /// Reads what is there from the socket, and gives it to the session.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        RECEIVED.with_borrow_mut(|room| {
            let mut received = ReadBuf::new(room);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut received))?;
            if let (true, Some(session)) = (received.filled().is_empty(), &mut self.session) {
                session.read_tls(&mut io::empty())?;
            }
            self.digest(received.filled(), cx);
            Poll::Ready(Ok(()))
        })
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() && self.failure.is_none()
    }

    fn digest_waiting(&mut self, cx: &mut Context<'_>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.digest(&waiting, cx);
    }

    /// Gives bytes to the session, which has no plain text left, and keeps those that it does not take before what
    /// they hold is read.
    fn digest(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) {
        while !bytes.is_empty() {
            let Some(session) = &mut self.session else { return };
            let state = match session.read_tls(&mut bytes) {
                Ok(0) => return, // what comes after the peer's end is nothing
                Ok(_) => session.process_new_packets().map_err(io::Error::other),
                Err(error) => Err(error),
            };
            match state {
                Ok(state) if state.plaintext_bytes_to_read() >= PLAIN_BYTES => break,
                Ok(_) => {}
                Err(error) => {
                    // The peer is told why, as far as the socket takes that; what counts is the error itself.
                    let _told = self.poll_flush(cx);
                    self.failure = Some(error);
                    if let Some(act) = self.on_fault.0.take() {
                        act();
                    }
                    return;
                }
            }
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Takes plain text when all that was written before has gone to the socket, so that no more waits here than
    /// one write's worth, which the library keeps below 64 KiB.
    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let Some(session) = &mut self.session else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = session.writer().write_vectored(slices)?;
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(written)),
        }
    }

    /// Ready when what was written has gone to the socket.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(session) = &mut self.session else { return Poll::Ready(Ok(())) };
        while session.wants_write() {
            match session.write_tls(&mut Polled { socket: &mut self.socket, cx }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the peer that nothing more comes, as far as the socket takes that at once.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(session) = &mut self.session {
            session.send_close_notify();
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _gone = self.poll_flush(&mut cx); // whoever closes does not wait
    }
}

impl Tls {
    /// Has the session end without word of that: a peer is not to take what it has for all there was.
    pub(super) fn break_off(&mut self) {
        self.ended = true;
    }

    /// Ends the session with an alert of this number in place of word that nothing more comes, as far as the socket takes
    /// that at once. Nothing is read or written any more.
    pub(super) fn refuse(&mut self, alert: u8) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _gone = self.poll_flush(&mut cx); // where not all of it is, there is no alert
        if let Some(record) = self.session.take().and_then(|session| refusal::record(session, alert)) {
            let _gone = Pin::new(&mut self.socket).poll_write(&mut cx, &record); // whoever closes does not wait
            // As in Envoy it counts as a fault.
            if let Some(act) = self.on_fault.0.take() {
                act();
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes what a socket takes without waiting; who is to be woken when it takes more is known.
struct Polled<'s, 'c, 'w> {
    socket: &'s mut Socket,
    cx: &'c mut Context<'w>,
}

impl Polled<'_, '_, '_> {
    fn write_now(
        &mut self,
        write: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> io::Result<usize> {
        match write(Pin::new(self.socket), self.cx) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Polled<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_now(|socket, cx| socket.poll_write(cx, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_now(|socket, cx| socket.poll_write_vectored(cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
