//! When a name is resolved again.

use std::time::Duration;

use crate::base::back_off::BackOff;
use crate::base::random::Rng;
use crate::config::cluster::Dns;

/// The pauses between resolutions of one name.
#[derive(Clone, Debug)]
pub struct Refresh {
    dns: Dns,
    failures: Option<BackOff>,
}

impl Refresh {
    /// As configured.
    pub fn new(dns: &Dns) -> Self {
        let failures = dns.failure_refresh.map(|(base, max)| BackOff::new(base, max));
        Refresh { dns: dns.clone(), failures }
    }

    /// The pause after an answer. `ttl` is its shortest time to live; `None` when it held no address.
    pub fn after_success(&mut self, ttl: Option<Duration>, rng: &mut Rng) -> Duration {
        if let Some(failures) = &mut self.failures {
            failures.reset();
        }
        // A time to live of zero says nothing: the name would be resolved without a pause.
        let ttl = ttl.filter(|ttl| self.dns.respect_ttl && !ttl.is_zero());
        ttl.map_or(self.dns.refresh_rate, |ttl| ttl.max(self.dns.least_ttl))
            + rng.duration_below(self.dns.jitter)
    }

    /// The pause after a failure.
    pub fn after_failure(&mut self, rng: &mut Rng) -> Duration {
        match &mut self.failures {
            Some(failures) => failures.next_pause(rng),
            None => self.dns.refresh_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn refresh(change: impl FnOnce(&mut Dns)) -> Refresh {
        let mut dns = Dns::default();
        change(&mut dns);
        Refresh::new(&dns)
    }

    #[test]
    fn the_refresh_rate_holds_unless_the_time_to_live_is_respected() {
        let mut rng = Rng::seeded(1);
        assert_eq!(refresh(|_| ()).after_success(Some(SECOND), &mut rng), 5 * SECOND);
        let mut respecting = refresh(|dns| dns.respect_ttl = true);
        assert_eq!(respecting.after_success(Some(SECOND), &mut rng), SECOND);
        assert_eq!(respecting.after_success(Some(Duration::ZERO), &mut rng), 5 * SECOND);
        assert_eq!(respecting.after_success(None, &mut rng), 5 * SECOND);
        respecting.dns.least_ttl = 3 * SECOND;
        assert_eq!(respecting.after_success(Some(SECOND), &mut rng), 3 * SECOND);
        assert_eq!(respecting.after_success(Some(4 * SECOND), &mut rng), 4 * SECOND);
    }

    #[test]
    fn jitter_is_added_to_successes_only() {
        let mut jittered = refresh(|dns| dns.jitter = SECOND);
        let pause = jittered.after_success(None, &mut Rng::seeded(1));
        assert!(pause > 5 * SECOND && pause < 6 * SECOND);
        assert_eq!(jittered.after_failure(&mut Rng::seeded(1)), 5 * SECOND);
    }

    #[test]
    fn failures_back_off_where_configured() {
        let mut failing = refresh(|dns| dns.failure_refresh = Some((SECOND, 2 * SECOND)));
        let mut rng = Rng::seeded(1);
        assert!((0..20).all(|_| failing.after_failure(&mut rng) < 2 * SECOND));
    }
}
