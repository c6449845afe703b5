//! `envoy.config.metrics.v3.StatsConfig` to [`StatsConfig`].

use envoy_types::pb::envoy::config::metrics::v3;
use envoy_types::pb::envoy::r#type::matcher::v3::ListStringMatcher;

use super::{HistogramBuckets, StatsConfig, StatsMatcher, TagSpecifier, TagValue};
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;
use crate::config::regex::problem;

/// What the names of Envoy's own tags begin with.
const OWN_TAGS: &str = "envoy.";

/// The one of them that does not begin so.
const CIPHER_SUITE: &str = "cipher_suite";

impl Default for StatsConfig {
    fn default() -> Self {
        StatsConfig {
            tags: Vec::new(),
            use_all_default_tags: true,
            matcher: StatsMatcher::All,
            histogram_buckets: Vec::new(),
        }
    }
}

impl StatsConfig {
    pub(super) fn from_proto(message: v3::StatsConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::StatsConfig = message;
            implemented { stats_tags, use_all_default_tags, stats_matcher, histogram_bucket_settings }
            rejected { allow_default_tag_overrides: "Envoy's own tags keep their rules" }
        }
        Some(StatsConfig {
            tags: at.list("stats_tags", stats_tags, TagSpecifier::from_proto),
            use_all_default_tags: use_all_default_tags.is_none_or(|value| value.value),
            matcher: at.message("stats_matcher", stats_matcher, StatsMatcher::from_proto).unwrap_or_default(),
            histogram_buckets: at.list(
                "histogram_bucket_settings",
                histogram_bucket_settings,
                HistogramBuckets::from_proto,
            ),
        })
    }
}

impl TagSpecifier {
    fn from_proto(message: v3::TagSpecifier, at: &mut Scope<'_>) -> Option<Self> {
        use v3::tag_specifier::TagValue as Message;
        open! { at, v3::TagSpecifier = message; implemented { tag_name, tag_value } }
        if tag_name.is_empty() {
            at.error("tag_name cannot be empty");
        }
        let value = match tag_value {
            Some(Message::FixedValue(value)) => TagValue::Fixed(value),
            Some(Message::Regex(pattern)) if !pattern.is_empty() => match fancy_regex::Regex::new(&pattern) {
                Ok(regex) => TagValue::Regex(regex),
                Err(error) => {
                    // Of what looks neither ahead nor behind the other library tells more.
                    let why = match regex::Regex::new(&pattern) {
                        Err(error) => problem(&error, &pattern),
                        Ok(_) => error.to_string(),
                    };
                    at.field("regex").error(format!("Invalid regex '{pattern}': {why}"));
                    return None;
                }
            },
            Some(Message::Regex(_)) | None if tag_name.starts_with(OWN_TAGS) || tag_name == CIPHER_SUITE => {
                TagValue::Default
            }
            Some(Message::Regex(_)) | None => {
                at.error(format!(
                    "No regex specified for tag specifier and no default regex for name: '{tag_name}'"
                ));
                return None;
            }
        };
        Some(TagSpecifier { name: tag_name, value })
    }
}

impl StatsMatcher {
    /// From its proto.
    pub(in crate::config) fn from_proto(message: v3::StatsMatcher, at: &mut Scope<'_>) -> Option<Self> {
        use v3::stats_matcher::StatsMatcher as Message;
        open! { at, v3::StatsMatcher = message; implemented { stats_matcher } }
        Some(match at.required("stats_matcher", stats_matcher)? {
            Message::RejectAll(true) => StatsMatcher::None,
            Message::RejectAll(false) => StatsMatcher::All,
            Message::ExclusionList(list) => StatsMatcher::Exclude(patterns("exclusion_list", list, at)),
            Message::InclusionList(list) => StatsMatcher::Include(patterns("inclusion_list", list, at)),
        })
    }
}

fn patterns(field: &str, list: ListStringMatcher, at: &mut Scope<'_>) -> Vec<StringMatcher> {
    let mut at = at.field(field);
    open! { at, ListStringMatcher = list; implemented { patterns } }
    if patterns.is_empty() {
        at.field("patterns").violation("value must contain at least 1 item(s)");
    }
    at.list("patterns", patterns, StringMatcher::from_proto)
}

impl HistogramBuckets {
    fn from_proto(message: v3::HistogramBucketSettings, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HistogramBucketSettings = message;
            implemented { r#match, buckets }
            rejected { bins: "histograms have a fixed precision" }
        }
        let matcher = at.required("match", r#match);
        let matcher = at.message("match", matcher, StringMatcher::from_proto);
        let mut buckets = at.list("buckets", buckets, |bound, at| {
            if bound <= 0.0 || !bound.is_finite() {
                at.violation("value must be greater than 0");
            }
            Some(bound)
        });
        buckets.sort_by(f64::total_cmp);
        if buckets.windows(2).any(|pair| pair[0] == pair[1]) {
            at.field("buckets").violation("repeated value must contain unique items");
        }
        Some(HistogramBuckets { matcher: matcher?, buckets })
    }
}
