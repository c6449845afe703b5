//! Changes to headers and trailers: `envoy.extensions.filters.http.header_mutation.v3.HeaderMutation`.
//!
//! The changes of the chain come first, then those of the route's levels: from the most specific to the most general,
//! so that the table has the last word, or the other way round with `most_specific_header_mutations_wins`. Each change
//! sees what the ones before it have left.

mod query;

use envoy_types::pb::envoy::extensions::filters::http::header_mutation::v3;

use crate::base::headers::{Headers, Known};
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::format::Formatters;
use crate::config::newer::envoy::extensions::filters::http::header_mutation::v3 as newer;
use crate::config::route::HeaderMutation as Mutation;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::render::render;
use crate::route::header_mutation;
use crate::route::mutation::Part;

use super::read;

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.header_mutation",
    type_name: "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// `HeaderMutation`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    mutations: Mutations,
    /// Apply the changes of the most specific level last.
    most_specific_wins: bool,
}

/// `HeaderMutationPerRoute`
#[derive(Clone, Debug, PartialEq)]
struct RouteConfig {
    mutations: Mutations,
}

/// `Mutations`: the changes, each list in its order.
#[derive(Clone, Debug, Default, PartialEq)]
struct Mutations {
    /// After those of the request's headers.
    query: Vec<query::Mutation>,
    request: Vec<Mutation>,
    request_trailers: Vec<Mutation>,
    response: Vec<Mutation>,
    response_trailers: Vec<Mutation>,
}

impl Config {
    fn from_proto(message: v3::HeaderMutation, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HeaderMutation = message; implemented { mutations, most_specific_header_mutations_wins } }
        Some(Config {
            mutations: at.message("mutations", mutations, Mutations::from_proto).unwrap_or_default(),
            most_specific_wins: most_specific_header_mutations_wins,
        })
    }
}

impl RouteConfig {
    fn from_proto(message: v3::HeaderMutationPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::HeaderMutationPerRoute = message; implemented { mutations } }
        let mutations = at.message("mutations", mutations, Mutations::from_proto).unwrap_or_default();
        Some(RouteConfig { mutations })
    }
}

impl Mutations {
    fn from_proto(message: v3::Mutations, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Mutations = message;
            implemented {
                request_mutations, response_mutations, request_trailers_mutations, response_trailers_mutations,
                query_parameter_mutations,
            }
        }
        open! { at, newer::Mutations = at.newer(); implemented { formatters } }
        let formatters = Formatters::from_protos(formatters, at);
        let convert = |message, at: &mut Scope<'_>| Mutation::with(&formatters, message, at);
        Some(Mutations {
            query: at.list("query_parameter_mutations", query_parameter_mutations, |message, at| {
                query::Mutation::from_proto(&formatters, message, at)
            }),
            request: at.list("request_mutations", request_mutations, convert),
            request_trailers: at.list("request_trailers_mutations", request_trailers_mutations, convert),
            response: at.list("response_mutations", response_mutations, convert),
            response_trailers: at.list("response_trailers_mutations", response_trailers_mutations, convert),
        })
    }

    fn of(&self, part: Part) -> &[Mutation] {
        match part {
            Part::Request => &self.request,
            Part::RequestTrailers => &self.request_trailers,
            Part::Response => &self.response,
            Part::ResponseTrailers => &self.response_trailers,
        }
    }

    fn apply(&self, target: &mut Target<'_>, stream: &mut Stream<'_>) {
        let part = target.part();
        for mutation in self.of(part) {
            let mut value = Vec::new();
            if let Some(format) = mutation.format() {
                render(stream.info, stream.request, stream.response, format, &mut value);
            }
            header_mutation::apply(mutation, target.headers(stream), &value, part);
        }
        if part == Part::Request && !self.query.is_empty() {
            self.change_query(stream);
        }
    }

    fn change_query(&self, stream: &mut Stream<'_>) {
        let Some(target) = stream.request.get(Known::Path) else { return };
        let changed = query::mutate(target, &self.query, |format, out| {
            render(stream.info, stream.request, stream.response, format, out);
        });
        stream.request.set(Known::Path, &changed);
    }
}

/// What is changed.
enum Target<'t> {
    Request,
    RequestTrailers(&'t mut Headers),
    Response,
    ResponseTrailers(&'t mut Headers),
}

impl Target<'_> {
    fn part(&self) -> Part {
        match self {
            Target::Request => Part::Request,
            Target::RequestTrailers(_) => Part::RequestTrailers,
            Target::Response => Part::Response,
            Target::ResponseTrailers(_) => Part::ResponseTrailers,
        }
    }

    fn headers<'h>(&'h mut self, stream: &'h mut Stream<'_>) -> &'h mut Headers {
        match self {
            Target::Request => stream.request,
            Target::Response => stream.response,
            Target::RequestTrailers(trailers) | Target::ResponseTrailers(trailers) => trailers,
        }
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory { name: context.name.into(), config: config.clone() }
    }

    /// Applies the changes of the chain, then those of the route's levels unless the request came without a route.
    fn mutate(&self, mut target: Target<'_>, routed: bool, stream: &mut Stream<'_>) {
        self.config.mutations.apply(&mut target, stream);
        if !routed {
            return;
        }
        let levels = stream.route_configs::<RouteConfig>(&self.name);
        if self.config.most_specific_wins {
            levels.rev().for_each(|level| level.mutations.apply(&mut target, stream));
        } else {
            levels.for_each(|level| level.mutations.apply(&mut target, stream));
        }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::HeaderMutation(Filter { shared: self, routed: None })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// Whether there was a route when it was first asked. As in Envoy, one that is found later says nothing to it.
    routed: Option<bool>,
}

impl Filter<'_> {
    fn mutate(&mut self, target: Target<'_>, stream: &mut Stream<'_>) {
        let routed = *self.routed.get_or_insert_with(|| stream.has_route());
        self.shared.mutate(target, routed, stream);
    }
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        self.mutate(Target::Request, stream);
        Step::Continue
    }

    fn request_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
        self.mutate(Target::RequestTrailers(trailers), stream);
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        self.mutate(Target::Response, stream);
        Step::Continue
    }

    fn response_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
        self.mutate(Target::ResponseTrailers(trailers), stream);
    }
}
