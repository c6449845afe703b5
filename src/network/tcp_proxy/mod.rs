//! `envoy.filters.network.tcp_proxy`: passes the bytes of a connection to a host and back.
//!
//! - `config`: how it is configured, `route`: where connections go, `tlvs`: what hosts are told of them;
//! - `session`: one connection's life;
//! - `connecting`: where it goes, and the connection there; `balance`: which host; `early`: when, and what is read
//!   before;
//! - `relay`: the bytes; `direct`: between two connections; `flushing`: what is left for the host when the client has gone;
//!   `tunnel`: through a stream of HTTP, `tunneling`: how that is asked for.

mod balance;
mod config;
mod connecting;
mod direct;
mod early;
mod flushing;
mod relay;
mod route;
mod session;
mod tlvs;
mod tunnel;
mod tunneling;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::config::extension::Extension;
use crate::config::on_demand_cds::OnDemandCds;
use crate::observability::access_log::AccessLog;
use crate::observability::stats::network::{OnDemandStats, TcpProxyStats};

use super::filter::{Connection, Context, Made, Terminal};
use super::read;

pub(super) use config::Config;
use session::Session;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.tcp_proxy",
    type_name: "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    terminal: true,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let prefix = format!("tcp.{}.", config.stat_prefix);
    let stats = TcpProxyStats::new(context.registry, &prefix);
    let on_demand = config.on_demand.clone().map(|source| OnDemand {
        source,
        stats: OnDemandStats::new(context.registry, &prefix),
    });
    let access_log =
        AccessLog::build(&config.access_log, context.sinks).map_err(|error| error.to_string())?;
    Ok(Made::Terminal(Arc::new(TcpProxy {
        config: config.clone(),
        stats,
        on_demand,
        access_log,
        buffer_limit_bytes: context.buffer_limit_bytes,
    })))
}

/// Clusters that come when a connection wants them.
#[derive(Debug)]
struct OnDemand {
    source: Arc<OnDemandCds>,
    stats: OnDemandStats,
}

/// A TCP proxy in force.
#[derive(Debug)]
struct TcpProxy {
    config: Config,
    /// `tcp.<stat_prefix>.`
    stats: TcpProxyStats,
    on_demand: Option<OnDemand>,
    access_log: Box<[AccessLog]>,
    /// `per_connection_buffer_limit_bytes` of the listener.
    buffer_limit_bytes: Option<u32>,
}

impl Terminal for TcpProxy {
    fn serve<'c>(&'c self, connection: Connection<'c>) -> LocalBoxFuture<'c, ()> {
        let Connection { greeting, admission, info, worker, drain, log_listener } = connection;
        async move {
            Session::new(self, info, worker, drain, log_listener).run(greeting, admission).await;
        }
        .boxed_local()
    }
}
