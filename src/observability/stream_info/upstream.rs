//! Where a request went: the cluster, the host and the connection.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::endpoint::Locality;
use crate::config::metadata::Metadata;
use crate::observability::stats::MembershipStats;

use super::{Address, Notes, Protocol, TlsInfo};

/// What is told of a cluster, made once for all its requests.
#[derive(Debug, Default)]
pub struct ClusterInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its name as observability shows it (`alt_stat_name`); the name when `None`.
    pub observability_name: Option<Arc<str>>,
    /// What is configured of it beside what it does; `None` where that is nothing.
    pub metadata: Option<Arc<Metadata>>,
    /// The counts of its hosts; `None` where there is no cluster.
    pub membership: Option<MembershipStats>,
}

impl ClusterInfo {
    /// A cluster of which there is only a name.
    pub fn named(name: &str) -> Arc<Self> {
        Arc::new(ClusterInfo { name: name.into(), ..ClusterInfo::default() })
    }

    /// Its name as observability shows it.
    pub fn shown(&self) -> &str {
        self.observability_name.as_ref().unwrap_or(&self.name)
    }
}

/// Where a request went.
#[derive(Clone, Debug)]
pub struct UpstreamInfo {
    /// The cluster; one without a name if there is none of the route that was found last.
    pub cluster: Arc<ClusterInfo>,
    /// The host's address; `None` before one is chosen.
    pub host: Option<Address>,
    /// The host's name; empty if it has none.
    pub hostname: Arc<str>,
    /// Our end of the connection; `None` before it is there.
    pub local_address: Option<Address>,
    /// The host's end of the connection where that is another address than [`host`](Self::host).
    pub remote_address: Option<Address>,
    /// Whether `%UPSTREAM_REMOTE_ADDRESS%` tells of that end; of tunnels for datagrams it does not, as in Envoy.
    pub tells_remote: bool,
    /// The connection's protocol; `None` before it is there.
    pub protocol: Option<Protocol>,
    /// Number of the connection; `None` before it is there.
    pub connection_id: Option<u64>,
    /// Why connecting failed.
    pub transport_failure_reason: Option<Cow<'static, str>>,
    /// Why the upstream connection was closed under the request (`%UPSTREAM_DETECTED_CLOSE_TYPE%` and such).
    pub local_close_reason: Option<Cow<'static, str>>,
    /// How long the request waited for a connection, from the moment it asked for one.
    pub pool_ready: Option<Duration>,
    /// What is known of the connection's TLS; `None` where it is plain or there is none.
    pub tls: Option<Rc<TlsInfo>>,
    /// The filter state that was shared with the connection; `None` where none was or there is no connection.
    pub state: Option<Rc<Notes>>,
    /// What is configured of the host beside what it does; `None` where that is nothing.
    pub host_metadata: Option<Arc<Metadata>>,
    /// What is configured of the host's locality, likewise.
    pub locality_metadata: Option<Arc<Metadata>>,
    /// Where the host is; `None` where it does not say.
    pub locality: Option<Arc<Locality>>,
}

impl UpstreamInfo {
    /// What is known before a host of the cluster is chosen.
    pub fn of(cluster: Arc<ClusterInfo>) -> Self {
        UpstreamInfo {
            cluster,
            host: None,
            hostname: Arc::default(),
            local_address: None,
            remote_address: None,
            tells_remote: true,
            protocol: None,
            connection_id: None,
            transport_failure_reason: None,
            local_close_reason: None,
            pool_ready: None,
            tls: None,
            state: None,
            host_metadata: None,
            locality_metadata: None,
            locality: None,
        }
    }

    /// Whether there was a connection to the host, or datagrams were on their way to it without one.
    pub fn is_connected(&self) -> bool {
        self.connection_id.is_some() || self.remote_address.is_some()
    }
}
