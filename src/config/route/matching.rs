//! Which requests a route takes: `envoy.config.route.v3.RouteMatch`.

use envoy_types::pb::envoy::config::route::v3;

use super::{CookieMatcher, UriTemplate};
use crate::config::field::{Scope, open};
use crate::config::matcher::{HeaderMatcher, QueryParameterMatcher, Regex};
use crate::config::runtime::RuntimeFraction;
use crate::config::value_matcher::{FilterStateMatcher, MetadataMatcher};

/// `envoy.config.route.v3.RouteMatch`
#[derive(Clone, Debug, PartialEq)]
pub struct RouteMatch {
    /// How the path must look.
    pub path: PathMatch,
    /// Whether case counts in `path`; true by default. Does not hold for regular expressions.
    pub case_sensitive: bool,
    /// All of these must match.
    pub headers: Vec<HeaderMatcher>,
    /// All of these must match.
    pub query_parameters: Vec<QueryParameterMatcher>,
    /// All of these must match.
    pub cookies: Vec<CookieMatcher>,
    /// Share of the requests taken.
    pub runtime_fraction: Option<RuntimeFraction>,
    /// Only gRPC requests.
    pub grpc: bool,
    /// All of these must match.
    pub dynamic_metadata: Vec<MetadataMatcher>,
    /// All of these must match.
    pub filter_state: Vec<FilterStateMatcher>,
    /// What must be so of the client's certificate.
    pub peer_certificate: PeerCertificateMatch,
}

/// `RouteMatch.tls_context`; what is not said does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificateMatch {
    /// Whether the client must have presented a certificate.
    pub presented: Option<bool>,
    /// Whether that must have been validated.
    pub validated: Option<bool>,
}

/// `RouteMatch.path_specifier`
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The path without its query begins with this.
    Prefix(String),
    /// The path without its query is this.
    Path(String),
    /// The whole path without its query matches.
    SafeRegex(Regex),
    /// The path without its query is this or continues with `/`.
    PathSeparatedPrefix(String),
    /// The path without its query matches a template; case always counts.
    UriTemplate(UriTemplate),
    /// Only CONNECT requests.
    Connect,
}

impl RouteMatch {
    pub(super) fn from_proto(message: v3::RouteMatch, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::RouteMatch = message;
            implemented {
                path_specifier, case_sensitive, headers, query_parameters, cookies, runtime_fraction, grpc,
                dynamic_metadata, filter_state, tls_context,
            }
        }
        let path =
            at.required("path_specifier", path_specifier).and_then(|path| PathMatch::from_proto(path, at));
        Some(RouteMatch {
            case_sensitive: case_sensitive.is_none_or(|sensitive| sensitive.value),
            headers: at.list("headers", headers, HeaderMatcher::from_proto),
            query_parameters: at.list(
                "query_parameters",
                query_parameters,
                QueryParameterMatcher::from_proto,
            ),
            cookies: at.list("cookies", cookies, CookieMatcher::from_proto),
            runtime_fraction: at.message("runtime_fraction", runtime_fraction, RuntimeFraction::from_proto),
            grpc: at.message("grpc", grpc, grpc_options).is_some(),
            dynamic_metadata: at.list("dynamic_metadata", dynamic_metadata, MetadataMatcher::from_proto),
            filter_state: at.list("filter_state", filter_state, FilterStateMatcher::from_proto),
            peer_certificate: at
                .message("tls_context", tls_context, PeerCertificateMatch::from_proto)
                .unwrap_or_default(),
            path: path?,
        })
    }
}

impl PeerCertificateMatch {
    fn from_proto(message: v3::route_match::TlsContextMatchOptions, at: &mut Scope<'_>) -> Option<Self> {
        use v3::route_match::TlsContextMatchOptions;
        open! { at, TlsContextMatchOptions = message; implemented { presented, validated } }
        Some(PeerCertificateMatch {
            presented: presented.map(|presented| presented.value),
            validated: validated.map(|validated| validated.value),
        })
    }
}

/// There is nothing to say about gRPC requests but that only they are meant.
fn grpc_options(message: v3::route_match::GrpcRouteMatchOptions, at: &mut Scope<'_>) -> Option<()> {
    use v3::route_match::GrpcRouteMatchOptions;
    open! { at, GrpcRouteMatchOptions = message; implemented {} }
    Some(())
}

impl PathMatch {
    fn from_proto(specifier: v3::route_match::PathSpecifier, at: &mut Scope<'_>) -> Option<Self> {
        use v3::route_match::PathSpecifier;
        match specifier {
            PathSpecifier::Prefix(prefix) => Some(PathMatch::Prefix(prefix)),
            PathSpecifier::Path(path) => Some(PathMatch::Path(path)),
            PathSpecifier::SafeRegex(regex) => {
                Regex::from_proto(regex, &mut at.field("safe_regex")).map(PathMatch::SafeRegex)
            }
            PathSpecifier::PathSeparatedPrefix(prefix) => {
                separated_prefix(prefix, &mut at.field("path_separated_prefix"))
            }
            PathSpecifier::ConnectMatcher(message) => {
                open! { at, v3::route_match::ConnectMatcher = message; implemented {} }
                Some(PathMatch::Connect)
            }
            PathSpecifier::PathMatchPolicy(policy) => {
                UriTemplate::from_policy(policy, &mut at.field("path_match_policy"))
                    .map(PathMatch::UriTemplate)
            }
        }
    }
}

/// Text without query, fragment and slash at its end; one that does not begin with a slash is no path's.
fn separated_prefix(prefix: String, at: &mut Scope<'_>) -> Option<PathMatch> {
    let right = prefix.len() > 1 && !prefix.ends_with('/') && !prefix.contains(['?', '#']);
    if !right {
        at.violation("value does not match regex pattern \"^[^?#]+[^?#/]$\"");
        return None;
    }
    Some(PathMatch::PathSeparatedPrefix(prefix))
}
