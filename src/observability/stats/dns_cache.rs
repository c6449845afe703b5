//! Statistics of caches of names that requests bring: `dns_cache.<name>.`

use crate::stats;

stats! {
    /// The names of a cache, and how they were resolved.
    pub struct DnsCacheStats {
        counter cache_load;
        gauge circuit_breakers_rq_pending_open = "circuit_breakers.rq_pending_open";
        gauge circuit_breakers_rq_pending_remaining = "circuit_breakers.rq_pending_remaining";
        counter dns_address_filter_out;
        counter dns_query_attempt;
        counter dns_query_failure;
        counter dns_query_success;
        counter dns_query_timeout;
        counter dns_rq_pending_overflow;
        counter host_added;
        counter host_address_changed;
        counter host_overflow;
        counter host_removed;
        gauge num_hosts;
    }
}
