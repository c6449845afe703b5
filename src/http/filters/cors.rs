//! Cross-origin resource sharing: `envoy.extensions.filters.http.cors.v3.Cors`.
//!
//! What the filter does stands in the route table: a `CorsPolicy` of a route, a virtual host or a table, or else in the
//! older field `cors` of a route or a virtual host. The most
//! specific of them says whether the filter does anything, and each of its fields counts where it is set; the more
//! general ones fill in the others. Preflight requests (<https://fetch.spec.whatwg.org/#cors-preflight-request>) are
//! answered here.

use envoy_types::pb::envoy::extensions::filters::http::cors::v3;

use crate::base::headers::{Headers, Known, Name};
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;
use crate::config::runtime::RuntimeFraction;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;
use crate::observability::stats::http::CorsStats;

use super::read;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.cors",
    type_name: "envoy.extensions.filters.http.cors.v3.Cors",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        parse: |bytes, at| read(bytes, at, Policy::from_proto),
    }),
};

/// `access-control-allow-origin`
const ALLOW_ORIGIN: &[u8] = b"access-control-allow-origin";
/// `access-control-allow-credentials`
const ALLOW_CREDENTIALS: &[u8] = b"access-control-allow-credentials";

/// `Cors`
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Config;

impl Config {
    fn from_proto(message: v3::Cors, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Cors = message; implemented {} }
        Some(Config)
    }
}

/// `CorsPolicy`
#[derive(Clone, Debug, PartialEq)]
struct Policy {
    /// Origins that may ask; each if one matches the literal `*`.
    allow_origin_string_match: Vec<StringMatcher>,
    /// `access-control-allow-methods`; `*` for the one that is asked for.
    allow_methods: String,
    /// `access-control-allow-headers`; `*` for those that are asked for.
    allow_headers: String,
    /// `access-control-expose-headers`
    expose_headers: String,
    /// `access-control-max-age`
    max_age: String,
    /// False where no policy says it.
    allow_credentials: Option<bool>,
    /// All requests when absent.
    filter_enabled: Option<RuntimeFraction>,
    /// Count origins and do nothing else; no requests when absent.
    shadow_enabled: Option<RuntimeFraction>,
    /// False where no policy says it.
    allow_private_network_access: Option<bool>,
    /// Whether preflight requests of other origins go on to the host; true where no policy says it.
    forward_not_matching_preflights: Option<bool>,
}

impl Policy {
    fn from_proto(message: v3::CorsPolicy, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::CorsPolicy = message;
            implemented {
                allow_origin_string_match, allow_methods, allow_headers, expose_headers, max_age, allow_credentials,
                filter_enabled, shadow_enabled, allow_private_network_access, forward_not_matching_preflights,
            }
        }
        Some(Policy {
            allow_origin_string_match: at.list(
                "allow_origin_string_match",
                allow_origin_string_match,
                StringMatcher::from_proto,
            ),
            allow_methods,
            allow_headers,
            expose_headers,
            max_age,
            allow_credentials: allow_credentials.map(|allow| allow.value),
            filter_enabled: at.message("filter_enabled", filter_enabled, RuntimeFraction::from_proto),
            shadow_enabled: at.message("shadow_enabled", shadow_enabled, RuntimeFraction::from_proto),
            allow_private_network_access: allow_private_network_access.map(|allow| allow.value),
            forward_not_matching_preflights: forward_not_matching_preflights.map(|forward| forward.value),
        })
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.allow_origin_string_match.iter().any(|allowed| allowed.matches(b"*") || allowed.matches(origin))
    }
}

/// The policies of a request, the most specific first.
#[derive(Clone, Copy)]
struct Policies<'p, 's>(&'p Stream<'s>, &'p str);

impl<'s> Policies<'_, 's> {
    /// Those of the older fields count where there are no others.
    fn each(&self) -> impl Iterator<Item = &'s Policy> {
        let named = || self.0.route_configs(self.1);
        let older = named().next().is_none().then(|| self.0.older_cors());
        named().chain(older.into_iter().flatten())
    }

    /// The first text that is set.
    fn text(&self, of: impl Fn(&'s Policy) -> &'s String) -> Option<&'s [u8]> {
        self.each().map(of).find(|text| !text.is_empty()).map(|text| text.as_bytes())
    }

    /// The first answer that is given, or `default`.
    fn says(&self, of: impl Fn(&Policy) -> Option<bool>, default: bool) -> bool {
        self.each().find_map(of).unwrap_or(default)
    }

    fn allow(&self, origin: &[u8]) -> bool {
        let deciding = self.each().find(|policy| !policy.allow_origin_string_match.is_empty());
        deciding.is_some_and(|policy| policy.allows(origin))
    }

    /// The answer to a preflight request.
    fn answer(&self, request: &Headers, origin: Option<&[u8]>) -> Headers {
        let mut headers = Headers::new();
        let asked = |header: &[u8]| request.get_by_name(header).unwrap_or_default().to_vec();
        // The text that is configured, or what the client asks for.
        let allowed = |text: Option<&[u8]>, header: &[u8]| match text {
            Some(b"*") => Some(asked(header)),
            text => text.map(<[u8]>::to_vec),
        };
        let credentials = self.says(|policy| policy.allow_credentials, false);
        let methods = allowed(self.text(|policy| &policy.allow_methods), b"access-control-request-method");
        let allow_headers =
            allowed(self.text(|policy| &policy.allow_headers), b"access-control-request-headers");
        let private = self.says(|policy| policy.allow_private_network_access, false)
            && request.get_by_name(b"access-control-request-private-network") == Some(b"true");
        for (name, value) in [
            (ALLOW_ORIGIN, origin.map(<[u8]>::to_vec)),
            (ALLOW_CREDENTIALS, credentials.then(|| b"true".to_vec())),
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", allow_headers),
            (b"access-control-max-age", self.text(|policy| &policy.max_age).map(<[u8]>::to_vec)),
            (b"access-control-allow-private-network", private.then(|| b"true".to_vec())),
        ] {
            value.into_iter().for_each(|value| headers.append(Name::new(name), &value));
        }
        headers
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    stats: CorsStats,
}

impl Factory {
    pub(super) fn new(_: &Config, context: &Context<'_>) -> Self {
        let prefix = format!("{}cors.", context.stat_prefix);
        Factory { name: context.name.into(), stats: CorsStats::new(context.registry, &prefix) }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Cors(Filter { shared: self, origin: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// The origin of a request that may have its response.
    origin: Option<Box<[u8]>>,
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let policies = Policies(stream, &self.shared.name);
        // As in Envoy, where only routes to clusters have policies.
        let Some(first) = policies.each().next().filter(|_| stream.leads_to_cluster()) else {
            return Step::Continue;
        };
        let enabled = first.filter_enabled.as_ref().is_none_or(|share| stream.draws(share));
        let shadow = first.shadow_enabled.as_ref().is_some_and(|share| stream.draws(share));
        let origin = stream.request.get(Known::Origin).filter(|origin| !origin.is_empty());
        let Some(origin) = origin.filter(|_| enabled || shadow) else {
            return Step::Continue;
        };
        let allowed = policies.allow(origin);
        match allowed {
            true => self.shared.stats.origin_valid().inc(),
            false => self.shared.stats.origin_invalid().inc(),
        }
        if !enabled {
            return Step::Continue;
        }
        self.origin = allowed.then(|| origin.into());
        let asked = stream.request.get_by_name(b"access-control-request-method").unwrap_or_default();
        let preflight = stream.request.get(Known::Method) == Some(b"OPTIONS") && !asked.is_empty();
        let forward = !allowed && policies.says(|policy| policy.forward_not_matching_preflights, true);
        if !preflight || forward {
            return Step::Continue;
        }
        let headers = policies.answer(stream.request, self.origin.as_deref());
        Step::Reply(LocalReply {
            headers: Some(Box::new(headers)),
            as_it_is: true,
            ..LocalReply::new(200, "", "cors_response")
        })
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Some(origin) = &self.origin else { return Step::Continue };
        let policies = Policies(stream, &self.shared.name);
        let credentials = policies.says(|policy| policy.allow_credentials, false);
        let exposed = policies.text(|policy| &policy.expose_headers);
        stream.response.set(Name::new(ALLOW_ORIGIN), origin);
        if credentials {
            stream.response.set(Name::new(ALLOW_CREDENTIALS), b"true");
        }
        if let Some(exposed) = exposed {
            stream.response.set(Name::new(b"access-control-expose-headers"), exposed);
        }
        Step::Continue
    }
}
