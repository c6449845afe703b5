//! What comes on the UDP sockets of a listener, at one worker.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::UdpSocket;

use crate::config;
use crate::config::address::Address;
use crate::config::extension_configs::ExtensionConfigs;
use crate::http::Worker;
use crate::observability::access_log::Sinks;
use crate::observability::stats::Registry;
use crate::observability::stats::udp::UdpListenerStats;
use crate::udp::{Datagrams, Origin, Proxy};

use super::manager::Listener;

/// What all workers share of what the datagrams of a listener are given to.
#[derive(Clone, Debug)]
pub(super) struct Served {
    origin: Arc<Origin>,
    proxy: Arc<Proxy>,
}

impl Served {
    /// What serves a listener on so many workers, whose statistics have this prefix; `None` where it is none over UDP.
    ///
    /// # Errors
    /// Why it cannot be served.
    pub(super) fn of(
        config: &config::Listener,
        workers: usize,
        registry: &Registry,
        sinks: &Sinks,
        configs: &ExtensionConfigs,
        prefix: &str,
    ) -> Result<Option<Self>, String> {
        let Some(udp) = &config.udp else { return Ok(None) };
        if !config.socket.enable_reuse_port && workers > 1 {
            return Err("Listening on UDP when concurrency is > 1 without the SO_REUSEPORT socket option results in \
                        unstable packet proxying. Configure the reuse_port listener option or set concurrency = 1."
                .to_owned());
        }
        let Some(filter) = &udp.filter else { return Err("no filter takes its datagrams".to_owned()) };
        let proxy = Proxy::new(filter, registry, sinks, configs)?;
        let origin = Origin {
            name: config.name.as_str().into(),
            max_rx_datagram_bytes: udp.max_rx_datagram_bytes,
            stats: UdpListenerStats::new(registry, &format!("{prefix}udp.")),
        };
        Ok(Some(Served { origin: Arc::new(origin), proxy: Arc::new(proxy) }))
    }

    /// What datagrams are given to.
    pub(super) fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }
}

/// A worker's sockets of a listener over UDP, and what their datagrams are given to.
#[derive(Debug)]
pub(super) struct UdpSlot {
    listener: Arc<Listener>,
    sockets: Vec<(Rc<UdpSocket>, SocketAddr)>,
    datagrams: Option<Datagrams>,
}

impl UdpSlot {
    /// Takes the sockets of the worker with this number; nothing comes from them yet.
    pub(super) fn open(index: usize, listener: &Arc<Listener>) -> Self {
        let mut sockets = Vec::new();
        for bound in &listener.sockets.bound {
            let (Some(socket), Address::Ip(address)) = (bound.take(index), &bound.address) else {
                continue;
            };
            match UdpSocket::from_std(socket.into()) {
                Ok(socket) => sockets.push((Rc::new(socket), *address)),
                Err(error) => tracing::error!(target: "main", %error, "cannot listen on {address}"),
            }
        }
        UdpSlot { listener: Arc::clone(listener), sockets, datagrams: None }
    }

    /// What its datagrams are given to now.
    pub(super) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// Gives what comes from now on to this listener. The sessions of that before end.
    pub(super) fn serve(&mut self, listener: Arc<Listener>, worker: &Rc<Worker>) {
        self.datagrams = None;
        if let Some(Served { origin, proxy }) = listener.datagrams.clone() {
            self.datagrams = Some(Datagrams::serve(
                origin,
                proxy,
                worker,
                listener.process.clone(),
                self.sockets.iter().cloned(),
            ));
        }
        self.listener = listener;
    }
}
