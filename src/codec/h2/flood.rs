//! Limits on frames that cost the peer next to nothing and carry no request on.
//!
//! They are those of Envoy's `ProtocolConstraints`. What else floods a connection is held off by `h2`: it counts
//! streams that are reset before they are looked at, CONTINUATION frames and tiny DATA frames, and it makes no more
//! frames of messages than the connection takes.

use std::fmt;

use crate::config::protocol::Http2Options;

use super::frames::{Frame, kind};

/// WINDOW_UPDATE frames that a connection may begin with.
const WINDOW_UPDATES_AT_FIRST: u64 = 5;
/// WINDOW_UPDATE frames that come with a stream: one for it and one for the connection.
const WINDOW_UPDATES_PER_STREAM: u64 = 2;

/// How many such frames are taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `max_consecutive_inbound_frames_with_empty_payload`
    pub empty_frames: u32,
    /// `max_inbound_priority_frames_per_stream`
    pub priority_frames_per_stream: u32,
    /// `max_inbound_window_update_frames_per_data_frame_sent`
    pub window_updates_per_data_frame: u32,
    /// `max_outbound_control_frames`: answers to PING and SETTINGS that are owed at a time.
    pub answers_owed: u32,
}

impl From<&Http2Options> for Limits {
    fn from(options: &Http2Options) -> Self {
        Limits {
            empty_frames: options.max_consecutive_inbound_frames_with_empty_payload,
            priority_frames_per_stream: options.max_inbound_priority_frames_per_stream,
            window_updates_per_data_frame: options.max_inbound_window_update_frames_per_data_frame_sent,
            answers_owed: options.max_outbound_control_frames,
        }
    }
}

/// What a connection was closed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// HEADERS, CONTINUATION or DATA frames in a row with nothing in them.
    EmptyFrames,
    /// PRIORITY frames.
    PriorityFrames,
    /// WINDOW_UPDATE frames.
    WindowUpdates,
    /// PING and SETTINGS whose answers wait to be written.
    Control,
    /// METADATA: more than is accepted, or what nobody can read.
    Metadata,
}

impl Flood {
    /// What Envoy says of streams that end by it: their response code details.
    pub fn details(self) -> &'static str {
        match self {
            Flood::EmptyFrames => "http2.inbound_empty_frames_flood",
            Flood::PriorityFrames => "codec_error:Too_many_PRIORITY_frames",
            Flood::WindowUpdates => "codec_error:Too_many_WINDOW_UPDATE_frames",
            Flood::Control => "codec_error:Too_many_control_frames_in_the_outbound_queue.",
            Flood::Metadata => "codec_error:The_user_callback_function_failed",
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flood::EmptyFrames => "too many consecutive frames with an empty payload",
            Flood::PriorityFrames => "too many PRIORITY frames",
            Flood::WindowUpdates => "too many WINDOW_UPDATE frames",
            Flood::Control => "too many answers that wait to be written",
            Flood::Metadata => "METADATA that is too long or cannot be read",
        })
    }
}

impl std::error::Error for Flood {}

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer begins with its preface, and begins the streams.
    Server,
    /// This end does.
    Client,
}

/// Counts the frames of a connection, both ways.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Limits,
    end: End,
    last_stream: u32,
    streams: u64,
    data_frames_sent: u64,
    priority_frames: u64,
    window_updates: u64,
    empty_frames: u64,
    answers_owed: u64,
    block_open: bool,
}

impl Guard {
    pub(super) fn new(end: End, limits: Limits) -> Self {
        Guard {
            limits,
            end,
            last_stream: 0,
            streams: 0,
            data_frames_sent: 0,
            priority_frames: 0,
            window_updates: 0,
            empty_frames: 0,
            answers_owed: 0,
            block_open: false,
        }
    }

    /// Whether the peer has begun a header block and not ended it: nothing else may come on the connection.
    pub(super) fn block_is_open(&self) -> bool {
        self.block_open
    }

    /// Looks at a frame that was read.
    pub(super) fn receive(&mut self, frame: Frame) -> Result<(), Flood> {
        match frame.kind {
            kind::HEADERS | kind::CONTINUATION | kind::DATA => {
                if frame.kind != kind::DATA {
                    self.block_open = frame.leaves_block_open();
                    self.count_stream(frame, End::Server);
                }
                let counts = frame.is_empty && !frame.ends_stream();
                self.empty_frames = if counts { self.empty_frames + 1 } else { 0 };
                within(self.empty_frames, u64::from(self.limits.empty_frames), Flood::EmptyFrames)
            }
            kind::PRIORITY => {
                self.priority_frames += 1;
                let limit = u64::from(self.limits.priority_frames_per_stream) * (1 + self.streams);
                within(self.priority_frames, limit, Flood::PriorityFrames)
            }
            kind::WINDOW_UPDATE => {
                self.window_updates += 1;
                let by_data = u64::from(self.limits.window_updates_per_data_frame) * self.data_frames_sent;
                let limit = WINDOW_UPDATES_AT_FIRST
                    + WINDOW_UPDATES_PER_STREAM.saturating_mul(self.streams.saturating_add(by_data));
                within(self.window_updates, limit, Flood::WindowUpdates)
            }
            kind::PING | kind::SETTINGS if !frame.is_ack() => {
                self.answers_owed += 1;
                within(self.answers_owed, u64::from(self.limits.answers_owed), Flood::Control)
            }
            _ => Ok(()),
        }
    }

    /// Whether so many answers are owed that the peer may be one that asks and never reads.
    pub(super) fn owes_many(&self) -> bool {
        self.answers_owed > u64::from(self.limits.answers_owed) / 2
    }

    /// Looks at a frame that the socket has taken.
    pub(super) fn went_out(&mut self, frame: Frame) {
        if frame.is_control() && frame.is_ack() {
            self.answers_owed = self.answers_owed.saturating_sub(1);
        }
    }

    /// Looks at a frame that was written.
    pub(super) fn send(&mut self, frame: Frame) {
        match frame.kind {
            kind::DATA => self.data_frames_sent += 1,
            kind::HEADERS => self.count_stream(frame, End::Client),
            _ => {}
        }
    }

    /// Counts a stream at its first HEADERS, which come from the client.
    fn count_stream(&mut self, frame: Frame, at: End) {
        if self.end == at && frame.stream > self.last_stream {
            self.last_stream = frame.stream;
            self.streams += 1;
        }
    }
}

fn within(count: u64, limit: u64, flood: Flood) -> Result<(), Flood> {
    if count > limit { Err(flood) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h2::frames::Frames;

    const LIMITS: Limits = Limits {
        empty_frames: 1,
        priority_frames_per_stream: 100,
        window_updates_per_data_frame: 10,
        answers_owed: 4,
    };
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn server() -> Guard {
        Guard::new(End::Server, LIMITS)
    }

    fn received(guard: &mut Guard, mut bytes: &[u8]) -> Result<(), Flood> {
        let mut frames = Frames::default();
        while let Some(frame) = frames.next(&mut bytes) {
            guard.receive(frame)?;
        }
        Ok(())
    }

    fn sent(guard: &mut Guard, mut bytes: &[u8]) {
        let mut frames = Frames::default();
        while let Some(frame) = frames.next(&mut bytes) {
            guard.send(frame);
        }
    }

    /// How many of these frames are taken.
    fn taken(guard: &mut Guard, frame: &[u8]) -> usize {
        (0..100_000).take_while(|_| received(guard, frame).is_ok()).count()
    }

    #[test]
    fn empty_frames_in_a_row_are_limited_and_others_between_them_begin_anew() {
        let mut guard = server();
        let empty = frame(kind::DATA, 0, 1, b"");
        let full = frame(kind::DATA, 0, 1, b"x");
        for _ in 0..10 {
            assert_eq!(received(&mut guard, &[&empty[..], &full].concat()), Ok(()));
        }
        assert_eq!(taken(&mut guard, &empty), 1);
        assert_eq!(taken(&mut server(), &frame(kind::DATA, END_STREAM, 1, b"")), 100_000);
        let mut guard = server();
        assert_eq!(received(&mut guard, &frame(kind::HEADERS, 0, 1, b"")), Ok(()));
        assert_eq!(received(&mut guard, &frame(kind::CONTINUATION, 0, 1, b"")), Err(Flood::EmptyFrames));
    }

    #[test]
    fn every_stream_permits_more_priority_frames_and_window_updates() {
        let priority = frame(kind::PRIORITY, 0, 1, &[0; 5]);
        let window_update = frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
        let headers = frame(kind::HEADERS, END_HEADERS, 1, b"x");
        assert_eq!(taken(&mut server(), &priority), 100);
        assert_eq!(taken(&mut server(), &window_update), 5);
        let mut guard = server();
        // Trailers begin no stream.
        assert_eq!(received(&mut guard, &[&headers[..], &headers].concat()), Ok(()));
        assert_eq!(taken(&mut guard, &window_update), 7);
        let mut guard = server();
        assert_eq!(received(&mut guard, &headers), Ok(()));
        assert_eq!(taken(&mut guard, &priority), 200);
    }

    #[test]
    fn data_that_is_sent_permits_more_window_updates() {
        let mut guard = server();
        sent(&mut guard, &frame(kind::DATA, 0, 1, b"x"));
        assert_eq!(taken(&mut guard, &frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])), 25);
    }

    #[test]
    fn answers_are_owed_until_the_socket_has_taken_them() {
        let mut guard = server();
        let (asks, answers) = (frame(kind::PING, 0, 0, &[0; 8]), frame(kind::PING, 1, 0, &[0; 8]));
        assert_eq!(received(&mut guard, &answers.repeat(10)), Ok(()));
        assert_eq!(received(&mut guard, &asks.repeat(2)), Ok(()));
        assert!(!guard.owes_many());
        assert_eq!(received(&mut guard, &frame(kind::SETTINGS, 0, 0, &[]).repeat(2)), Ok(()));
        assert!(guard.owes_many());
        let (mut frames, mut rest) = (Frames::default(), &answers[..]);
        guard.went_out(frames.next(&mut rest).expect("an answer"));
        assert_eq!(taken(&mut guard, &asks), 1);
        assert_eq!(received(&mut guard, &asks), Err(Flood::Control));
    }

    #[test]
    fn a_client_counts_the_streams_that_it_begins_itself() {
        let mut guard = Guard::new(End::Client, LIMITS);
        sent(&mut guard, &frame(kind::HEADERS, END_HEADERS, 1, b"x"));
        assert_eq!(taken(&mut guard, &frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])), 7);
    }

    #[test]
    fn a_header_block_is_open_until_its_last_frame() {
        let mut guard = server();
        assert_eq!(received(&mut guard, &frame(kind::HEADERS, 0, 1, b"x")), Ok(()));
        assert!(guard.block_is_open());
        assert_eq!(received(&mut guard, &frame(kind::CONTINUATION, END_HEADERS, 1, b"x")), Ok(()));
        assert!(!guard.block_is_open());
    }
}
