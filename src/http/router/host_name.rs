//! The wait for the address of a name, where a request names its host and no filter has seen to that.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::dynamic_host;
use crate::http::exchange::{Exchange, Failure};
use crate::http::local_reply::LocalReply;
use crate::upstream::Cluster;
use crate::upstream::dns_cache::{DnsCache, Found};

impl<D: Downstream> Exchange<'_, D> {
    /// Waits until something is known of the name of the request's host.
    #[cold]
    pub(super) async fn await_host(
        &mut self,
        cluster: &Cluster,
        cache: &Arc<DnsCache>,
    ) -> Result<(), Failure> {
        let name = dynamic_host::name(&self.headers.request, self.info.notes(), cluster.default_port());
        let Some(name) = name.filter(|name| !cache.is_resolved(name)) else { return Ok(()) };
        let no_host = |details: Cow<'static, str>| {
            cluster.stats.upstream_cx_none_healthy().inc();
            Err(without_host(details))
        };
        let Some(_pending) = cache.try_pending() else {
            return no_host("dns_cache_pending_requests_overflow".into());
        };
        match cache.find(&name) {
            Found::Known(outcome) => outcome.failure().map_or(Ok(()), |details| no_host(details.into())),
            Found::Full => no_host("dns_cache_overflow".into()),
            Found::Unknown => match self.until(answered(cache.ask(&name))).await {
                // As in Envoy a failure that was waited for is not counted among hosts that are not there.
                Ok(Ok(outcome)) => match outcome.failure() {
                    None => Ok(()),
                    Some(details) => Err(without_host(details.into())),
                },
                // The cache is gone with its clusters.
                Ok(Err(_)) => Ok(()),
                Err(interrupt) => {
                    if matches!(interrupt, Interrupt::ResponseTimeout) {
                        cluster.stats.upstream_rq_timeout().inc();
                    }
                    Err(self.interrupted(interrupt))
                }
            },
        }
    }
}

/// Polls for an answer while an exchange waits.
fn answered<T, F: Future + Unpin>(mut answer: F) -> impl FnMut(&mut T, &mut Context<'_>) -> Poll<F::Output> {
    move |_, cx| Pin::new(&mut answer).poll(cx)
}

fn without_host(details: Cow<'static, str>) -> Failure {
    LocalReply { details, ..LocalReply::no_healthy_upstream() }.into()
}
