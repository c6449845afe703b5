//! HTTP filters, one file each. A file holds all of its filter:
//!
//! - `EXTENSION`, the row by which `config` finds how its configuration is read, and `Config`, what that becomes;
//! - `Factory`, what the requests of a chain share; `Filter`, the filter for one request.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;

use crate::base::headers::Headers;
use crate::config::extension::{Extension, ExtensionConfig, read_value as read};
use crate::config::router;
use crate::config::upstream_codec;
use crate::route::mutation::Levels;

use super::exchange::Held;
use super::filter::{Context, Factory, HttpFilter, Passing, Step, Stream};

/// Lists the filters, and what else may stand in a chain. A request's filters are an enum's variants, and not boxes: that costs no allocation.
macro_rules! filters {
    ({ $($module:ident => $Filter:ident,)* } and { $($other:ident => $Other:ident,)* }) => {
        $(mod $module;)*
        $(mod $other;)*

        /// The HTTP filters of this build, the router among them.
        pub const EXTENSIONS: &[Extension] = &[$($module::EXTENSION,)* router::EXTENSION];

        /// Any filter, for one request.
        #[derive(Debug)]
        pub(super) enum Filter<'c> {
            $($Filter($module::Filter<'c>),)*
            $($Other($other::Filter<'c>),)*
        }

        impl HttpFilter for Filter<'_> {
            fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
                match self {
                    $(Filter::$Filter(filter) => filter.request_headers(stream),)*
                    $(Filter::$Other(filter) => filter.request_headers(stream),)*
                }
            }

            fn request_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
                match self {
                    $(Filter::$Filter(filter) => filter.request_body(stream, body),)*
                    $(Filter::$Other(filter) => filter.request_body(stream, body),)*
                }
            }

            fn request_data(&mut self, stream: &mut Stream<'_>, data: &mut Bytes, end: bool) {
                match self {
                    $(Filter::$Filter(filter) => filter.request_data(stream, data, end),)*
                    $(Filter::$Other(filter) => filter.request_data(stream, data, end),)*
                }
            }

            fn request_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
                match self {
                    $(Filter::$Filter(filter) => filter.request_trailers(stream, trailers),)*
                    $(Filter::$Other(filter) => filter.request_trailers(stream, trailers),)*
                }
            }

            fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
                match self {
                    $(Filter::$Filter(filter) => filter.response_headers(stream),)*
                    $(Filter::$Other(filter) => filter.response_headers(stream),)*
                }
            }

            fn response_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
                match self {
                    $(Filter::$Filter(filter) => filter.response_body(stream, body),)*
                    $(Filter::$Other(filter) => filter.response_body(stream, body),)*
                }
            }

            fn response_data(&mut self, stream: &mut Stream<'_>, data: &mut Bytes, end: bool) {
                match self {
                    $(Filter::$Filter(filter) => filter.response_data(stream, data, end),)*
                    $(Filter::$Other(filter) => filter.response_data(stream, data, end),)*
                }
            }

            fn poll_response_pace(&mut self, wanted: usize, cx: &mut TaskContext<'_>) -> Poll<usize> {
                match self {
                    $(Filter::$Filter(filter) => filter.poll_response_pace(wanted, cx),)*
                    $(Filter::$Other(filter) => filter.poll_response_pace(wanted, cx),)*
                }
            }

            fn response_trailers(&mut self, stream: &mut Stream<'_>, trailers: &mut Headers) {
                match self {
                    $(Filter::$Filter(filter) => filter.response_trailers(stream, trailers),)*
                    $(Filter::$Other(filter) => filter.response_trailers(stream, trailers),)*
                }
            }

            fn complete(&mut self, stream: &mut Stream<'_>) {
                match self {
                    $(Filter::$Filter(filter) => filter.complete(stream),)*
                    $(Filter::$Other(filter) => filter.complete(stream),)*
                }
            }
        }

        impl<'c> Filter<'c> {
            /// The filters that take its place for this request; `None` where it stays.
            /// `levels` are those of its route where they live as long as the filters.
            pub(super) fn unfold(
                &mut self,
                stream: &mut Stream<'_>,
                levels: Option<Levels<'c>>,
            ) -> Option<Passing<'c>> {
                match self {
                    Filter::Composite(filter) => Some(filter.unfold(stream, levels)),
                    Filter::Chain(filter) => Some(filter.unfold(levels)),
                    Filter::MatchDelegate(filter) => Some(filter.unfold(stream, levels)),
                    _ => None,
                }
            }
        }

        /// Compiles a filter; `None` if it is none of these.
        pub(super) fn factory(config: &ExtensionConfig, context: &Context<'_>) -> Option<Arc<dyn Factory>> {
            $(if let Some(config) = config.downcast::<$module::Config>() {
                return Some(Arc::new($module::Factory::new(config, context)));
            })*
            None
        }
    };
}

/// Those that may stand between the router and a host, as in Envoy, and the codec at their end. None of them paces a
/// response.
pub const UPSTREAM_EXTENSIONS: &[Extension] = &[
    buffer::EXTENSION,
    composite::UPSTREAM_EXTENSION,
    header_mutation::EXTENSION,
    match_delegate::UPSTREAM_EXTENSION,
    upstream_codec::EXTENSION,
];

filters! {
    {
        buffer => Buffer,
        composite => Composite,
        cors => Cors,
        csrf => Csrf,
        dynamic_forward_proxy => DynamicForwardProxy,
        fault => Fault,
        filter_chain => Chain,
        header_mutation => HeaderMutation,
        header_to_metadata => HeaderToMetadata,
        health_check => HealthCheck,
        json_to_metadata => JsonToMetadata,
        local_ratelimit => LocalRateLimit,
        match_delegate => MatchDelegate,
        on_demand => OnDemand,
        original_src => OriginalSrc,
        ratelimit => RateLimit,
        set_filter_state => SetFilterState,
        set_metadata => SetMetadata,
    } and {
        missing_config => MissingConfig,
    }
}

pub(super) use missing_config::Factory as MissingConfig;

#[cfg(test)]
mod tests;
