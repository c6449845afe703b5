//! `envoy.filters.udp.session.ext_authz`: who may send, as a service says that is asked when a session begins.
//!
//! A session that may not stays until it idles, so that the service is not asked about each datagram.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::session::ext_authz::v3::FilterConfig;
use envoy_types::pb::envoy::extensions::filters::udp::udp_proxy::session::ext_authz::v3::filter_config::BufferOptions;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use futures_util::FutureExt;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::config::grpc_service::GrpcService;
use crate::config::metadata::to_object;
use crate::http::{Call, Status};
use crate::observability::stats::Registry;
use crate::observability::stats::udp::UdpExtAuthzStats;
use crate::observability::stream_info::ResponseFlags;
use crate::udp::held::{Held, Room};
use crate::udp::session::Session;
use crate::udp::sessions::Key;

use super::{Begin, Factory, Filter, Next, read};

/// The filter's name, and that of the metadata that the service gives.
const NAME: &str = "envoy.filters.udp.session.ext_authz";

/// The session filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
    type_name: "envoy.extensions.filters.udp.udp_proxy.session.ext_authz.v3.FilterConfig",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// How long a call may take where nothing is configured.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(200);
/// The method of the service.
const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";

/// `envoy.extensions.filters.udp.udp_proxy.session.ext_authz.v3.FilterConfig`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    stat_prefix: String,
    service: GrpcService,
    /// `None` means no limit.
    timeout: Option<Duration>,
    /// Whether sessions go on that the service says nothing of.
    failure_mode_allow: bool,
    /// How many datagrams wait for the answer; `None` for none.
    room: Option<Room>,
}

impl Config {
    fn from_proto(message: FilterConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, FilterConfig = message;
            implemented { stat_prefix, grpc_service, failure_mode_allow, buffer_options }
        }
        let grpc_service = at.required("grpc_service", grpc_service);
        let timeout = grpc_service.as_ref().and_then(|service| service.timeout);
        let timeout = at.field("grpc_service").duration("timeout", timeout).unwrap_or(DEFAULT_TIMEOUT);
        Some(Config {
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            service: at.message("grpc_service", grpc_service, GrpcService::from_proto)?,
            timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            failure_mode_allow,
            room: at.message("buffer_options", buffer_options, room),
        })
    }
}

fn room(message: BufferOptions, at: &mut Scope<'_>) -> Option<Room> {
    open! { at, BufferOptions = message; implemented { max_buffered_datagrams, max_buffered_bytes } }
    Some(Room::new(max_buffered_datagrams, max_buffered_bytes))
}

pub(super) fn make(config: &Config, registry: &Registry) -> Arc<dyn Factory> {
    let stats = UdpExtAuthzStats::new(registry, &format!("udp.session.ext_authz.{}.", config.stat_prefix));
    Arc::new(Rules { config: config.clone(), stats })
}

/// What all sessions of a proxy share.
#[derive(Clone, Debug)]
struct Rules {
    config: Config,
    stats: UdpExtAuthzStats,
}

impl Factory for Rules {
    fn filter(&self) -> Box<dyn Filter> {
        let held = Held::new(self.config.room);
        Box::new(Guarded(Rc::new(State { rules: self.clone(), held, verdict: Cell::new(None) })))
    }
}

/// The filter of a session.
#[derive(Debug)]
struct Guarded(Rc<State>);

#[derive(Debug)]
struct State {
    rules: Rules,
    held: Held,
    /// Whether the session may go on; `None` until that is known.
    verdict: Cell<Option<bool>>,
}

/// A question that is counted as active until this is dropped.
struct Active(UdpExtAuthzStats);

impl Active {
    fn new(stats: &UdpExtAuthzStats) -> Self {
        stats.total().inc();
        stats.active().inc();
        Active(stats.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active().dec();
    }
}

impl Filter for Guarded {
    fn begin(&self, session: &Rc<Session>) -> Begin {
        let (state, session) = (Rc::clone(&self.0), Rc::clone(session));
        let active = Active::new(&state.rules.stats);
        let Config { service, timeout, .. } = &state.rules.config;
        let (question, worker) = (question(&session.key), Rc::clone(&session.logged.worker));
        let call = Call::of_connection(service, METHOD, &question, *timeout, session.connection(), &worker);
        let verdict = async move {
            let answer = call.answer(&worker).await;
            drop(active);
            state.settle(answer, &session)
        };
        Begin::Wait(verdict.boxed_local())
    }

    fn up(&self, datagram: &[u8], next: Next<'_>) {
        match self.0.verdict.get() {
            Some(true) => next(datagram),
            Some(false) => {}
            None => {
                if self.0.held.push(datagram).is_err() {
                    self.0.rules.stats.buffer_overflow().inc();
                }
            }
        }
    }

    fn release(&self, next: Next<'_>) {
        while let Some(datagram) = self.0.held.pop() {
            next(&datagram);
        }
    }
}

impl State {
    /// Whether a session goes on after this answer.
    fn settle(&self, answer: Result<CheckResponse, Status>, session: &Session) -> bool {
        let goes_on = match answer {
            Ok(answer) => self.heed(answer, session),
            Err(status) => {
                tracing::debug!(target: "udp", %status, "the service of authorization could not be asked");
                self.fail()
            }
        };
        self.verdict.set(Some(goes_on));
        if !goes_on {
            session.flag(ResponseFlags::UAEX);
            self.held.clear();
        }
        goes_on
    }

    /// Does what the service says.
    fn heed(&self, answer: CheckResponse, session: &Session) -> bool {
        if let Some(metadata) = answer.dynamic_metadata.filter(|one| !one.fields.is_empty()) {
            session.connection().note(|notes| notes.merge_metadata(NAME, &to_object(metadata)));
        }
        let goes_on = answer.status.is_none_or(|status| status.code == 0);
        let stats = &self.rules.stats;
        if goes_on {
            stats.ok().inc()
        } else {
            stats.denied().inc()
        }
        goes_on
    }

    /// What becomes of a session that the service said nothing of.
    fn fail(&self) -> bool {
        let Rules { config, stats } = &self.rules;
        stats.error().inc();
        if config.failure_mode_allow {
            stats.failure_mode_allowed().inc();
        }
        config.failure_mode_allow
    }
}

/// What the service is asked: whether one may send datagrams from there to here.
fn question(key: &Key) -> CheckRequest {
    let attributes = AttributeContext {
        source: Some(peer(key.peer)),
        destination: Some(peer(key.local)),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

fn peer(address: SocketAddr) -> Peer {
    let address = core::SocketAddress {
        address: address.ip().to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(address.port().into())),
        ..core::SocketAddress::default()
    };
    let address = core::Address { address: Some(core::address::Address::SocketAddress(address)) };
    Peer { address: Some(address), ..Peer::default() }
}
