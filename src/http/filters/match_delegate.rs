//! A filter that some requests do not pass: `envoy.extensions.common.matching.v3.ExtensionWithMatcher`.
//!
//! Conditions are looked at when the request's headers come to the filter; where they lead to `SkipFilter`, neither the
//! request nor its response passes. What a route says takes the place of the filter's conditions. Without conditions
//! nothing passes, as in Envoy.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::common::matching::v3;
use envoy_types::pb::envoy::extensions::filters::common::matcher::action::v3::SkipFilter;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;

use crate::base::headers::Headers;
use crate::config::extension::{Extension, ExtensionConfig, PerRoute, contained_type, find, read as unpack};
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};
use crate::http::exchange::Held;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::http::subject::subject;
use crate::observability::attributes::StreamAttributes;

use super::read;

/// Full name of the message.
const TYPE_NAME: &str = "envoy.extensions.common.matching.v3.ExtensionWithMatcher";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.match_delegate",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute {
        type_name: "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute",
        parse: |bytes, at| read(bytes, at, RouteConfig::from_proto),
    }),
};

/// `ExtensionWithMatcher`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    /// The filter within.
    extension: ExtensionConfig,
    tree: Option<MatchTree<Skip>>,
}

/// `ExtensionWithMatcherPerRoute`
#[derive(Clone, Debug, PartialEq)]
struct RouteConfig(Option<MatchTree<Skip>>);

/// `SkipFilter`: the one action that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Skip;

impl Config {
    fn from_proto(message: v3::ExtensionWithMatcher, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ExtensionWithMatcher = message;
            implemented { xds_matcher, extension_config }
            rejected { matcher: "xds_matcher says the same" }
        }
        let tree = tree(xds_matcher, at);
        let extension_config = at.required("extension_config", extension_config);
        let extension = at.message("extension_config", extension_config, |message, at| {
            let known = at.extensions().http_filters;
            let type_name = message.typed_config.as_ref().map(contained_type).unwrap_or_default();
            let ends = find(&type_name, known).is_some_and(|extension| extension.terminal);
            if ends || type_name == TYPE_NAME {
                at.unsupported("a filter that ends the chain, or that has conditions itself, has none here");
                return None;
            }
            ExtensionConfig::from_typed(message, known, at)
        });
        Some(Config { extension: extension?, tree })
    }
}

impl RouteConfig {
    fn from_proto(message: v3::ExtensionWithMatcherPerRoute, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ExtensionWithMatcherPerRoute = message; implemented { xds_matcher } }
        Some(RouteConfig(tree(xds_matcher, at)))
    }
}

fn tree(message: Option<Matcher>, at: &mut Scope<'_>) -> Option<MatchTree<Skip>> {
    at.message("xds_matcher", message, |message, at| MatchTree::from_proto(message, &mut Actions, at))
}

/// The actions of trees while they are read.
struct Actions;

impl Leaves for Actions {
    type Action = Skip;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Skip> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let (found, known) = (contained_type(&any), <SkipFilter as prost::Name>::full_name());
        if found != known {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        let at = &mut at.field("typed_config");
        let message = unpack::<SkipFilter>(any, at)?;
        open! { at, SkipFilter = message; implemented {} }
        Some(Skip)
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        if let Input::Later(name) = input {
            at.unsupported(format!("{name}: a filter is left out by what the request's headers say"));
        }
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    /// The filter within. There is one: it was looked for when the configuration was read.
    inner: Option<Arc<dyn filter::Factory>>,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let inner = super::factory(&config.extension, context);
        Factory { name: context.name.into(), config: config.clone(), inner }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        let inner = self.inner.as_deref().map(|inner| Box::new(inner.create()));
        super::Filter::MatchDelegate(Filter { shared: self, inner })
    }
}

/// The filter for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    shared: &'c Factory,
    /// `None` once it is left out.
    inner: Option<Box<super::Filter<'c>>>,
}

impl Filter<'_> {
    /// Whether the conditions leave the filter out.
    fn is_left_out(&self, stream: &Stream<'_>) -> bool {
        let Factory { name, config, .. } = self.shared;
        let of_route = stream.route_config::<RouteConfig>(name).map(|route| &route.0);
        let Some(tree) = of_route.unwrap_or(&config.tree) else { return true };
        let snapshot = stream.worker.snapshot();
        let attributes = StreamAttributes::of_request(stream.request, stream.info);
        let request = subject(stream.request, stream.info, Some(&attributes), &snapshot.runtime);
        tree.find(&request).is_some()
    }
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        if self.is_left_out(stream) {
            self.inner = None;
        }
        match &mut self.inner {
            Some(inner) => inner.request_headers(stream),
            None => Step::Continue,
        }
    }

    fn request_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
        match &mut self.inner {
            Some(inner) => inner.request_body(stream, body),
            None => Step::Continue,
        }
    }

    fn request_data(&mut self, stream: &mut Stream<'_>, data: &mut Bytes, end: bool) {
        if let Some(inner) = &mut self.inner {
            inner.request_data(stream, data, end);
        }
    }

    fn request_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
        if let Some(inner) = &mut self.inner {
            inner.request_trailers(stream, trailers);
        }
    }

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
