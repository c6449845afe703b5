//! Filters that conditions lead to: `envoy.extensions.filters.http.composite.v3.Composite`.
//!
//! The conditions are its own, or those of the filter `match_delegate` around it. When the request's headers come to the
//! filter, those that they lead to take its place: requests and responses pass them as if they stood in the chain, by the
//! name of this one. Routes may have conditions of their own in place of those (`CompositePerRoute`).

mod execute;
mod place;

use std::collections::BTreeMap;

use envoy_types::pb::envoy::extensions::filters::http::composite::v3;

use crate::config::extension::{Extension, ExtensionConfig, PerRoute};
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Passing, Stream};
use crate::route::mutation::Levels;

use super::read;
use execute::filter_chain_from_proto;

pub(super) use execute::{Action, Conditions};
pub(super) use place::{Executions, Place, RouteConditions, count, find};

/// Full name of the message.
pub(super) const TYPE_NAME: &str = "envoy.extensions.filters.http.composite.v3.Composite";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.composite",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| {
        let known = at.extensions().http_filters;
        read(bytes, at, |message, at| Config::from_proto(message, known, false, at))
    },
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.composite.v3.CompositePerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// The same between the router and a host.
pub(super) const UPSTREAM_EXTENSION: Extension = Extension {
    parse: |bytes, at| {
        let known = at.extensions().upstream_http_filters;
        read(bytes, at, |message, at| Config::from_proto(message, known, true, at))
    },
    ..EXTENSION
};

/// `Composite`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    named: BTreeMap<String, Vec<ExtensionConfig>>,
    conditions: Option<Conditions>,
    /// Whether it stands between the router and a host.
    upstream: bool,
}

impl Config {
    fn from_proto(
        message: v3::Composite,
        known: &'static [Extension],
        upstream: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::Composite;
        open! { at, Composite = message; implemented { named_filter_chains, matcher } }
        let mut named = BTreeMap::new();
        // In order, so that errors come in the same order each time.
        for (name, message) in named_filter_chains.into_iter().collect::<BTreeMap<_, _>>() {
            let filters = filter_chain_from_proto(message, known, &mut at.key("named_filter_chains", &name));
            named.extend(filters.map(|filters| (name, filters)));
        }
        let is_given = matcher.is_some();
        let conditions =
            at.message("matcher", matcher, |message, at| Conditions::from_proto(message, known, at));
        (conditions.is_some() == is_given).then_some(Config { named, conditions, upstream })
    }
}

/// `CompositePerRoute`
#[derive(Debug, PartialEq)]
struct RouteConfig(RouteConditions);

impl RouteConfig {
    fn from_proto(message: v3::CompositePerRoute, at: &mut Scope<'_>) -> Option<Self> {
        use v3::CompositePerRoute;
        open! { at, CompositePerRoute = message; implemented { matcher } }
        let matcher = at.required("matcher", matcher);
        let conditions = at.message("matcher", matcher, Conditions::of_route)?;
        Some(RouteConfig(RouteConditions::new(Some(conditions))))
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    place: Place,
    conditions: Option<Conditions>,
    executions: Executions,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let conditions = config.conditions.clone();
        count(conditions.as_ref(), context.registry);
        let executions = Executions::new(conditions.as_ref(), context);
        Factory { place: Place::new(config, context), conditions, executions }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Composite(Filter(self))
    }
}

/// The filter for one request, until others take its place.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl<'c> Filter<'c> {
    /// What takes its place.
    pub(super) fn unfold(&self, stream: &mut Stream<'_>, levels: Option<Levels<'c>>) -> Passing<'c> {
        let Factory { place, conditions, executions } = self.0;
        if let Some(passing) = place.of_route(stream, levels) {
            return passing;
        }
        match conditions.as_ref().and_then(|conditions| find(conditions, stream)) {
            Some(Action::Execute(number)) => place.begin(executions, number, stream),
            Some(Action::Skip) | None => Passing::new(),
        }
    }
}

impl HttpFilter for Filter<'_> {}
