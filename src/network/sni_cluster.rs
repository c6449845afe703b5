//! `envoy.filters.network.sni_cluster`: connections go to the cluster that has the name which the client asked for (SNI).

use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::sni_cluster::v3;

use crate::config::extension::Extension;
use crate::config::field::{Scope, open};
use crate::http::filter_state::CLUSTER;
use crate::observability::stream_info::StateObject;

use super::filter::{Context, Filter, Guest, Made, Step};
use super::read;

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.network.sni_cluster",
    type_name: "envoy.extensions.filters.network.sni_cluster.v3.SniCluster",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// `envoy.extensions.filters.network.sni_cluster.v3.SniCluster`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Config;

impl Config {
    #[expect(clippy::unnecessary_wraps, reason = "what reads a message may refuse it")]
    fn from_proto(message: v3::SniCluster, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::SniCluster = message; implemented {} }
        Some(Config)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(_: &Config, _: &Context<'_>) -> Result<Made, String> {
    Ok(Made::Filter(Arc::new(Config)))
}

impl Filter for Config {
    fn accepted(&self, guest: &Rc<Guest>) -> Step {
        let name = &guest.info.requested_server_name;
        if !name.is_empty() {
            guest.info.note(|notes| notes.set_state(CLUSTER, StateObject::Text(name.as_bytes().into())));
        }
        Step::Pass
    }
}
