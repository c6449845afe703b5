//! Statistics of trees of conditions.

use crate::config::match_tree::Count;
use crate::stats;

use super::Registry;

stats! {
    /// Conditions on addresses: `<stat_prefix>.`
    pub struct IpMatcherStats {
        counter ip_parsing_failed;
    }
}

impl Count for IpMatcherStats {
    fn inc(&self) {
        self.ip_parsing_failed().inc();
    }
}

/// Makes the counters of conditions on addresses, by their `stat_prefix`.
pub fn counters(registry: &Registry) -> impl Fn(&str) -> Box<dyn Count> {
    move |stat_prefix: &str| {
        let prefix = format!("{}.", stat_prefix.trim_end_matches('.'));
        Box::new(IpMatcherStats::new(registry, &prefix))
    }
}
