//! What counts as an error of a host: `HttpProtocolOptions.OutlierDetection.error_matcher`.
//!
//! It is asked about the headers of responses alone, as in Envoy: what it says of requests, trailers and bodies matches
//! nothing, and holds below a `not_match`.

use envoy_types::pb::envoy::config::common::matcher::v3::{
    HttpGenericBodyMatch, HttpHeadersMatch, MatchPredicate, match_predicate,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::OutlierDetection;

use crate::base::headers::Headers;
use crate::config::field::{Scope, open};
use crate::config::matcher::HeaderMatcher;

/// Why nothing of a body matters.
const NO_BODY: &str = "bodies are not looked at, in Envoy neither: it matches nothing";

/// `envoy.config.common.matcher.v3.MatchPredicate`, of the headers of a response.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorMatcher {
    /// `or_match`: one of these matches.
    Any(Vec<ErrorMatcher>),
    /// `and_match`: all of these match.
    All(Vec<ErrorMatcher>),
    /// `not_match`: this does not match.
    Not(Box<ErrorMatcher>),
    /// `any_match`: every response.
    Every,
    /// `http_response_headers_match`: these headers.
    Headers(Vec<HeaderMatcher>),
    /// What is no matter of a response's headers.
    Never,
}

impl ErrorMatcher {
    /// Whether a response with these headers is an error.
    pub fn matches(&self, response: &Headers) -> bool {
        match self {
            ErrorMatcher::Any(rules) => rules.iter().any(|rule| rule.matches(response)),
            ErrorMatcher::All(rules) => rules.iter().all(|rule| rule.matches(response)),
            ErrorMatcher::Not(rule) => !rule.matches(response),
            ErrorMatcher::Every => true,
            ErrorMatcher::Headers(headers) => headers.iter().all(|header| header.matches(response)),
            ErrorMatcher::Never => false,
        }
    }

    /// The matcher of `HttpProtocolOptions.outlier_detection`; `None` where it names none.
    pub(super) fn of_options(message: OutlierDetection, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, OutlierDetection = message; implemented { error_matcher } }
        at.message("error_matcher", error_matcher, Self::from_proto)
    }

    fn from_proto(message: MatchPredicate, at: &mut Scope<'_>) -> Option<Self> {
        use match_predicate::Rule;
        open! { at, MatchPredicate = message; implemented { rule } }
        Some(match at.required("rule", rule)? {
            Rule::OrMatch(set) => ErrorMatcher::Any(rules(set, &mut at.field("or_match"))),
            Rule::AndMatch(set) => ErrorMatcher::All(rules(set, &mut at.field("and_match"))),
            Rule::NotMatch(rule) => {
                ErrorMatcher::Not(Box::new(Self::from_proto(*rule, &mut at.field("not_match"))?))
            }
            Rule::AnyMatch(_) => ErrorMatcher::Every,
            Rule::HttpResponseHeadersMatch(headers) => {
                ErrorMatcher::Headers(header_matchers(headers, &mut at.field("http_response_headers_match")))
            }
            Rule::HttpRequestHeadersMatch(headers) => {
                headers_elsewhere(headers, &mut at.field("http_request_headers_match"))
            }
            Rule::HttpRequestTrailersMatch(headers) => {
                headers_elsewhere(headers, &mut at.field("http_request_trailers_match"))
            }
            Rule::HttpResponseTrailersMatch(headers) => {
                headers_elsewhere(headers, &mut at.field("http_response_trailers_match"))
            }
            Rule::HttpRequestGenericBodyMatch(body) => {
                body_elsewhere(body, &mut at.field("http_request_generic_body_match"))
            }
            Rule::HttpResponseGenericBodyMatch(body) => {
                body_elsewhere(body, &mut at.field("http_response_generic_body_match"))
            }
        })
    }
}

fn rules(message: match_predicate::MatchSet, at: &mut Scope<'_>) -> Vec<ErrorMatcher> {
    use match_predicate::MatchSet;
    open! { at, MatchSet = message; implemented { rules } }
    at.list("rules", rules, ErrorMatcher::from_proto)
}

fn header_matchers(message: HttpHeadersMatch, at: &mut Scope<'_>) -> Vec<HeaderMatcher> {
    open! { at, HttpHeadersMatch = message; implemented { headers } }
    at.list("headers", headers, HeaderMatcher::from_proto)
}

/// What is asked of headers that are none of a response's.
fn headers_elsewhere(message: HttpHeadersMatch, at: &mut Scope<'_>) -> ErrorMatcher {
    // What cannot be asked of any headers is an error all the same.
    header_matchers(message, at);
    ErrorMatcher::Never
}

/// What is asked of a body.
fn body_elsewhere(message: HttpGenericBodyMatch, at: &mut Scope<'_>) -> ErrorMatcher {
    open! { at, HttpGenericBodyMatch = message;
        implemented {}
        ignored { bytes_limit: NO_BODY, patterns: NO_BODY }
    }
    ErrorMatcher::Never
}
