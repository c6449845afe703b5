//! The filters between the router and a host: what a request passes once a host is chosen for it, and its response before
//! the router sees that. `HttpProtocolOptions.http_filters` of the cluster, or `Router.upstream_http_filters` where it has
//! none.
//!
//! Each attempt has filters of its own. They change the headers that the client's request has: what they add stays for the
//! next attempt and for logs, as in Envoy.

use std::task::{Context, Poll};

use crate::base::headers::Headers;
use crate::codec::{Frame, StreamError};
use crate::config;
use crate::config::extension_configs::ExtensionConfigs;
use crate::observability::stats::Registry;
use crate::route::mutation::Levels;
use crate::upstream::Cluster;
use crate::upstream::filters::{Compiled, Kept};

use super::exchange::{Held, Way, poll_next, through};
use super::filter::{Chain, HttpFilter, Passing, Step, Stream};
use super::local_reply::LocalReply;

/// Compiles the HTTP filters of a cluster.
pub fn compile_filters(
    cluster: &config::Cluster,
    registry: &Registry,
    configs: &ExtensionConfigs,
    before: Option<&Compiled>,
) -> Compiled {
    let before = before.and_then(Compiled::downcast);
    Compiled::new(Chain::of_cluster(cluster, registry, configs, before))
}

/// The filters that an attempt passes: those of its cluster if that has some.
pub(super) fn chain<'f>(
    cluster: &'f Cluster,
    of_router: Option<&'f Chain>,
    kept: &'f Kept,
) -> Option<&'f Chain> {
    match cluster.filters(kept) {
        Some(own) => own.downcast(),
        None => of_router,
    }
}

/// The filters that one attempt passes, and what they hold.
#[derive(Debug)]
pub(super) struct Hosted<'f> {
    pub(super) filters: Passing<'f>,
    /// The levels of the route; `None` where that is nobody's.
    pub(super) levels: Option<Levels<'f>>,
    /// What was read of the request ahead of its host, for a filter that asked for it.
    pub(super) request: Held,
    response: Held,
    /// What filters see in place of the response's headers once those have gone on to the router.
    gone: Headers,
    /// Whether the response's headers have passed.
    answered: bool,
}

impl<'f> Hosted<'f> {
    /// The filters of a chain that requests with this route pass; `None` where that is none.
    pub(super) fn begin(chain: &'f Chain, levels: Option<Levels<'f>>) -> Option<Box<Self>> {
        let filters = chain.begin(levels);
        let (request, response, gone, answered) = Default::default();
        (!filters.is_empty()).then(|| Box::new(Hosted { filters, levels, request, response, gone, answered }))
    }

    /// Shows a piece of the request, or its end, to the filters before this one; what is left of it then.
    pub(super) fn pass_request(
        &mut self,
        frame: Option<Frame>,
        before: usize,
        stream: &mut Stream<'_>,
    ) -> Option<Frame> {
        let Hosted { filters, request, .. } = self;
        let filters = &mut filters[..before];
        request.pass_one(frame, |frame, end| through(filters.iter_mut(), Way::Request, stream, frame, end))
    }

    /// Shows a filter that has let the request's headers pass what is held of the body.
    pub(super) fn catch_up(&mut self, number: usize, stream: &mut Stream<'_>) {
        let Hosted { filters, request, .. } = self;
        let mut filter = filters.get_mut(number);
        request.pass(|frame, end| {
            through(filter.as_deref_mut().into_iter(), Way::Request, stream, frame, end);
        });
    }

    /// Shows the headers of the response to the filters, the last first, unless they have seen them.
    ///
    /// # Errors
    /// What a filter answers in its place.
    pub(super) fn pass_head(&mut self, stream: &mut Stream<'_>) -> Result<(), LocalReply> {
        if std::mem::replace(&mut self.answered, true) {
            return Ok(());
        }
        for filter in self.filters.iter_mut().rev() {
            match filter.response_headers(stream) {
                Step::Continue | Step::Discover => {}
                Step::Reply(reply) => return Err(reply),
                // No filter that may stand here asks for it.
                Step::Hold(_) | Step::Wait(_) => return Err(LocalReply::response_too_large()),
            }
        }
        Ok(())
    }

    /// The next piece of the response, once it has passed the filters. `fresh` gives what the host sends.
    pub(super) fn poll_response(
        &mut self,
        fresh: impl FnMut(&mut Context<'_>) -> Poll<Result<Option<Frame>, StreamError>>,
        stream: &mut Stream<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, StreamError>> {
        let Hosted { filters, response, gone, .. } = self;
        let mut seen = stream.beside(gone);
        let pass = |frame: &mut Frame, end| {
            through(filters.iter_mut().rev(), Way::Response, &mut seen, frame, end);
        };
        poll_next(response, fresh, pass, cx)
    }
}
