//! How long streams are still taken on an HTTP/2 connection that ends: `drain_timeout` and `drain_timeout_jitter`.

use std::time::Duration;

use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::Scope;

/// The time when nothing else is configured.
const DEFAULT: Duration = Duration::from_secs(5);

/// The time between the GOAWAY that announces the end of a connection and the one after which no stream is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrainTimeout {
    /// At least so long; 5 s by default.
    pub least: Duration,
    /// Percent by which it is made longer at random; 0 to 100, 0 by default.
    pub jitter: f64,
}

impl DrainTimeout {
    pub(super) fn from_proto(
        drain_timeout: Option<pb::Duration>,
        drain_timeout_jitter: Option<Percent>,
        at: &mut Scope<'_>,
    ) -> Self {
        DrainTimeout {
            least: at.duration("drain_timeout", drain_timeout).unwrap_or(DEFAULT),
            jitter: at.percent("drain_timeout_jitter", drain_timeout_jitter).unwrap_or_default(),
        }
    }

    /// The time of one connection. `random` gives random bits, and is asked only where it matters.
    pub fn drawn(&self, random: impl FnOnce() -> u64) -> Duration {
        if self.jitter <= 0.0 {
            return self.least;
        }
        let share = random() as f64 / u64::MAX as f64;
        self.least.saturating_add(self.least.mul_f64(self.jitter.min(100.0) / 100.0 * share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_made_longer_by_no_more_than_the_jitter() {
        let timeout = DrainTimeout { least: Duration::from_secs(10), jitter: 50.0 };
        assert_eq!(timeout.drawn(|| 0), Duration::from_secs(10));
        assert_eq!(timeout.drawn(|| u64::MAX), Duration::from_secs(15));
        let fixed = DrainTimeout { jitter: 0.0, ..timeout };
        assert_eq!(fixed.drawn(|| unreachable!("nothing varies")), Duration::from_secs(10));
    }
}
