//! A service that is told things over HTTP: `envoy.config.core.v3.HttpService`.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3;

use super::field::{Scope, open};
use super::format::Formatters;
use super::route::HeaderValueOption;

/// How a service is called.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpService {
    /// Where it is.
    pub http_uri: HttpUri,
    /// Headers that each call has: as in Envoy each takes the place of those of its name, whatever its append action, and
    /// those without a value come first.
    pub request_headers_to_add: Vec<HeaderValueOption>,
}

/// `envoy.config.core.v3.HttpUri`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUri {
    /// What stands between the scheme and the path, user and all.
    pub host: String,
    /// All from the first slash on, with a query; `/` where there is none.
    pub path: String,
    /// The cluster; it need not be there.
    pub cluster: String,
    /// How long an answer may take; `None` means no limit, which is 0.
    pub timeout: Option<Duration>,
}

impl HttpService {
    /// From its proto.
    pub fn from_proto(message: v3::HttpService, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HttpService = message; implemented { http_uri, request_headers_to_add, formatters } }
        let formatters = Formatters::from_protos(formatters, at);
        let mut request_headers_to_add =
            at.list("request_headers_to_add", request_headers_to_add, |message, at| {
                HeaderValueOption::with(&formatters, message, at)
            });
        request_headers_to_add.sort_by_key(|option| option.value.as_literal() != Some(""));
        // As in Envoy a service without an address is one that nobody is told of.
        let http_uri = at.message("http_uri", http_uri, HttpUri::from_proto).unwrap_or_else(HttpUri::nowhere);
        Some(HttpService { http_uri, request_headers_to_add })
    }
}

impl HttpUri {
    /// From its proto.
    pub fn from_proto(message: v3::HttpUri, at: &mut Scope<'_>) -> Option<Self> {
        use v3::http_uri::HttpUpstreamType::Cluster;
        open! { at, v3::HttpUri = message; implemented { uri, timeout, http_upstream_type } }
        let uri = at.required_string("uri", uri);
        let required = at.required("timeout", timeout);
        let timeout = at.duration("timeout", required);
        let Cluster(cluster) = at.required("cluster", http_upstream_type)?;
        let cluster = at.required_string("cluster", cluster);
        let (host, path) = split(&uri);
        let timeout = timeout.filter(|timeout| !timeout.is_zero());
        Some(HttpUri { host: host.to_owned(), path: path.to_owned(), cluster, timeout })
    }

    fn nowhere() -> Self {
        HttpUri { host: String::new(), path: "/".to_owned(), cluster: String::new(), timeout: None }
    }
}

/// Host and path; as in Envoy only a slash begins the path.
fn split(uri: &str) -> (&str, &str) {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_begins_the_path() {
        for (uri, expected) in [
            ("http://col.test/v1/traces?x=1", ("col.test", "/v1/traces?x=1")),
            ("https://col.test:8443", ("col.test:8443", "/")),
            ("col.test/p", ("col.test", "/p")),
            ("http://user@col.test:1?x=1#f", ("user@col.test:1?x=1#f", "/")),
        ] {
            assert_eq!(split(uri), expected, "{uri}");
        }
    }
}
