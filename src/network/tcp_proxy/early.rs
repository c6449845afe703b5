//! When a host is connected to (`upstream_connect_mode`), and what is read of the client before that
//! (`max_early_data_bytes`).

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::base::io::Io;
use crate::base::timer::Timer;
use crate::http::Ungreeted;
use crate::network::filter::Admission;
use crate::observability::stats::network::TcpProxyStats;

use super::config::ConnectMode;
use super::connecting::{Link, NotConnected};
use super::session::Session;

/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;

/// What a client has sent before there is a host.
#[derive(Debug)]
pub(super) struct Early {
    /// Reading stops when there are more; `None` where nothing is read.
    limit: Option<usize>,
    pub(super) bytes: BytesMut,
    /// The client sends nothing more.
    ended: bool,
}

impl Early {
    /// Whether the client has ended without having sent anything.
    fn is_nothing(&self) -> bool {
        self.ended && self.bytes.is_empty()
    }

    /// Reads what there is, up to the limit; whether there was anything.
    fn poll(&mut self, io: &Io, stats: &TcpProxyStats, cx: &mut Context<'_>) -> bool {
        let before = self.bytes.len();
        while !self.ended && self.limit.is_some_and(|limit| self.bytes.len() <= limit) {
            self.bytes.reserve(READ_SIZE);
            let Poll::Ready(read) = io.poll_read(cx, &mut self.bytes) else { break };
            // That a connection broke shows again when its bytes are passed on.
            let read = read.unwrap_or(0);
            self.ended = read == 0;
            stats.early_data_received_count_total().inc();
            stats.downstream_cx_rx_bytes_total().add(read as u64);
        }
        self.bytes.len() > before
    }
}

impl Session<'_> {
    /// Connects to a host when it is time to, while the client is read; with the stream of the client and what it has
    /// sent.
    pub(super) async fn meet(
        &mut self,
        mut greeting: LocalBoxFuture<'_, Result<Io, Ungreeted>>,
        admission: Option<Admission>,
    ) -> Result<(Link, Io, BytesMut), Option<NotConnected>> {
        let (proxy, encrypted) = (self.proxy, self.info.connection.encrypted);
        let limit = proxy.config.max_early_data_bytes.map(|limit| limit as usize);
        let mut early = Early { limit, bytes: BytesMut::new(), ended: false };
        let (mut link, mut io, may_connect) = (None, None, Cell::new(false));
        let (mut timer, mut idle, idle_timeout) = (Timer::default(), false, self.idle_timeout());
        let mut idle_end = idle_timeout.map(|timeout| Instant::now() + timeout);
        let met = {
            let mut connecting = Box::pin(async {
                self.admit(admission).await;
                poll_fn(|_| if may_connect.get() { Poll::Ready(()) } else { Poll::Pending }).await;
                self.connect().await
            });
            poll_fn(|cx| {
                // First what the connection is admitted by: clusters are chosen by what is noted of it until then.
                loop {
                    if link.is_none()
                        && let Poll::Ready(made) = connecting.poll_unpin(cx)
                    {
                        link = Some(made.map_err(Some)?);
                    }
                    if io.is_none()
                        && let Poll::Ready(greeted) = greeting.poll_unpin(cx)
                    {
                        io = Some(greeted.map_err(|_| None)?);
                    }
                    if let Some(io) = &io
                        && early.poll(io, &proxy.stats, cx)
                    {
                        idle_end = idle_timeout.map(|timeout| Instant::now() + timeout);
                    }
                    let is_time = match proxy.config.connect_mode {
                        ConnectMode::Immediate => true,
                        ConnectMode::OnDownstreamData if early.is_nothing() => return Poll::Ready(Err(None)),
                        ConnectMode::OnDownstreamData => !early.bytes.is_empty(),
                        ConnectMode::OnDownstreamTlsHandshake => !encrypted || io.is_some(),
                    };
                    if may_connect.replace(is_time) == is_time {
                        break;
                    }
                }
                if link.is_some() && io.is_some() {
                    return Poll::Ready(Ok(()));
                }
                idle = timer.poll(idle_end, cx).is_ready();
                if idle { Poll::Ready(Err(None)) } else { Poll::Pending }
            })
            .await
        };
        if idle {
            self.note_idle();
        }
        self.info.bytes_received = early.bytes.len() as u64;
        self.info.downstream_wire.received = self.info.bytes_received;
        met?;
        match (link, io) {
            (Some(link), Some(io)) => Ok((link, io, early.bytes)),
            _ => Err(None),
        }
    }
}
