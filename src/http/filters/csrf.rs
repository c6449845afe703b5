//! Requests that change something have to come from the site itself: `envoy.extensions.filters.http.csrf.v3.CsrfPolicy`.
//!
//! `origin`, or `referer` without it, tells where a request comes from, and `host` where it goes to. What a route says
//! takes the place of what the chain says.

use envoy_types::pb::envoy::extensions::filters::http::csrf::v3;

use crate::base::headers::{Headers, Known};
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;
use crate::config::runtime::RuntimeFraction;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::observability::stats::http::CsrfStats;

use super::read;

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.csrf.v3.CsrfPolicy";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.csrf",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::from_proto) }),
};

/// `CsrfPolicy`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// The share of requests that are answered 403 when they come from elsewhere.
    filter_enabled: RuntimeFraction,
    /// The share of those that are only counted; none when absent.
    shadow_enabled: Option<RuntimeFraction>,
    /// Other origins, host and port, that requests may come from.
    additional_origins: Vec<StringMatcher>,
}

impl Config {
    fn from_proto(message: v3::CsrfPolicy, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CsrfPolicy = message;
            implemented { filter_enabled, shadow_enabled, additional_origins }
        }
        let filter_enabled = at.required("filter_enabled", filter_enabled);
        let filter_enabled = at.message("filter_enabled", filter_enabled, RuntimeFraction::from_proto);
        let shadow_enabled = at.message("shadow_enabled", shadow_enabled, RuntimeFraction::from_proto);
        let convert = StringMatcher::from_proto;
        let additional_origins = at.list("additional_origins", additional_origins, convert);
        Some(Config { filter_enabled: filter_enabled?, shadow_enabled, additional_origins })
    }

    fn allows(&self, source: &[u8], request: &Headers) -> bool {
        let target = request.get(Known::Authority).map(host_and_port).unwrap_or_default();
        source == target || self.additional_origins.iter().any(|origin| origin.matches(source))
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    stats: CsrfStats,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let prefix = format!("{}csrf.", context.stat_prefix);
        Factory {
            name: context.name.into(),
            config: config.clone(),
            stats: CsrfStats::new(context.registry, &prefix),
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Csrf(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Factory { name, config, stats } = self.0;
        let config = stream.route_config(name).unwrap_or(config);
        let enabled = stream.draws(&config.filter_enabled);
        let shadow = config.shadow_enabled.as_ref().is_some_and(|share| stream.draws(share));
        let method = stream.request.get(Known::Method).unwrap_or_default();
        if !(enabled || shadow) || !matches!(method, b"POST" | b"PUT" | b"DELETE" | b"PATCH") {
            return Step::Continue;
        }
        let source = source(stream.request);
        if source.is_empty() {
            stats.missing_source_origin().inc();
        } else if config.allows(source, stream.request) {
            stats.request_valid().inc();
            return Step::Continue;
        } else {
            stats.request_invalid().inc();
        }
        if !enabled {
            return Step::Continue;
        }
        Step::Reply(LocalReply::new(403, "Invalid origin", "csrf_origin_mismatch"))
    }
}

/// Where a request comes from; empty when it does not say.
fn source(request: &Headers) -> &[u8] {
    let of = |header| request.get(header).map(authority).filter(|source| !source.is_empty());
    of(Known::Origin).or_else(|| of(Known::Referer)).unwrap_or_default()
}

/// Host and port of an absolute URL (RFC 3986 §3); anything else as it is, `null` for example. As in Envoy only a path
/// or a query ends them.
fn authority(url: &[u8]) -> &[u8] {
    let Some(at) = url.windows(3).position(|text| text == b"://") else { return url };
    let scheme = &url[..at];
    let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(in_scheme) {
        return url;
    }
    let rest = &url[at + 3..];
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    host_and_port(&rest[..end])
}

/// Host and port without what may stand before them.
fn host_and_port(authority: &[u8]) -> &[u8] {
    let start = authority.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
    &authority[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_taken_out_of_absolute_urls_alone() {
        for (url, expected) in [
            ("https://a.test", "a.test"),
            ("http://a.test:80/path", "a.test:80"),
            ("app+x://user@a.test?q", "a.test"),
            ("https://[::1]:80", "[::1]:80"),
            ("1x://a.test", "1x://a.test"),
            ("://a.test", "://a.test"),
            ("a.test", "a.test"),
            ("null", "null"),
            ("https:///a.test", ""),
        ] {
            assert_eq!(authority(url.as_bytes()), expected.as_bytes(), "{url}");
        }
    }
}
