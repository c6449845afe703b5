//! `envoy.config.accesslog.v3.AccessLogFilter` to [`AccessLogFilter`].

use envoy_types::pb::envoy::config::accesslog::v3;
use envoy_types::pb::envoy::data::accesslog::v3::AccessLogType;

use super::{AccessLogFilter, Comparison, ComparisonOp, MetadataFilter, RuntimeFilter};
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;
use crate::config::runtime::{Fraction, RuntimeUInt32};
use crate::config::value_matcher::MetadataMatcher;

/// The response flags that Envoy 1.40 knows, short forms.
const RESPONSE_FLAGS: &[&str] = &[
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// The filters that there are.
const SERVED: &str = "status_code_filter, duration_filter, not_health_check_filter, header_filter, \
                      response_flag_filter, runtime_filter, log_type_filter, and_filter and or_filter are served";

impl AccessLogFilter {
    /// From its proto.
    pub fn from_proto(message: v3::AccessLogFilter, at: &mut Scope<'_>) -> Option<Self> {
        use v3::access_log_filter::FilterSpecifier as Specifier;
        open! { at, v3::AccessLogFilter = message; implemented { filter_specifier } }
        match at.required("filter_specifier", filter_specifier)? {
            Specifier::StatusCodeFilter(filter) => {
                return status_code(filter, &mut at.field("status_code_filter"));
            }
            Specifier::DurationFilter(filter) => return duration(filter, &mut at.field("duration_filter")),
            Specifier::NotHealthCheckFilter(filter) => {
                open! { at, v3::NotHealthCheckFilter = filter; implemented {} }
                return Some(AccessLogFilter::NotHealthCheck);
            }
            Specifier::HeaderFilter(filter) => return header(filter, &mut at.field("header_filter")),
            Specifier::ResponseFlagFilter(filter) => {
                return Some(response_flags(filter, &mut at.field("response_flag_filter")));
            }
            Specifier::AndFilter(filter) => return Some(and(filter, &mut at.field("and_filter"))),
            Specifier::OrFilter(filter) => return Some(or(filter, &mut at.field("or_filter"))),
            Specifier::RuntimeFilter(filter) => {
                return RuntimeFilter::from_proto(filter, &mut at.field("runtime_filter"))
                    .map(AccessLogFilter::Runtime);
            }
            Specifier::LogTypeFilter(filter) => return log_types(filter, &mut at.field("log_type_filter")),
            Specifier::MetadataFilter(filter) => {
                return MetadataFilter::from_proto(filter, &mut at.field("metadata_filter"))
                    .map(AccessLogFilter::Metadata);
            }
            Specifier::TraceableFilter(_) => at.reject("traceable_filter", SERVED),
            Specifier::GrpcStatusFilter(_) => at.reject("grpc_status_filter", SERVED),
            Specifier::ExtensionFilter(_) => at.reject("extension_filter", SERVED),
        }
        None
    }
}

impl MetadataFilter {
    fn from_proto(message: v3::MetadataFilter, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::MetadataFilter = message; implemented { matcher, match_if_key_not_found } }
        let matcher = at.required("matcher", matcher);
        let matcher = at.message("matcher", matcher, MetadataMatcher::from_proto)?;
        let match_if_key_not_found = match_if_key_not_found.is_none_or(|matches| matches.value);
        Some(MetadataFilter { matcher, match_if_key_not_found })
    }
}

impl RuntimeFilter {
    fn from_proto(message: v3::RuntimeFilter, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RuntimeFilter = message;
            implemented { runtime_key, percent_sampled, use_independent_randomness }
        }
        let percent_sampled = at.message("percent_sampled", percent_sampled, Fraction::from_proto);
        Some(RuntimeFilter {
            runtime_key: at.required_string("runtime_key", runtime_key),
            percent_sampled: percent_sampled.unwrap_or(Fraction { numerator: 0, denominator: 100 }),
            use_independent_randomness,
        })
    }
}

fn status_code(message: v3::StatusCodeFilter, at: &mut Scope<'_>) -> Option<AccessLogFilter> {
    open! { at, v3::StatusCodeFilter = message; implemented { comparison } }
    self::comparison(comparison, at).map(AccessLogFilter::StatusCode)
}

fn duration(message: v3::DurationFilter, at: &mut Scope<'_>) -> Option<AccessLogFilter> {
    open! { at, v3::DurationFilter = message; implemented { comparison } }
    self::comparison(comparison, at).map(AccessLogFilter::Duration)
}

fn header(message: v3::HeaderFilter, at: &mut Scope<'_>) -> Option<AccessLogFilter> {
    open! { at, v3::HeaderFilter = message; implemented { header } }
    let header = at.required("header", header);
    at.message("header", header, HeaderMatcher::from_proto).map(AccessLogFilter::Header)
}

fn and(message: v3::AndFilter, at: &mut Scope<'_>) -> AccessLogFilter {
    open! { at, v3::AndFilter = message; implemented { filters } }
    AccessLogFilter::And(several(filters, at))
}

fn or(message: v3::OrFilter, at: &mut Scope<'_>) -> AccessLogFilter {
    open! { at, v3::OrFilter = message; implemented { filters } }
    AccessLogFilter::Or(several(filters, at))
}

fn comparison(message: Option<v3::ComparisonFilter>, at: &mut Scope<'_>) -> Option<Comparison> {
    let message = at.required("comparison", message);
    at.message("comparison", message, |message, at| {
        use v3::comparison_filter::Op;
        open! { at, v3::ComparisonFilter = message; implemented { op, value } }
        let op = match at.enumeration("op", op) {
            Op::Eq => ComparisonOp::Eq,
            Op::Ge => ComparisonOp::Ge,
            Op::Le => ComparisonOp::Le,
            Op::Ne => ComparisonOp::Ne,
        };
        let value = at.required("value", value);
        Some(Comparison { op, value: at.message("value", value, RuntimeUInt32::from_proto)? })
    })
}

fn response_flags(message: v3::ResponseFlagFilter, at: &mut Scope<'_>) -> AccessLogFilter {
    open! { at, v3::ResponseFlagFilter = message; implemented { flags } }
    AccessLogFilter::ResponseFlag(at.list("flags", flags, |flag, at| {
        if !RESPONSE_FLAGS.contains(&flag.as_str()) {
            at.violation(format!("value must be in list [{}]", RESPONSE_FLAGS.join(" ")));
            return None;
        }
        Some(flag)
    }))
}

fn log_types(message: v3::LogTypeFilter, at: &mut Scope<'_>) -> Option<AccessLogFilter> {
    open! { at, v3::LogTypeFilter = message; implemented { types, exclude } }
    let types = at.list("types", types, |value, at| {
        let name = AccessLogType::try_from(value).map(|kind| kind.as_str_name());
        name.map_err(|_| at.violation(format!("value must be one of the defined enum values, not {value}")))
            .ok()
    });
    Some(AccessLogFilter::LogType { types, exclude })
}

fn several(filters: Vec<v3::AccessLogFilter>, at: &mut Scope<'_>) -> Vec<AccessLogFilter> {
    if filters.len() < 2 {
        at.field("filters").violation("value must contain at least 2 item(s)");
    }
    at.list("filters", filters, AccessLogFilter::from_proto)
}
