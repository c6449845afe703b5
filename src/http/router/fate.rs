//! How a request to a host ended, as its span tells it.

use crate::http::exchange::Failure;
use crate::http::tracing::Span;

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Fate {
    /// With its response; or it has not ended.
    #[default]
    Answered,
    /// It was given up: its time was over, its client left, or another attempt took its place.
    Canceled,
    /// It broke, for this reason.
    Reset(String),
}

impl Fate {
    /// Of an attempt of which this came; `is_whole` says whether all of its response was there with its head.
    pub(super) fn of(answered: &Result<(), Failure>, is_whole: bool) -> Self {
        match answered {
            Ok(()) => Fate::Answered,
            // One without a reason ends an attempt that could have gone on: its request's time was over, or it was too long.
            Err(Failure::Reply(reply)) => {
                reset_reason(&reply.details).map_or_else(|| Self::of_passed_over(is_whole), Fate::Reset)
            }
            Err(Failure::Abort(_, details)) => reset_reason(details).map_or(Fate::Canceled, Fate::Reset),
            Err(Failure::Redirected) => Self::of_passed_over(is_whole),
            Err(Failure::GaveWay | Failure::Discovered) => Fate::Canceled,
        }
    }

    /// Of an attempt whose response goes to nobody.
    pub(super) fn of_passed_over(is_whole: bool) -> Self {
        if is_whole { Fate::Answered } else { Fate::Canceled }
    }

    /// Tells the span.
    pub(super) fn tell(&self, span: &mut dyn Span) {
        match self {
            Fate::Answered => {}
            Fate::Canceled => span.set_tag("canceled", "true"),
            Fate::Reset(reason) => {
                span.set_tag("error", "true");
                span.set_tag("error.reason", reason);
            }
        }
    }
}

/// The reason in the details of a response (`upstream_reset_before_response_started{remote_reset}`), in words.
fn reset_reason(details: &str) -> Option<String> {
    let (_, within) = details.strip_prefix("upstream_reset_")?.split_once('{')?;
    let reason = within.split(['|', '}']).next()?;
    Some(reason.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::local_reply::LocalReply;
    use crate::observability::stream_info::ResponseFlags;

    #[test]
    fn a_reason_is_in_words() {
        let of = |details| reset_reason(details);
        assert_eq!(
            of("upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_x}"),
            Some("remote connection failure".to_owned())
        );
        let details = "upstream_reset_after_response_started{connection_termination}";
        assert_eq!(of(details), Some("connection termination".to_owned()));
        assert_eq!(of("response_timeout"), None);
    }

    #[test]
    fn what_is_given_up_is_canceled() {
        for (answered, is_whole, expected) in [
            (Ok(()), true, Fate::Answered),
            (Err(LocalReply::per_try_idle().into()), false, Fate::Canceled),
            (Err(LocalReply::upstream_timeout().into()), false, Fate::Canceled),
            (Err(Failure::Abort(ResponseFlags::DC, "downstream_remote_disconnect")), false, Fate::Canceled),
            (Err(Failure::GaveWay), false, Fate::Canceled),
            (Err(Failure::Redirected), true, Fate::Answered),
            (Err(Failure::Redirected), false, Fate::Canceled),
        ] {
            assert_eq!(Fate::of(&answered, is_whole), expected, "{answered:?}");
        }
    }
}
