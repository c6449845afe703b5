//! Tracing: what connection managers (`HttpConnectionManager.Tracing`), routes (`envoy.config.route.v3.Tracing`,
//! `Decorator`) and the bootstrap (`envoy.config.trace.v3.Tracing`) say of it.
//!
//! Who makes spans is an extension, of which this module knows the table alone.

mod custom_tag;

use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::config::trace::v3 as trace;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as manager;
use envoy_types::pb::envoy::r#type::v3::Percent;

use super::extension::ExtensionConfig;
use super::field::{Scope, open};
use super::format::{Format, Formatters};
use super::runtime::Fraction;

pub use custom_tag::{CustomTag, TagValue, ValueType};

/// Bytes of a path that `http.url` tells when nothing else is configured.
const DEFAULT_MAX_PATH_TAG_LENGTH: u32 = 256;

/// `HttpConnectionManager.Tracing`
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// Which requests are traced.
    pub sampling: Sampling,
    /// Tell of the moments of a stream as well.
    pub verbose: bool,
    /// Bytes of the path that `http.url` tells; 256 by default.
    pub max_path_tag_length: u32,
    /// Tags beside those that all spans have.
    pub custom_tags: Vec<CustomTag>,
    /// Who makes spans; `None` leaves that to the bootstrap.
    pub provider: Option<ExtensionConfig>,
    /// A span for each request to a host.
    pub spawn_upstream_span: bool,
    /// The name of spans; `None` leaves it as it is.
    pub operation: Option<Format>,
    /// The name of spans of requests to hosts, likewise.
    pub upstream_operation: Option<Format>,
    /// Tell hosts nothing of the trace.
    pub no_context_propagation: bool,
}

/// `envoy.config.route.v3.Tracing`: in place of what the connection manager says.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTracing {
    /// Which requests are traced; what is not said is all, not what the connection manager says.
    pub sampling: Sampling,
    /// Tags, in place of those of the same name.
    pub custom_tags: Vec<CustomTag>,
    /// The name of spans; `None` leaves that to the connection manager.
    pub operation: Option<Format>,
    /// The name of spans of requests to hosts, likewise.
    pub upstream_operation: Option<Format>,
}

/// Shares of the requests that are traced; all of them by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Of those with `x-client-trace-id`.
    pub client: Fraction,
    /// Of those that nobody asks for.
    pub random: Fraction,
    /// Of all that would be traced.
    pub overall: Fraction,
}

/// `envoy.config.route.v3.Decorator`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decorator {
    /// The name of spans.
    pub operation: String,
    /// Whether the other side is told; true by default.
    pub propagate: bool,
}

impl Default for Sampling {
    fn default() -> Self {
        let all = Fraction::percent(100);
        Sampling { client: all, random: all, overall: all }
    }
}

impl Tracing {
    /// From its proto.
    pub fn from_proto(message: manager::Tracing, at: &mut Scope<'_>) -> Option<Self> {
        use manager::Tracing as Message;
        open! { at, Message = message;
            implemented {
                client_sampling, random_sampling, overall_sampling, verbose, max_path_tag_length, custom_tags,
                provider, spawn_upstream_span, operation, upstream_operation, no_context_propagation,
            }
        }
        Some(Tracing {
            sampling: Sampling {
                client: percent("client_sampling", client_sampling, at),
                random: hundredths("random_sampling", random_sampling, at),
                overall: hundredths("overall_sampling", overall_sampling, at),
            },
            verbose,
            max_path_tag_length: max_path_tag_length
                .map_or(DEFAULT_MAX_PATH_TAG_LENGTH, |length| length.value),
            custom_tags: CustomTag::list(custom_tags, at),
            provider: at.message("provider", provider, self::provider),
            spawn_upstream_span: spawn_upstream_span.is_some_and(|spawn| spawn.value),
            operation: operation_format("operation", &operation, at),
            upstream_operation: operation_format("upstream_operation", &upstream_operation, at),
            no_context_propagation,
        })
    }
}

impl RouteTracing {
    /// From its proto.
    pub fn from_proto(message: route::Tracing, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, route::Tracing = message;
            implemented {
                client_sampling, random_sampling, overall_sampling, custom_tags, operation, upstream_operation,
            }
        }
        let all = Fraction::percent(100);
        let mut share = |name, share| at.message(name, share, Fraction::from_proto).unwrap_or(all);
        let sampling = Sampling {
            client: share("client_sampling", client_sampling),
            random: share("random_sampling", random_sampling),
            overall: share("overall_sampling", overall_sampling),
        };
        Some(RouteTracing {
            sampling,
            custom_tags: CustomTag::list(custom_tags, at),
            operation: operation_format("operation", &operation, at),
            upstream_operation: operation_format("upstream_operation", &upstream_operation, at),
        })
    }
}

impl Decorator {
    /// From its proto.
    pub fn from_proto(message: route::Decorator, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, route::Decorator = message; implemented { operation, propagate } }
        let operation = at.required_string("operation", operation);
        Some(Decorator { operation, propagate: propagate.is_none_or(|propagate| propagate.value) })
    }
}

/// The provider that is in force where a connection manager names none: `Bootstrap.tracing`.
pub fn default_provider(message: trace::Tracing, at: &mut Scope<'_>) -> Option<ExtensionConfig> {
    open! { at, trace::Tracing = message; implemented { http } }
    at.message("http", http, provider)
}

fn provider(message: trace::tracing::Http, at: &mut Scope<'_>) -> Option<ExtensionConfig> {
    use trace::tracing::{Http, http::ConfigType};
    open! { at, Http = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
    let known = at.extensions().tracers;
    ExtensionConfig::from_any(&name, any, known, &mut at.field("typed_config"))
}

/// A percentage, whole as Envoy takes it.
fn percent(name: &str, message: Option<Percent>, at: &mut Scope<'_>) -> Fraction {
    let percent = at.percent(name, message).unwrap_or(100.0);
    Fraction { numerator: to_whole(percent), denominator: 100 }
}

/// A percentage, exact to its hundredths.
fn hundredths(name: &str, message: Option<Percent>, at: &mut Scope<'_>) -> Fraction {
    let percent = at.percent(name, message).unwrap_or(100.0);
    Fraction { numerator: to_whole((percent * 100.0).round()), denominator: 10_000 }
}

/// Of a number from zero to ten thousand what stands before its point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "percentages are in their range")]
fn to_whole(number: f64) -> u32 {
    number as u32
}

fn operation_format(name: &str, format: &str, at: &mut Scope<'_>) -> Option<Format> {
    if format.is_empty() {
        return None;
    }
    Format::read(format, &Formatters::default(), &mut at.field(name))
}
