//! A filter that some requests do not pass: `envoy.extensions.common.matching.v3.ExtensionWithMatcher`.
//!
//! Conditions are looked at when the request's headers come to the filter; where they lead to `SkipFilter`, neither the
//! request nor its response passes. What a route says takes the place of the filter's conditions. Without conditions
//! nothing passes, as in Envoy. To `ExecuteFilterAction` they may lead where the filter within is `composite`; it does
//! nothing elsewhere.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::common::matching::v3;

use crate::base::headers::Headers;
use crate::config::extension::{Extension, ExtensionConfig, PerRoute, contained_type, find};
use crate::config::field::{Scope, open};
use crate::config::match_tree::newer;
use crate::http::exchange::Held;
use crate::http::filter::{self, Context, HttpFilter, Passing, Step, Stream};
use crate::observability::stats::Registry;
use crate::route::mutation::Levels;

use super::composite::{self, Action, Conditions, Executions, Place, RouteConditions};
use super::read;

/// Full name of the message.
pub(super) const TYPE_NAME: &str = "envoy.extensions.common.matching.v3.ExtensionWithMatcher";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.match_delegate",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, |message, at| Config::from_proto(message, at.extensions().http_filters, at)),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// The same between the router and a host.
pub(super) const UPSTREAM_EXTENSION: Extension = Extension {
    parse: |bytes, at| {
        read(bytes, at, |message, at| Config::from_proto(message, at.extensions().upstream_http_filters, at))
    },
    ..EXTENSION
};

/// `ExtensionWithMatcher`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// The filter within.
    extension: ExtensionConfig,
    conditions: Option<Conditions>,
}

/// `ExtensionWithMatcherPerRoute`
#[derive(Debug, PartialEq)]
struct RouteConfig(RouteConditions);

impl Config {
    fn from_proto(
        message: v3::ExtensionWithMatcher,
        known: &'static [Extension],
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::ExtensionWithMatcher;
        open! { at, ExtensionWithMatcher = message; implemented { matcher, xds_matcher, extension_config } }
        let conditions = match (xds_matcher, matcher) {
            (None, Some(older)) => at.message("matcher", Some(older), |older, at| {
                Conditions::from_proto(newer(older, at), known, at)
            }),
            (message, _) => at.message("xds_matcher", message, |message, at| {
                Conditions::from_proto(message, known, at)
            }),
        };
        let extension_config = at.required("extension_config", extension_config);
        let extension = at.message("extension_config", extension_config, |message, at| {
            let type_name = message.typed_config.as_ref().map(contained_type).unwrap_or_default();
            let ends = find(&type_name, known).is_some_and(|extension| extension.terminal);
            if ends || type_name == TYPE_NAME {
                at.unsupported("a filter that ends the chain, or that has conditions itself, has none here");
                return None;
            }
            ExtensionConfig::from_typed(message, known, at)
        });
        Some(Config { extension: extension?, conditions })
    }
}

impl RouteConfig {
    fn from_proto(message: v3::ExtensionWithMatcherPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        use v3::ExtensionWithMatcherPerRoute;
        open! { at, ExtensionWithMatcherPerRoute = message; implemented { xds_matcher } }
        let conditions = at.message("xds_matcher", xds_matcher, Conditions::of_route);
        Some(RouteConfig(RouteConditions::new(conditions)))
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    registry: Registry,
    /// The filter within. There is one: it was looked for when the configuration was read.
    inner: Option<Arc<dyn filter::Factory>>,
    /// Where it stands, and what its conditions may put in its place, where it is a composite filter.
    composite: Option<(Place, Executions)>,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let conditions = config.conditions.as_ref();
        composite::count(conditions, context.registry);
        let composite = config.extension.downcast::<composite::Config>();
        Factory {
            name: context.name.into(),
            config: config.clone(),
            registry: context.registry.clone(),
            inner: super::factory(&config.extension, context),
            composite: composite.map(|composite| {
                (Place::new(composite, context), Executions::new(conditions, context))
            }),
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        let inner = self.inner.as_deref().map(|inner| Box::new(inner.create()));
        super::Filter::MatchDelegate(Filter { shared: self, inner })
    }
}

/// The filter for one request, until the one within takes its place, or nothing does. As long as no request has come to
/// it, a response passes the one within.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    inner: Option<Box<super::Filter<'c>>>,
}

impl<'c> Filter<'c> {
    /// What takes its place.
    pub(super) fn unfold(&mut self, stream: &mut Stream<'_>, levels: Option<Levels<'c>>) -> Passing<'c> {
        let Factory { name, config, registry, composite, .. } = self.shared;
        let route = stream.route_config::<RouteConfig>(name);
        let conditions = match route {
            Some(RouteConfig(route)) => route.conditions(name, registry),
            None => config.conditions.as_ref(),
        };
        // Without conditions nothing passes, as in Envoy.
        let Some(conditions) = conditions else { return Passing::new() };
        let action = composite::find(conditions, stream);
        if action == Some(Action::Skip) {
            return Passing::new();
        }
        let Some((place, executions)) = composite else {
            return self.inner.take().map(|inner| *inner).into_iter().collect();
        };
        if let Some(passing) = place.of_route(stream, levels) {
            return passing;
        }
        match action {
            Some(Action::Execute(number)) if route.is_some() => {
                let of_route = levels.and_then(|levels| levels.filter_config::<RouteConfig>(name));
                place.routed(of_route.map(|RouteConfig(route)| route), number, stream)
            }
            Some(Action::Execute(number)) => place.begin(executions, number, stream),
            Some(Action::Skip) | None => self.inner.take().map(|inner| *inner).into_iter().collect(),
        }
    }
}

impl HttpFilter for Filter<'_> {
    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        match &mut self.inner {
            Some(inner) => inner.response_headers(stream),
            None => Step::Continue,
        }
    }

    fn response_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
        match &mut self.inner {
            Some(inner) => inner.response_body(stream, body),
            None => Step::Continue,
        }
    }

    fn response_data(&mut self, stream: &mut Stream<'_>, data: &mut Bytes, end: bool) {
        if let Some(inner) = &mut self.inner {
            inner.response_data(stream, data, end);
        }
    }

    fn poll_response_pace(&mut self, wanted: usize, cx: &mut TaskContext<'_>) -> Poll<usize> {
        match &mut self.inner {
            Some(inner) => inner.poll_response_pace(wanted, cx),
            None => Poll::Ready(wanted),
        }
    }

    fn response_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
        if let Some(inner) = &mut self.inner {
            inner.response_trailers(stream, trailers);
        }
    }

    fn complete(&mut self, stream: &mut Stream<'_>) {
        if let Some(inner) = &mut self.inner {
            inner.complete(stream);
        }
    }
}
