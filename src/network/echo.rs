//! `envoy.filters.network.echo`: sends back what comes.

use std::future::poll_fn;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::echo::v3;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};

use super::filter::{Connection, Context, Made, Terminal};
use super::read;
use super::way::Way;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.echo",
    type_name: "envoy.extensions.filters.network.echo.v3.Echo",
    terminal: true,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.echo.v3.Echo`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config;

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::Echo, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Echo = message; implemented {} }
        Some(Config)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(_: &Config, context: &Context<'_>) -> Result<Made, String> {
    Ok(Made::Terminal(Arc::new(Echo { buffer_limit_bytes: context.buffer_limit_bytes })))
}

#[derive(Debug)]
struct Echo {
    buffer_limit_bytes: Option<u32>,
}

impl Terminal for Echo {
    fn serve<'c>(&'c self, connection: Connection<'c>) -> LocalBoxFuture<'c, ()> {
        async move {
            let Connection { greeting, info, worker, .. } = connection;
            let Ok(io) = greeting.await else { return };
            let mut way = Way::new(self.buffer_limit_bytes);
            poll_fn(|cx| {
                let polled = way.poll(&io, &io, &mut worker.scratch(), cx);
                (info.bytes_received, info.bytes_sent) = (way.read, way.written);
                // Who has broken the connection need not be told of it.
                polled.map(|_| ())
            })
            .await;
        }
        .boxed_local()
    }
}
