//! The seam of HTTP filters: what a filter is asked, when, and what it may answer.
//!
//! - `chain`: filters in their order, compiled once, and those that one request passes;
//! - `chains`: those of a connection manager, and how they change where configurations are discovered.
//!
//! The order is Envoy's. A request's route is found and its cluster chosen before the first filter sees it; the
//! router, which follows the route, comes after the last. A response passes the filters from the last to the first
//! once the route's changes are in its headers; what the connection manager adds comes after that. Answers of the
//! proxy's own are responses like any other, even those to requests that never came as far as a filter.

mod chain;
mod chains;

use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::base::headers::{Headers, Known};
use crate::config::extension::ExtensionConfig;
use crate::config::route::FilterConfig;
use crate::config::runtime::RuntimeFraction;
use crate::observability::stream_info::StreamInfo;
use crate::route::mutation::Levels;
use crate::route::rate_limit::RateLimits;

use super::exchange::Held;
use super::local_reply::LocalReply;
use super::worker::{HeaderPair, Worker};

pub use chain::check_discovered;
pub(super) use chain::{Chain, Context, Factory, Passing, unfold};
pub(super) use chains::{Chains, Current, Filters, Known as KnownChains};

/// One filter, for one request.
///
/// It is made when the request comes to the chain and dropped when its exchange ends, however that comes about: what
/// a filter holds for a request it gives back on drop.
pub(super) trait HttpFilter {
    /// The request's headers are there; the filters before this one have let them pass. Runs once, unless a filter
    /// before this one answers.
    fn request_headers<'a>(&'a mut self, _stream: &'a mut Stream<'_>) -> Step<'a> {
        Step::Continue
    }

    /// The whole request is there, for which [`request_headers`](Self::request_headers) asked with [`Step::Hold`].
    /// What the filters before this one made of its body is in `body`, and may be changed. Holding it on means to let
    /// it go.
    fn request_body<'a>(&'a mut self, _stream: &'a mut Stream<'_>, _body: &'a mut Held) -> Step<'a> {
        Step::Continue
    }

    /// Some of the request's body, on its way; `end` says that nothing follows. Runs after the headers as often as
    /// pieces come, but not for what this filter holds. A last piece may be empty.
    fn request_data(&mut self, _stream: &mut Stream<'_>, _data: &mut Bytes, _end: bool) {}

    /// The request ends with trailers. Runs at most once, after its headers.
    fn request_trailers(&mut self, _stream: &mut Stream<'_>, _trailers: &mut Headers) {}

    /// The response's headers are there, whoever made them; the filters behind this one have seen them. Runs at most
    /// once, and perhaps without [`request_headers`](Self::request_headers) before. An answer in its place is seen by
    /// no filter.
    fn response_headers<'a>(&'a mut self, _stream: &'a mut Stream<'_>) -> Step<'a> {
        Step::Continue
    }

    /// The whole response is there, likewise.
    fn response_body<'a>(&'a mut self, _stream: &'a mut Stream<'_>, _body: &'a mut Held) -> Step<'a> {
        Step::Continue
    }

    /// Some of the response's body, likewise.
    fn response_data(&mut self, _stream: &mut Stream<'_>, _data: &mut Bytes, _end: bool) {}

    /// How many bytes of these that are ready of the response's body may go out now; ready once one may. They are those
    /// that [`response_data`](Self::response_data) has left.
    fn poll_response_pace(&mut self, wanted: usize, _cx: &mut TaskContext<'_>) -> Poll<usize> {
        Poll::Ready(wanted)
    }

    /// The response ends with trailers. Runs at most once, after its headers.
    fn response_trailers(&mut self, _stream: &mut Stream<'_>, _trailers: &mut Headers) {}

    /// The exchange of a request with a route is over, whatever came of it: nothing goes on its way any more. Runs at
    /// most once.
    fn complete(&mut self, _stream: &mut Stream<'_>) {}
}

/// Bytes of a body that a filter may hold where that is as many as the connection buffers: filters of route tables, which
/// may serve several connection managers.
pub(super) const WHOLE_BUFFER: u64 = u64::MAX;

/// What a filter makes of a message.
pub(super) enum Step<'a> {
    /// It goes on to the next filter.
    Continue,
    /// It stays until all of it is there, so many bytes of body at the most, and goes on after this filter has seen
    /// them. A request with more is answered 413, a response with more becomes a 500.
    Hold(u64),
    /// What its route table lacks and discovers is asked for, and its route looked for again: then it comes to this filter
    /// once more. Where there is nothing to ask for it goes on to the next. Only of a request without a route.
    Discover,
    /// It is answered.
    Reply(LocalReply),
    /// It waits, and then is answered or goes on. Only a filter that waits pays for the box; dropping the future, as
    /// happens when the client goes away, ends whatever it waits for.
    Wait(LocalBoxFuture<'a, Option<LocalReply>>),
}

/// A request and what is known of it, as a filter sees it.
#[derive(Debug)]
pub(super) struct Stream<'s> {
    /// The request's headers, as the filters before left them.
    pub(super) request: &'s mut Headers,
    /// The response's headers; empty before there are any.
    pub(super) response: &'s mut Headers,
    /// For access logs.
    pub(super) info: &'s mut StreamInfo,
    /// The worker that serves the connection.
    pub(super) worker: &'s Rc<Worker>,
    /// The levels of the route; `None` where no route was found, or looked for.
    levels: Option<Levels<'s>>,
    /// Whether the message at hand consists of its headers alone.
    pub(super) bodiless: bool,
}

impl<'s> Stream<'s> {
    pub(super) fn new(
        headers: &'s mut HeaderPair,
        info: &'s mut StreamInfo,
        worker: &'s Rc<Worker>,
        levels: Option<Levels<'s>>,
    ) -> Self {
        let HeaderPair { request, response } = headers;
        Stream { request, response, info, worker, levels, bodiless: false }
    }

    /// The same, as filters see it once the response's headers have gone on.
    pub(super) fn beside<'a>(&'a mut self, response: &'a mut Headers) -> Stream<'a> {
        let Stream { request, info, worker, levels, bodiless, .. } = self;
        Stream { request, response, info, worker, levels: *levels, bodiless: *bodiless }
    }

    /// Says that the message at hand consists of its headers alone.
    pub(super) fn without_body(self, bodiless: bool) -> Self {
        Stream { bodiless, ..self }
    }

    /// By what the route limits the request; `None` where it leads to no cluster.
    pub(super) fn rate_limits(&self) -> Option<RateLimits<'s>> {
        self.levels?.rate_limits()
    }

    /// Whether a route was found.
    pub(super) fn has_route(&self) -> bool {
        self.levels.is_some()
    }

    /// Whether the route leads to a cluster, and does not answer itself.
    pub(super) fn leads_to_cluster(&self) -> bool {
        self.levels.is_some_and(|levels| levels.leads_to_cluster())
    }

    /// The response's status; `None` before there is one.
    pub(super) fn status(&self) -> Option<u16> {
        std::str::from_utf8(self.response.get(Known::Status)?).ok()?.parse().ok()
    }

    /// Whether chance and the runtime choose this request.
    pub(super) fn draws(&self, share: &RuntimeFraction) -> bool {
        share.value(&self.worker.snapshot().runtime).takes(self.worker.random())
    }

    /// What the levels of the route say to the filter of this name in its chain, the most specific first.
    pub(super) fn route_configs<'n, T: 'static>(
        &self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'s T> + use<'s, 'n, T> {
        let configs = self.levels.map(|levels| levels.filter_configs(name));
        configs.into_iter().flatten().filter_map(|config| match config {
            FilterConfig::Enabled(config) => config.downcast(),
            FilterConfig::Default | FilterConfig::Disabled => None,
        })
    }

    /// What the route and its virtual host say to filters of this type in the older field `cors`, in this order.
    pub(super) fn older_cors<T: 'static>(&self) -> impl Iterator<Item = &'s T> + use<'s, T> {
        let configs = self.levels.map(|levels| levels.cors());
        configs.into_iter().flatten().filter_map(ExtensionConfig::downcast)
    }

    /// What the most specific of them says.
    pub(super) fn route_config<T: 'static>(&self, name: &str) -> Option<&'s T> {
        self.route_configs(name).next()
    }
}
