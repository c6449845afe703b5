//! `envoy.config.accesslog.v3.AccessLogFilter` to [`AccessLogFilter`].

use envoy_types::pb::envoy::config::accesslog::v3;
use envoy_types::pb::envoy::data::accesslog::v3::AccessLogType;
use envoy_types::pb::envoy::extensions::access_loggers::filters::cel::v3::ExpressionFilter;

use super::{AccessLogFilter, Comparison, ComparisonOp, MetadataFilter, RuntimeFilter};
use crate::config::cel::{Expression, Options};
use crate::config::extension;
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;
use crate::config::runtime::{Fraction, RuntimeUInt32};
use crate::config::value_matcher::MetadataMatcher;

/// The response flags that Envoy 1.40 knows, short forms.
const RESPONSE_FLAGS: &[&str] = &[
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX",
    "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR", "UDO",
];

/// The message of the extension that is known.
const CEL: &str = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

impl AccessLogFilter {
    /// From its proto.
    pub fn from_proto(message: v3::AccessLogFilter, at: &mut Scope<'_>) -> Option<Self> {
        use v3::access_log_filter::FilterSpecifier as Specifier;
        open! { at, v3::AccessLogFilter = message; implemented { filter_specifier } }
        match at.required("filter_specifier", filter_specifier)? {
            Specifier::StatusCodeFilter(filter) => status_code(filter, &mut at.field("status_code_filter")),
            Specifier::DurationFilter(filter) => duration(filter, &mut at.field("duration_filter")),
            Specifier::NotHealthCheckFilter(filter) => {
                open! { at, v3::NotHealthCheckFilter = filter; implemented {} }
                Some(AccessLogFilter::NotHealthCheck)
            }
            Specifier::HeaderFilter(filter) => header(filter, &mut at.field("header_filter")),
            Specifier::ResponseFlagFilter(filter) => {
                Some(response_flags(filter, &mut at.field("response_flag_filter")))
            }
            Specifier::AndFilter(filter) => Some(and(filter, &mut at.field("and_filter"))),
            Specifier::OrFilter(filter) => Some(or(filter, &mut at.field("or_filter"))),
            Specifier::RuntimeFilter(filter) => {
                RuntimeFilter::from_proto(filter, &mut at.field("runtime_filter"))
                    .map(AccessLogFilter::Runtime)
            }
            Specifier::LogTypeFilter(filter) => log_types(filter, &mut at.field("log_type_filter")),
            Specifier::MetadataFilter(filter) => {
                MetadataFilter::from_proto(filter, &mut at.field("metadata_filter"))
                    .map(AccessLogFilter::Metadata)
            }
            Specifier::TraceableFilter(filter) => {
                open! { at, v3::TraceableFilter = filter; implemented {} }
                Some(AccessLogFilter::Traceable)
            }
            Specifier::GrpcStatusFilter(filter) => {
                Some(grpc_status(filter, &mut at.field("grpc_status_filter")))
            }
            Specifier::ExtensionFilter(filter) => extension(filter, &mut at.field("extension_filter")),
        }
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

fn grpc_status(message: v3::GrpcStatusFilter, at: &mut Scope<'_>) -> AccessLogFilter {
    use v3::grpc_status_filter::Status;
    open! { at, v3::GrpcStatusFilter = message; implemented { statuses, exclude } }
    let statuses = at.list("statuses", statuses, |number, at| {
        if Status::try_from(number).is_err() {
            at.violation(format!("value must be one of the defined enum values, not {number}"));
        }
        Some(i64::from(number))
    });
    AccessLogFilter::GrpcStatus { statuses, exclude }
}

fn extension(message: v3::ExtensionFilter, at: &mut Scope<'_>) -> Option<AccessLogFilter> {
    use v3::extension_filter::ConfigType;
    open! { at, v3::ExtensionFilter = message; implemented { name, config_type } }
    let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
    let at = &mut at.field("typed_config");
    let type_name = extension::contained_type(&any);
    if type_name != CEL {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {CEL}"
        ));
        return None;
    }
    open! { at, ExpressionFilter = extension::read(any, at)?; implemented { expression, cel_config } }
    let options = at.message("cel_config", cel_config, |message, at| Some(Options::from_proto(message, at)));
    let parsed = Expression::parse(&expression, options.unwrap_or_default());
    parsed.map_err(|problem| problem.tell(&mut at.field("expression"))).map(AccessLogFilter::Expression).ok()
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
