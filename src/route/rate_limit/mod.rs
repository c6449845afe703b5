//! Descriptors of a request, by which filters look up its limits: `envoy.config.route.v3.RateLimit`.
//!
//! Pure: everything that a descriptor can tell is handed in with [`Asked`].

mod action;
mod token;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::config::match_tree::Subject;
use crate::config::route::{Hits, HitsAddend, RateLimit, VhRateLimits, XRateLimitOption};
use crate::config::runtime::Values;
use crate::observability::format::Context;

use action::Added;

/// By what a request is limited, as its route has it.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits<'t> {
    /// What the route says.
    pub of_route: &'t [RateLimit],
    /// What its virtual host says.
    pub of_virtual_host: &'t [RateLimit],
    /// Whether the virtual host's count in any case.
    pub include_virtual_host: bool,
}

impl<'t> RateLimits<'t> {
    /// Those of a stage, the route's first.
    pub fn of_stage(self, stage: u32, vh_rate_limits: VhRateLimits) -> impl Iterator<Item = &'t RateLimit> {
        let included = match vh_rate_limits {
            _ if self.include_virtual_host => true,
            VhRateLimits::Include => true,
            VhRateLimits::Override => self.of_route.is_empty(),
            VhRateLimits::Ignore => false,
        };
        let of_virtual_host = if included { self.of_virtual_host } else { &[] };
        self.of_route.iter().chain(of_virtual_host).filter(move |limit| limit.stage == stage)
    }
}

/// What descriptors can tell of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request and what is known of it.
    pub context: Context<'a>,
    /// The request and the ends of its connection.
    pub subject: Subject<'a>,
    /// The cluster that the proxy belongs to.
    pub source_cluster: &'a str,
    /// The runtime's values.
    pub runtime: &'a Values,
}

/// What limits are looked up by.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor<'a> {
    /// In the order of the actions.
    pub entries: SmallVec<[Entry<'a>; 2]>,
    /// What the request counts for, where the rate limit says something of it; else one.
    pub hits: Option<u64>,
    /// Whether it is given back instead of taken.
    pub gives_back: bool,
    /// The limit that holds in place of what the service has.
    pub limit: Option<LimitOverride<'a>>,
    /// Whether the response tells of the limit.
    pub x_ratelimit_option: XRateLimitOption,
}

/// A limit in place of what a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverride<'a> {
    /// How many requests in a unit of time.
    pub requests_per_unit: u32,
    /// The name of the unit: `envoy.type.v3.RateLimitUnit`.
    pub unit: &'a str,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: Cow<'a, [u8]>,
}

/// The descriptor that a rate limit makes; `None` where one of its actions finds nothing to add.
pub fn descriptor<'a>(limit: &'a RateLimit, asked: &Asked<'a>) -> Option<Descriptor<'a>> {
    let mut entries = SmallVec::new();
    for action in &limit.actions {
        match asked.entry(action) {
            Added::Entry(entry) => entries.push(entry),
            Added::Nothing => {}
            Added::NoDescriptor => return None,
        }
    }
    let (hits, gives_back) = match &limit.hits_addend {
        None => (None, false),
        Some(HitsAddend { hits: Hits::Number(number), gives_back }) => (Some(*number), *gives_back),
        Some(HitsAddend { hits: Hits::Format(format), gives_back }) => {
            (Some(asked.number(format)?), *gives_back)
        }
    };
    let x_ratelimit_option = limit.x_ratelimit_option;
    let limit = limit.limit.as_ref().and_then(|limit| asked.limit(limit));
    Some(Descriptor { entries, hits, gives_back, limit, x_ratelimit_option })
}

#[cfg(test)]
mod tests;
