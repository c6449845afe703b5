//! How the sockets of a listener are made, and connections accepted from them.

use envoy_types::pb::envoy::config::listener::v3;
use envoy_types::pb::google::protobuf as pb;

use super::ListenAddress;
use crate::config::address::Address;
use crate::config::field::{Scope, open};

/// Connections that may wait to be accepted, when nothing else is configured.
pub const DEFAULT_TCP_BACKLOG_SIZE: u32 = 4096;

/// What concerns the sockets of all addresses of a listener alike; fields of `Listener`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenSocket {
    /// Whether a socket is bound at all; false only for listeners that others hand connections to.
    pub bind_to_port: bool,
    /// Whether each worker has a socket of its own (`SO_REUSEPORT`).
    pub enable_reuse_port: bool,
    /// Length of the accept queue.
    pub tcp_backlog_size: u32,
    /// How many clients may have sent data before their handshake is done (RFC 7413); the system decides when `None`.
    pub tcp_fast_open_queue_length: Option<u32>,
    /// `connection_balance_config`: how connections are spread over the workers; `None` leaves it to the system.
    pub balance: Option<Balance>,
    /// Whether clients may use several paths (MPTCP).
    pub enable_mptcp: bool,
    /// Whether a socket may be bound to an address that this host does not have.
    pub freebind: Option<bool>,
    /// Whether connections that iptables sent here are taken.
    pub transparent: Option<bool>,
    /// Connections accepted at once before others get their turn; all that wait when `None`.
    pub max_connections_to_accept_per_socket_event: Option<u32>,
}

/// How connections are spread over the workers: `Listener.ConnectionBalanceConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// `exact_balance`: each connection goes to the worker with the fewest.
    Exact,
    /// `cpu_locality_balance`: each goes to the worker that stays at the CPU on which it came, where workers stay at CPUs
    /// (`Bootstrap.enable_worker_cpu_affinity`); the system decides otherwise. As in Envoy sockets stay as they were made:
    /// an update that keeps them changes nothing of it.
    CpuLocality,
}

/// The fields as they came.
pub(super) struct Given {
    pub(super) bind_to_port: Option<pb::BoolValue>,
    pub(super) deprecated_v1: Option<v3::listener::DeprecatedV1>,
    pub(super) enable_reuse_port: Option<pb::BoolValue>,
    pub(super) tcp_backlog_size: Option<pb::UInt32Value>,
    pub(super) tcp_fast_open_queue_length: Option<pb::UInt32Value>,
    pub(super) enable_mptcp: bool,
    pub(super) freebind: Option<pb::BoolValue>,
    pub(super) transparent: Option<pb::BoolValue>,
    pub(super) max_connections_to_accept_per_socket_event: Option<pb::UInt32Value>,
    pub(super) connection_balance_config: Option<v3::listener::ConnectionBalanceConfig>,
}

impl Given {
    /// Whether they ask for what only sockets of TCP have.
    pub(super) fn is_of_tcp(&self) -> bool {
        self.enable_reuse_port.is_some_and(|enabled| !enabled.value)
            || self.transparent.is_some()
            || self.freebind.is_some()
            || self.tcp_backlog_size.is_some()
            || self.tcp_fast_open_queue_length.is_some()
            || self.connection_balance_config.is_some()
    }

    pub(super) fn read(self, at: &mut Scope<'_>) -> ListenSocket {
        let bound_by_v1 = at.message("deprecated_v1", self.deprecated_v1, |message, at| {
            open! { at, v3::listener::DeprecatedV1 = message; implemented { bind_to_port } }
            bind_to_port
        });
        let is_true = |value: Option<pb::BoolValue>| value.is_none_or(|value| value.value);
        ListenSocket {
            bind_to_port: is_true(bound_by_v1) && is_true(self.bind_to_port),
            enable_reuse_port: is_true(self.enable_reuse_port),
            tcp_backlog_size: self.tcp_backlog_size.map_or(DEFAULT_TCP_BACKLOG_SIZE, |size| size.value),
            tcp_fast_open_queue_length: self.tcp_fast_open_queue_length.map(|length| length.value),
            balance: at.message(
                "connection_balance_config",
                self.connection_balance_config,
                Balance::from_proto,
            ),
            enable_mptcp: self.enable_mptcp,
            freebind: self.freebind.map(|freebind| freebind.value),
            transparent: self.transparent.map(|transparent| transparent.value),
            max_connections_to_accept_per_socket_event: at.within(
                "max_connections_to_accept_per_socket_event",
                self.max_connections_to_accept_per_socket_event,
                1..=u32::MAX,
            ),
        }
    }
}

impl ListenSocket {
    /// Notes what addresses of these kinds do not have, in Envoy's words.
    pub(super) fn check(&self, name: &str, addresses: &[ListenAddress], is_udp: bool, at: &mut Scope<'_>) {
        if self.enable_mptcp {
            check_mptcp(name, addresses, is_udp, at);
        }
        if is_udp && !self.bind_to_port {
            at.error(format!("listener {name}: bind_to_port: false is not supported for UDP listeners"));
        }
    }
}

/// Notes several paths where connections have none.
fn check_mptcp(name: &str, addresses: &[ListenAddress], is_udp: bool, at: &mut Scope<'_>) {
    let mut at = at.field("enable_mptcp");
    if is_udp {
        at.error(format!("listener {name}: enable_mptcp can only be used with TCP listeners"));
    } else if addresses.iter().any(|listen| !matches!(listen.address, Address::Ip(_))) {
        at.error(format!("listener {name}: enable_mptcp can only be used with IP addresses"));
    }
}

impl Balance {
    fn from_proto(message: v3::listener::ConnectionBalanceConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::listener::ConnectionBalanceConfig;
        use v3::listener::connection_balance_config::{BalanceType, CpuLocalityBalance, ExactBalance};
        open! { at, ConnectionBalanceConfig = message; implemented { balance_type } }
        match at.required("balance_type", balance_type)? {
            BalanceType::ExactBalance(message) => {
                let mut at = at.field("exact_balance");
                open! { at, ExactBalance = message; implemented {} }
                Some(Balance::Exact)
            }
            BalanceType::CpuLocalityBalance(message) => {
                let mut at = at.field("cpu_locality_balance");
                open! { at, CpuLocalityBalance = message; implemented {} }
                Some(Balance::CpuLocality)
            }
            BalanceType::ExtendBalance(_) => {
                at.reject(
                    "extend_balance",
                    "there are no extensions that spread connections; exact_balance is served",
                );
                None
            }
        }
    }
}
