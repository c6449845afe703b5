//! Filters of sessions: what the datagrams of a session pass on their way to the host and back. One file each.
//!
//! `UdpProxyConfig.session_filters`. A file holds all of its filter: `EXTENSION`, the row by which the proxy finds how
//! its configuration is read; `Config`, what that becomes; and `make`, which compiles it for the sessions of a proxy.
//! What follows the last filter is the proxy itself: a socket, or a tunnel.

mod compiled;
mod ext_authz;
mod http_capsule;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::SessionFilter;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::session_filter::ConfigType as Choice;
use futures_util::future::LocalBoxFuture;

use crate::config::extension::{Extension, ExtensionConfig, read_value as read};
use crate::config::extension_source::{ConfigType, FilterConfigType, FilterKind};
use crate::config::field::{Scope, open};
use crate::observability::stats::Registry;

use super::session::Session;

pub(super) use compiled::Filters;

/// Where what a filter gives goes on to.
pub(super) type Next<'a> = &'a mut dyn FnMut(&[u8]);

/// A filter of one session.
pub(super) trait Filter: fmt::Debug {
    /// The session has begun, and the filters before this one have let it on. Runs once.
    fn begin(&self, _session: &Rc<Session>) -> Begin {
        Begin::Pass
    }

    /// A datagram of the client is on its way to the host.
    fn up(&self, datagram: &[u8], next: Next<'_>) {
        next(datagram);
    }

    /// A datagram of the host, or a part of what its tunnel carries, is on its way to the client.
    fn down(&self, data: &[u8], next: Next<'_>) {
        next(data);
    }

    /// What [`begin`](Self::begin) waited for is there, and so is what follows: gives what was held meanwhile.
    fn release(&self, _next: Next<'_>) {}
}

/// What a filter makes of a session that begins.
pub(super) enum Begin {
    /// It goes on.
    Pass,
    /// It is known later whether it goes on. A session that does not stays, and leads nowhere.
    Wait(LocalBoxFuture<'static, bool>),
}

/// Makes a filter for each session.
pub(super) trait Factory: fmt::Debug + Send + Sync {
    /// The filter of another session.
    fn filter(&self) -> Box<dyn Filter>;
}

/// Lists the filters.
macro_rules! filters {
    ($($module:ident,)*) => {
        /// The session filters of this build.
        pub(super) const EXTENSIONS: &[Extension] = &[$($module::EXTENSION,)*];

        /// Compiles a filter for the sessions of a proxy, with its statistics in this registry.
        ///
        /// # Errors
        /// A filter that is none of these.
        fn make(config: &ExtensionConfig, registry: &Registry) -> Result<Arc<dyn Factory>, String> {
            $(if let Some(config) = config.downcast::<$module::Config>() {
                return Ok($module::make(config, registry));
            })*
            Err(format!("session filter {}: not served", config.name))
        }
    };
}

filters! {
    ext_authz,
    http_capsule,
}

/// A filter as configured: `UdpProxyConfig.SessionFilter`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Configured {
    /// `name`: what it is called, and what its configuration is where that is discovered.
    pub(super) name: String,
    /// `config_type`
    pub(super) config: FilterConfigType,
}

/// Reads the entry of a filter.
pub(super) fn from_proto(message: SessionFilter, at: &mut Scope<'_>) -> Option<Configured> {
    open! { at, SessionFilter = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let choice = config_type.map(|choice| match choice {
        Choice::TypedConfig(any) => ConfigType::Typed(any),
        Choice::ConfigDiscovery(source) => ConfigType::Discovery(source.into()),
    });
    let config = FilterConfigType::from_proto(&name, choice, FilterKind::UdpSession, false, at)?;
    Some(Configured { name, config })
}
