//! `envoy.filters.network.direct_response`: answers every connection with the same bytes, and closes it.

use std::sync::Arc;

use bytes::BytesMut;
use envoy_types::pb::envoy::extensions::filters::network::direct_response::v3;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::config::data_source;
use crate::config::extension::Extension;
use crate::config::field::{Scope, open};

use super::filter::{Connection, Context, Made, Terminal};
use super::read;
use super::way::Way;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.direct_response",
    type_name: "envoy.extensions.filters.network.direct_response.v3.Config",
    terminal: true,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.direct_response.v3.Config`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// What is sent; nothing where it is empty.
    response: Arc<[u8]>,
}

impl Config {
    fn from_proto(message: v3::Config, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Config = message; implemented { response } }
        let response = match response {
            Some(source) => data_source::read(source, None, &mut at.field("response"))?,
            None => Vec::new(),
        };
        Some(Config { response: response.into() })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, _: &Context<'_>) -> Result<Made, String> {
    Ok(Made::Terminal(Arc::new(config.clone())))
}

impl Terminal for Config {
    fn serve<'c>(&'c self, connection: Connection<'c>) -> LocalBoxFuture<'c, ()> {
        async move {
            let Connection { greeting, info, .. } = connection;
            let Ok(io) = greeting.await else { return };
            info.response_code_details = "direct_response".into();
            let mut way = Way::new(None);
            way.put(&self.response);
            way.end();
            let sent = std::future::poll_fn(|cx| way.poll(&io, &io, &mut BytesMut::new(), cx)).await;
            info.bytes_sent = way.written;
            if let Err(broken) = sent {
                tracing::debug!(target: "connection", ?broken, "a client did not take its response");
            }
        }
        .boxed_local()
    }
}
