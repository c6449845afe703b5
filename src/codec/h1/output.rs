//! Bytes on their way to the socket: text that was made here, and pieces of bodies as they came.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};

use crate::base::headers::{Others, Spelling};
use crate::base::io::Io;

/// Pieces of a body up to this many bytes are copied beside the text around them: cheaper than a slice more.
const COPY_LIMIT: usize = 2048;
/// What the text buffer is made with; most heads fit.
const TEXT_CAPACITY: usize = 1024;
const MAX_SLICES: usize = 16;

/// What is still to be written.
#[derive(Debug, Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    text: BytesMut,
    queued: usize,
    written: u64,
    header_bytes: u64,
    header_start: usize,
    title_case: bool,
}

impl Output {
    /// An output that writes names of headers like `Content-Type` if `title_case`, and else in lower case.
    pub fn new(title_case: bool) -> Self {
        Output { title_case, ..Output::default() }
    }

    /// Writes a header's name, which comes in lower case: as it is, in title case, or as the message had it.
    pub fn put_name(&mut self, name: &[u8], spelling: Option<&Spelling>) {
        if let Some(spelled) = spelling.and_then(|spelling| spelling.of(name)) {
            self.text().extend_from_slice(spelled);
            return;
        }
        let others = spelling.map(Spelling::others);
        let title_case = others.map_or(self.title_case, |others| others == Others::TitleCase);
        let text = self.text();
        let start = text.len();
        text.extend_from_slice(name);
        if title_case {
            let mut begins = true;
            for byte in &mut text[start..] {
                if begins {
                    byte.make_ascii_uppercase();
                }
                begins = !byte.is_ascii_alphanumeric();
            }
        }
    }

    /// The buffer to write text to, which follows what was queued before.
    pub fn text(&mut self) -> &mut BytesMut {
        if self.text.capacity() == 0 {
            self.text.reserve(TEXT_CAPACITY);
        }
        &mut self.text
    }

    /// Queues a piece of a body.
    pub fn push(&mut self, data: Bytes) {
        if data.len() <= COPY_LIMIT {
            self.text().extend_from_slice(&data);
            return;
        }
        if !self.text.is_empty() {
            let text = self.text.split().freeze();
            self.queue(text);
        }
        self.queue(data);
    }

    fn queue(&mut self, piece: Bytes) {
        self.queued += piece.len();
        self.pieces.push_back(piece);
    }

    /// Bytes not yet written.
    pub fn len(&self) -> usize {
        self.queued + self.text.len()
    }

    /// Whether all is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes written so far, in all.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Headers follow in the text, up to [`end_headers`](Self::end_headers).
    pub fn begin_headers(&mut self) {
        self.header_start = self.text.len();
    }

    /// The headers are complete.
    pub fn end_headers(&mut self) {
        self.header_bytes += (self.text.len() - self.header_start) as u64;
    }

    /// Bytes of headers queued so far, in all: their lines, without the line that begins a message.
    pub fn header_bytes(&self) -> u64 {
        self.header_bytes
    }

    /// Gives the memory back; only when all is written.
    pub fn release(&mut self) {
        debug_assert!(self.is_empty());
        self.text = BytesMut::new();
        self.pieces = VecDeque::new();
    }

    /// Writes until nothing is left.
    ///
    /// # Errors
    /// Those of the socket; a socket that takes nothing is `WriteZero`.
    pub fn poll_flush(&mut self, io: &Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let polled = if self.pieces.is_empty() {
                io.poll_write_vectored(cx, &[IoSlice::new(&self.text)])?
            } else {
                self.poll_write_pieces(io, cx)?
            };
            if let Poll::Ready(written) = polled {
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.written += written as u64;
                self.advance(written);
            }
            io.poll_waiting(self.len(), cx)?;
            ready!(polled);
        }
        io.poll_flush(cx)
    }

    fn poll_write_pieces(&self, io: &Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let pieces = self.pieces.iter().map(|piece| &piece[..]).chain(std::iter::once(&self.text[..]));
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        io.poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.pieces.front_mut() {
            let taken = written.min(first.len());
            first.advance(taken);
            self.queued -= taken;
            written -= taken;
            if !first.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.text.advance(written);
        if self.text.is_empty() {
            self.text.clear();
        }
    }
}
