//! By what requests are limited: `envoy.config.route.v3.RateLimit`.
//!
//! Each makes a descriptor of a request, see `route::rate_limit`; filters look up the limits of descriptors.

mod action;
mod from_proto;

use envoy_types::pb::envoy::config::route::v3;
use envoy_types::pb::envoy::r#type::v3::RateLimitUnit;

use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters};

pub use action::{Action, DescriptorValue, Label, MetadataPath, MetadataSource, Segment, TokenSource};
pub(in crate::config) use from_proto::metadata_path;

/// The highest number of a stage.
const MAX_STAGE: u32 = 10;

/// The most that a request counts for.
const MAX_HITS: u64 = 1_000_000_000;

/// `envoy.config.route.v3.RateLimit`
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// Which filters look at it: those of this stage, 0 to 10; 0 by default.
    pub stage: u32,
    /// The key in the runtime that switches it off; empty for none.
    pub disable_key: String,
    /// Each adds to the descriptor. There is none where one of them finds nothing to add.
    pub actions: Vec<Action>,
    /// What a request counts for; `None` means one. Routes have none: as in Envoy it counts in filters alone.
    pub hits_addend: Option<HitsAddend>,
    /// The limit that a service is told in place of what it has.
    pub limit: Option<Override>,
    /// Whether it counts when the response has ended.
    pub apply_on_stream_done: bool,
    /// Whether responses tell of the limit.
    pub x_ratelimit_option: XRateLimitOption,
}

/// `RateLimit.Override`
#[derive(Clone, Debug, PartialEq)]
pub enum Override {
    /// What the request's metadata has there, if it has a limit.
    Metadata(MetadataPath),
    /// Always this.
    Fixed {
        /// How many requests in a unit of time.
        requests_per_unit: u32,
        /// The unit's name: `envoy.type.v3.RateLimitUnit`.
        unit: &'static str,
    },
}

/// `RateLimit.HitsAddend`
#[derive(Clone, Debug, PartialEq)]
pub struct HitsAddend {
    /// How many.
    pub hits: Hits,
    /// Whether they are given back instead of taken.
    pub gives_back: bool,
}

/// What a request counts for.
#[derive(Clone, Debug, PartialEq)]
pub enum Hits {
    /// This number.
    Number(u64),
    /// What this command shows, where that is a number.
    Format(Format),
}

/// `RateLimit.XRateLimitOption`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XRateLimitOption {
    /// As the filter says.
    #[default]
    Unspecified,
    /// They do not.
    Off,
    /// In `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset`.
    DraftVersion03,
}

/// When the rate limits of a virtual host count beside those of its routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VhRateLimits {
    /// Where the route has none.
    #[default]
    Override,
    /// Always.
    Include,
    /// Never.
    Ignore,
}

/// Where a rate limit stands, which decides what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a route table.
    Route,
    /// In the configuration of a filter that asks a service, be it the chain's or a route's.
    Filter,
    /// In that of a filter that has limits of its own.
    LocalFilter,
}

impl RateLimit {
    /// From its proto.
    pub fn from_proto(message: v3::RateLimit, place: Place, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rate_limit::XRateLimitOption as Option;
        if place != Place::Route {
            check_for_filter(&message, place, at);
        }
        open! { at, v3::RateLimit = message;
            implemented {
                stage, disable_key, actions, hits_addend, apply_on_stream_done, x_ratelimit_option, limit,
            }
        }
        if actions.is_empty() {
            at.field("actions").violation("value must contain at least 1 item(s)");
        }
        let number = hits_addend.as_ref().and_then(|hits| hits.number.as_ref());
        if number.is_some_and(|number| number.value > MAX_HITS) {
            let violation = format!("value must be less than or equal to {MAX_HITS}");
            at.field("hits_addend").field("number").violation(violation);
        }
        let hits_addend = hits_addend.filter(|_| place != Place::Route);
        Some(RateLimit {
            stage: at.within("stage", stage, 0..=MAX_STAGE).unwrap_or_default(),
            disable_key,
            actions: at.list("actions", actions, Action::from_proto),
            hits_addend: at.message("hits_addend", hits_addend, HitsAddend::from_proto),
            limit: at.message("limit", limit, Override::from_proto),
            apply_on_stream_done,
            x_ratelimit_option: match at.enumeration("x_ratelimit_option", x_ratelimit_option) {
                Option::Unspecified => XRateLimitOption::Unspecified,
                Option::Off => XRateLimitOption::Off,
                Option::DraftVersion03 => XRateLimitOption::DraftVersion03,
            },
        })
    }
}

impl Override {
    fn from_proto(message: v3::rate_limit::Override, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rate_limit::Override as Message;
        use v3::rate_limit::r#override::{DynamicMetadata, OverrideSpecifier, RateLimitOverride};
        open! { at, Message = message; implemented { override_specifier } }
        match at.required("override_specifier", override_specifier)? {
            OverrideSpecifier::DynamicMetadata(message) => {
                let at = &mut at.field("dynamic_metadata");
                open! { at, DynamicMetadata = message; implemented { metadata_key } }
                let key = at.required("metadata_key", metadata_key);
                at.message("metadata_key", key, metadata_path).map(Override::Metadata)
            }
            OverrideSpecifier::RateLimit(message) => {
                let at = &mut at.field("rate_limit");
                open! { at, RateLimitOverride = message; implemented { requests_per_unit, unit } }
                let unit = at.enumeration::<RateLimitUnit>("unit", unit);
                Some(Override::Fixed { requests_per_unit, unit: unit.as_str_name() })
            }
        }
    }
}

/// What filters do not take.
fn check_for_filter(message: &v3::RateLimit, place: Place, at: &mut Scope<'_>) {
    if message.stage.is_some() || !message.disable_key.is_empty() {
        at.error("'stage' field and 'disable_key' field are not supported");
    }
    if message.limit.is_some() && place == Place::LocalFilter {
        at.error("'limit' field is not supported");
    }
}

impl HitsAddend {
    fn from_proto(message: v3::rate_limit::HitsAddend, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rate_limit::HitsAddend as Message;
        open! { at, Message = message; implemented { number, format, is_negative_hits } }
        let hits = match (number, format.is_empty()) {
            (Some(number), true) => Hits::Number(number.value),
            (None, false) => {
                let mut at = at.field("format");
                let format = Format::read(&format, &Formatters::default(), &mut at)?;
                if format.as_command().is_none() {
                    at.error("hits_addend format must contain exactly one substitution");
                }
                Hits::Format(format)
            }
            (Some(_), false) | (None, true) => {
                at.error("hits_addend must contain either a format or a number");
                return None;
            }
        };
        Some(HitsAddend { hits, gives_back: is_negative_hits })
    }
}

/// Those of a route or of a virtual host.
pub(super) fn of_route(messages: Vec<v3::RateLimit>, at: &mut Scope<'_>) -> Vec<RateLimit> {
    at.list("rate_limits", messages, |message, at| RateLimit::from_proto(message, Place::Route, at))
}
