//! `envoy.filters.network.sni_dynamic_forward_proxy`: the name that a client asks for (SNI) is resolved before its
//! connection goes on, for a dynamic forward proxy cluster.
//!
//! The cache of names is that of the clusters which have one of the same name.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use envoy_types::pb::envoy::extensions::filters::network::sni_dynamic_forward_proxy::v3;
use futures_util::FutureExt;

use crate::config::dns_cache::DnsCache as CacheConfig;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::http::dynamic_host;
use crate::observability::stream_info::{Notes, Refusal, StateObject, UPSTREAM_ADDRESS};
use crate::upstream::dns_cache::{DnsCache, Found, Outcome};

use super::filter::{Context, Filter, Guest, Made, Step};
use super::read;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.sni_dynamic_forward_proxy",
    type_name: "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// The port of names where none is configured.
const DEFAULT_PORT: u16 = 443;

/// `envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    cache: CacheConfig,
    /// The port of names, where the filter state does not say it.
    port: u16,
    /// Whether filters behind are told where the name leads to.
    save_upstream_address: bool,
}

impl Config {
    fn from_proto(message: v3::FilterConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::filter_config::PortSpecifier;
        open! { at, v3::FilterConfig = message;
            implemented { dns_cache_config, port_specifier, save_upstream_address }
        }
        let port = match port_specifier {
            None => Some(DEFAULT_PORT),
            Some(PortSpecifier::PortValue(port)) => {
                let port = u16::try_from(port).ok().filter(|port| *port > 0);
                if port.is_none() {
                    at.field("port_value").violation("value must be inside range (0, 65535]");
                }
                port
            }
        };
        let cache = at.required("dns_cache_config", dns_cache_config);
        Some(Config {
            cache: at.message("dns_cache_config", cache, CacheConfig::from_proto)?,
            port: port?,
            save_upstream_address,
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, _: &Context<'_>) -> Result<Made, String> {
    Ok(Made::Filter(Arc::new(SniDynamicForwardProxy { config: config.clone(), cache: ArcSwap::default() })))
}

/// The filter of a chain in force.
#[derive(Debug)]
struct SniDynamicForwardProxy {
    config: Config,
    /// The cache that was found the last time. It is gone with the last cluster that has it.
    cache: ArcSwap<Weak<DnsCache>>,
}

impl Filter for SniDynamicForwardProxy {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        let Some(cache) = self.cache(guest) else { return Step::Pass };
        let name = {
            let notes = guest.info.notes.borrow();
            dynamic_host::of_connection(&guest.info, notes.as_deref(), self.config.port)
        };
        let Some(name) = name else { return Step::Pass };
        guest.info.note(|notes| self.note_port(notes));
        let Some(pending) = cache.try_pending() else { return Step::Refuse(Refusal::new("")) };
        match cache.find(&name) {
            Found::Known(outcome) => {
                self.keep(&outcome, guest);
                Step::Pass
            }
            Found::Full => Step::Refuse(Refusal::new("")),
            Found::Unknown => {
                let (answer, guest, saves) = (cache.ask(&name), Rc::clone(guest), self.config.save_upstream_address);
                Step::Wait(
                    async move {
                        let _pending = pending;
                        // Whether there is an address shows when a host is chosen, also where the cache is gone.
                        if let Ok(outcome) = answer.await
                            && saves
                        {
                            keep(&outcome, &guest);
                        }
                        Ok(())
                    }
                    .boxed_local(),
                )
            }
        }
    }
}

/// Notes where the name of a connection leads to.
fn keep(outcome: &Outcome, guest: &Guest) {
    if let Outcome::Addresses(addresses) = outcome
        && let Some(address) = addresses.first()
    {
        guest.info.note(|notes| notes.set_state(UPSTREAM_ADDRESS, StateObject::Upstream(*address)));
    }
}

impl SniDynamicForwardProxy {
    fn keep(&self, outcome: &Outcome, guest: &Guest) {
        if self.config.save_upstream_address {
            keep(outcome, guest);
        }
    }

    /// Has the cluster look for the name with the port that it is resolved with.
    fn note_port(&self, notes: &mut Notes) {
        if notes.state(dynamic_host::PORT).is_none() {
            let port = self.config.port.to_string().into_bytes();
            notes.set_state(dynamic_host::PORT, StateObject::Value(port.into()));
        }
    }

    /// The cache, if a cluster has it.
    fn cache(&self, guest: &Guest) -> Option<Arc<DnsCache>> {
        if let Some(cache) = self.cache.load().upgrade() {
            return Some(cache);
        }
        let snapshot = guest.worker.snapshot();
        let caches = snapshot.clusters.values().filter_map(|cluster| cluster.dns_cache());
        let cache = caches.into_iter().find(|cache| cache.config().name == self.config.cache.name).cloned()?;
        self.cache.store(Arc::new(Arc::downgrade(&cache)));
        Some(cache)
    }
}
