//! What is done about the reports of one host: a state machine without clock and sockets.
//!
//! It says when a stream is to be begun and when it is given up, and what becomes of what is heard on it. Moments are
//! durations since any one moment. The rules and the times are Envoy's.

use std::time::Duration;

use bytes::Bytes;

use super::frames::Frames;
use crate::base::back_off::BackOff;
use crate::base::headers::{Headers, Known};
use crate::base::random::Rng;
use crate::route::grpc_timeout::is_grpc;
use crate::upstream::orca::Report;

/// Limit of the first pause after a stream that failed.
const MIN_BACK_OFF: Duration = Duration::from_secs(1);

/// Limit of all pauses.
const MAX_BACK_OFF: Duration = Duration::from_secs(30);

/// Periods without a report after which a stream is given up: two may be missed.
const PATIENCE: u32 = 3;

/// The code of gRPC for a method that there is not.
const UNIMPLEMENTED: &[u8] = b"12";

/// Something that a host said on its stream, or that became of its connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// The head of the answer, with which it may end.
    Head { status: u16, headers: Headers, end: bool },
    /// A part of the answer.
    Data(Bytes),
    /// The end of the answer, with what it says there.
    Trailers(Box<Headers>),
    /// The end of the answer, without a word.
    End,
    /// The stream was reset, or what came breaks the protocol.
    Broken,
    /// The connection ends; the code of its GOAWAY.
    GoAway(u32),
    /// The connection has ended, or could not be made.
    Lost,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The host does not report in this way: it is not asked again.
    Unimplemented,
    /// By what the host said: it is asked again.
    Said,
    /// The host was not heard of for too long, or its connection was lost: it is asked again.
    Lost,
}

/// What is known of a host's reports.
#[derive(Debug)]
pub(super) struct Session {
    period: Duration,
    back_off: BackOff,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A stream is to be begun then.
    Waiting(Duration),
    /// There is a stream, which is given up then.
    Streaming(Duration, Reading),
    /// There will be no other.
    Over,
}

/// How far a stream was read.
#[derive(Debug, Default)]
struct Reading {
    frames: Frames,
    /// Whether the host said that the connection ends, without an error.
    farewell: bool,
}

impl Session {
    /// Of a host that is to report once in a period. Hosts that come at once are asked one after the other.
    pub(super) fn new(period: Duration, now: Duration, rng: &mut Rng) -> Self {
        let begin = now.saturating_add(rng.duration_below(period));
        let back_off = BackOff::new(MIN_BACK_OFF, MAX_BACK_OFF);
        Session { period, back_off, state: State::Waiting(begin) }
    }

    /// When the next stream is to [begin](Self::begin), or the stream that there is has
    /// [ended](Self::ended) as [`Ending::Lost`]; `None` where there will be no other.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Waiting(moment) | State::Streaming(moment, _) => Some(moment),
            State::Over => None,
        }
    }

    /// A stream begins.
    pub(super) fn begin(&mut self, now: Duration) {
        self.state = State::Streaming(self.patience(now), Reading::default());
    }

    /// What comes of what was heard: reports, and the end of the stream where it ends by that.
    pub(super) fn hear(&mut self, heard: Heard, now: Duration, reports: &mut Vec<Report>) -> Option<Ending> {
        let patience = self.patience(now);
        let State::Streaming(given_up, reading) = &mut self.state else { return None };
        let before = reports.len();
        let ending = reading.hear(heard, reports);
        if reports.len() > before {
            *given_up = patience;
            self.back_off.reset();
        }
        ending
    }

    /// The stream has ended.
    pub(super) fn ended(&mut self, ending: Ending, now: Duration, rng: &mut Rng) {
        self.state = match ending {
            Ending::Unimplemented => State::Over,
            Ending::Said | Ending::Lost => State::Waiting(now.saturating_add(self.back_off.next_pause(rng))),
        };
    }

    fn patience(&self, now: Duration) -> Duration {
        now.saturating_add(self.period.saturating_mul(PATIENCE))
    }
}

impl Reading {
    fn hear(&mut self, heard: Heard, reports: &mut Vec<Report>) -> Option<Ending> {
        match heard {
            Heard::Head { status, headers, end } => judge(status, &headers, end),
            Heard::Data(data) => {
                self.frames.push(&data);
                loop {
                    match self.frames.next() {
                        Ok(Some(report)) => reports.push(report),
                        // What the host says after its farewell is its last word.
                        Ok(None) => return self.farewell.then_some(Ending::Said),
                        Err(_) => return Some(Ending::Said),
                    }
                }
            }
            Heard::Trailers(trailers) => Some(told(trailers.get(Known::GrpcStatus))),
            Heard::End | Heard::Broken => Some(Ending::Said),
            Heard::GoAway(0) => {
                self.farewell = true;
                None
            }
            Heard::GoAway(_) => Some(Ending::Said),
            Heard::Lost => Some(Ending::Lost),
        }
    }
}

/// How a stream ends with this head; `None` where it goes on.
fn judge(status: u16, headers: &Headers, end: bool) -> Option<Ending> {
    let code = headers.get(Known::GrpcStatus).filter(|_| end);
    match code {
        Some(_) => Some(told(code)),
        // What is no answer of gRPC has a code by its status.
        None if status == 404 => Some(Ending::Unimplemented),
        None if end || status != 200 || !is_grpc(headers) => Some(Ending::Said),
        None => None,
    }
}

/// How a stream ends with this code of gRPC.
fn told(code: Option<&[u8]>) -> Ending {
    if code == Some(UNIMPLEMENTED) { Ending::Unimplemented } else { Ending::Said }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
