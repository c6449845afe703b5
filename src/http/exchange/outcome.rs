//! What an exchange comes to, and which fault or deadline brings it there.

use crate::codec::StreamError;
use crate::codec::h1::ParseError;
use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::local_reply::LocalReply;
use crate::observability::stream_info::ResponseFlags;

use super::Exchange;
use super::end::FLUSHED;

/// What becomes of the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum After {
    /// It serves on.
    KeepAlive,
    /// It is closed, its response complete.
    Close,
    /// It is closed, its response cut off.
    Abort,
    /// The client gave its request up before the response began.
    GivenUp,
    /// The client has gone away, or was waited for too long.
    Left,
    /// It is closed, for what the client sent while the response was on its way.
    Broken,
}

/// How an exchange went wrong.
#[derive(Debug)]
pub(in crate::http) enum Failure {
    /// The response has not begun: this is it. Boxed, since what may fail is handed through many calls of each request,
    /// and few fail.
    Reply(Box<LocalReply>),
    /// The request's route is to be looked for again, and what follows for the filters that it has not passed.
    Discovered,
    /// The response was a redirect that is followed here: the request begins anew.
    Redirected,
    /// Only this attempt is over: others of its request go on, or one of them has answered.
    GaveWay,
    /// The response has begun and cannot be ended well.
    Abort(ResponseFlags, &'static str),
}

impl From<LocalReply> for Failure {
    fn from(reply: LocalReply) -> Self {
        Failure::Reply(Box::new(reply))
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// The answer to a request whose response takes too long.
    pub(in crate::http) fn late_reply(&self) -> LocalReply {
        LocalReply::upstream_timeout().with_status(self.late_status)
    }

    /// What an interrupt comes to.
    pub(in crate::http) fn interrupted(&self, interrupt: Interrupt) -> Failure {
        let stats = &self.connection.manager.stats;
        let complete = self.request_pump.is_ended() || self.request_body.is_ended();
        let reply = match interrupt {
            Interrupt::ResponseTimeout => self.late_reply(),
            Interrupt::PerTryTimeout => LocalReply::per_try_timeout().with_status(self.late_status),
            Interrupt::PerTryIdle => LocalReply::per_try_idle().with_status(self.late_status),
            Interrupt::UpstreamDuration => LocalReply::upstream_duration(complete),
            // No other attempt takes its place: one began already.
            Interrupt::AsideDuration => LocalReply { reset: None, ..LocalReply::upstream_duration(complete) },
            Interrupt::StreamIdle => {
                stats.downstream_rq_idle_timeout().inc();
                LocalReply::stream_idle(complete)
            }
            Interrupt::RequestTimeout => {
                stats.downstream_rq_timeout().inc();
                LocalReply::request_timeout("request_overall_timeout")
            }
            Interrupt::Flush => {
                // The response was made well; only its stream is reset.
                self.connection.manager.codec_stats.http2().tx_flush_timeout().inc();
                return Failure::Abort(ResponseFlags::default(), FLUSHED);
            }
            Interrupt::MaxDuration => {
                stats.downstream_rq_max_duration_reached().inc();
                LocalReply::max_duration(complete)
            }
            Interrupt::DownstreamClosed => return client_gone(),
            Interrupt::DownstreamReset => return client_reset(),
            Interrupt::DownstreamFault => return client_fault(),
        };
        if self.response_started {
            let details = match interrupt {
                Interrupt::ResponseTimeout => "response_timeout",
                Interrupt::PerTryTimeout => "upstream_per_try_timeout",
                Interrupt::PerTryIdle => "upstream_per_try_idle_timeout",
                Interrupt::UpstreamDuration | Interrupt::AsideDuration => {
                    "upstream_max_stream_duration_reached"
                }
                Interrupt::StreamIdle => "stream_idle_timeout",
                Interrupt::RequestTimeout => "request_overall_timeout",
                Interrupt::MaxDuration => "max_duration_timeout",
                Interrupt::Flush
                | Interrupt::DownstreamClosed
                | Interrupt::DownstreamReset
                | Interrupt::DownstreamFault => "downstream_remote_disconnect",
            };
            return Failure::Abort(reply.flags, details);
        }
        reply.into()
    }

    /// What a fault in the request comes to.
    pub(in crate::http) fn bad_request(&self, error: StreamError) -> Failure {
        match error {
            StreamError::Protocol(ParseError::Underscore) if D::MULTIPLEXED => {
                Failure::Abort(ResponseFlags::DR, "http2.unexpected_underscore")
            }
            StreamError::Protocol(_) if D::MULTIPLEXED => client_fault(),
            StreamError::Protocol(ParseError::Incomplete) => client_gone(),
            StreamError::Protocol(error) if !self.response_started => {
                self.connection.manager.stats.downstream_cx_protocol_error().inc();
                LocalReply::bad_request(error).into()
            }
            StreamError::Protocol(_) => {
                self.connection.manager.stats.downstream_cx_protocol_error().inc();
                Failure::Abort(ResponseFlags::DPE, "http1.codec_error")
            }
            StreamError::Reset(_) | StreamError::Refused => client_reset(),
            StreamError::Closed => client_gone(),
        }
    }
}

/// The client has gone away.
pub(in crate::http) fn client_gone() -> Failure {
    Failure::Abort(ResponseFlags::DC, "downstream_remote_disconnect")
}

/// The client reset its stream.
fn client_reset() -> Failure {
    Failure::Abort(ResponseFlags::DR, "http2.remote_reset")
}

/// The client's stream was reset for what it sent; Envoy gives the same details as for [`client_reset`].
fn client_fault() -> Failure {
    Failure::Abort(ResponseFlags::DPE, "http2.remote_reset")
}
