//! Resources for tests, written in YAML.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use dragoman_proto::{encode, tree};

use super::listeners::Serve;
use super::push::{Body, Change, Kind};
use super::resources::Record;
use crate::config;
use crate::config::extension::ExtensionConfig;
use crate::config::extension::Extensions;
use crate::config::extension_configs::ExtensionConfigs;
use crate::config::field::Notes;
use crate::config::listener::DiscoveredChain;
use crate::route::Table;

/// Remembers what serves; cannot bind to port 666, cannot listen on port 667, and takes no filter chains on port 668.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) serving: BTreeMap<String, Arc<config::Listener>>,
    pub(super) configs: Arc<ExtensionConfigs>,
    /// How often filter chains came to a listener or went.
    pub(super) composed: usize,
}

impl Serve for Recorder {
    fn workers(&self) -> u64 {
        1
    }

    type Prepared = Arc<config::Listener>;

    fn prepare(
        &mut self,
        config: Arc<config::Listener>,
        _: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String> {
        match config.addresses[0].address.to_string().ends_with(":666") {
            true => Err("cannot bind".to_owned()),
            false => Ok(config),
        }
    }

    fn compose(
        &mut self,
        config: Arc<config::Listener>,
        warming: Option<&Self::Prepared>,
    ) -> Result<Self::Prepared, String> {
        self.composed += 1;
        match config.addresses[0].address.to_string().ends_with(":668") {
            true => Err("cannot be made".to_owned()),
            false => self.prepare(config, warming),
        }
    }

    fn serve(&mut self, listener: Self::Prepared) -> Result<(), String> {
        if listener.addresses[0].address.to_string().ends_with(":667") {
            return Err("cannot listen".to_owned());
        }
        self.serving.insert(listener.name.clone(), listener);
        Ok(())
    }

    fn check(&self, _: &ExtensionConfig) -> Result<(), String> {
        Ok(())
    }

    fn configure(&mut self, configs: &Arc<ExtensionConfigs>) {
        self.configs = Arc::clone(configs);
    }

    fn remove(&mut self, name: &str) {
        assert!(self.serving.remove(name).is_some(), "{name} does not serve");
    }
}

/// A resource as if it had just come.
pub(super) fn change<K: Kind>(name: &str, yaml: &str) -> Change<K::Value> {
    let document = tree::parse_yaml(yaml).expect("the test's YAML");
    let encoded =
        encode(&document.root, K::MESSAGE, &encode::Options::default()).expect("the test's message");
    let body = match K::parse(&encoded.bytes, &Extensions::BUILT_IN) {
        Ok((value, _)) => Body::New(Arc::new(value)),
        Err(errors) => Body::Bad(errors),
    };
    let record = Record {
        version: "1".to_owned(),
        value: Bytes::from(encoded.bytes),
        last_updated: SystemTime::UNIX_EPOCH,
        notes: Notes::new(),
    };
    Change { name: name.to_owned(), record, body }
}

/// A route table whose only route goes to `cluster`.
pub(super) fn table(name: &str, cluster: &str, validate: bool) -> Change<Table> {
    change::<Table>(
        name,
        &format!(
            "name: {name}\nvalidate_clusters: {validate}\nvirtual_hosts:\n- name: all\n  domains: ['*']\n  \
             routes:\n  - match: {{prefix: /}}\n    route: {{cluster: {cluster}}}\n"
        ),
    )
}

/// A listener on a port; `routes` is a field of its connection manager.
pub(super) fn listener(name: &str, port: u16, routes: &str) -> Change<config::Listener> {
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    change::<config::Listener>(
        name,
        &format!(
            "name: {name}\naddress: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\nfilter_chains:\n\
             - filters:\n  - name: http\n    typed_config:\n      '@type': {manager}\n      stat_prefix: web\n      \
             {routes}\n      http_filters: [{{name: router, typed_config: {{'@type': {router}}}}}]\n"
        ),
    )
}

/// A filter chain that is discovered; `routes` is a field of its connection manager.
pub(super) fn chain(name: &str, routes: &str) -> Change<DiscoveredChain> {
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let filters = format!("http_filters: [{{name: router, typed_config: {{'@type': {router}}}}}]");
    let manager = format!("{{'@type': {manager}, stat_prefix: web, {routes}, {filters}}}");
    change::<DiscoveredChain>(
        name,
        &format!("name: {name}\nfilters: [{{name: http, typed_config: {manager}}}]"),
    )
}

/// The field of a connection manager that takes its table from RDS.
pub(super) fn rds(table: &str) -> String {
    format!("rds: {{route_config_name: {table}, config_source: {{ads: {{}}, resource_api_version: V3}}}}")
}

/// The field of a connection manager with a table of its own.
pub(super) fn inline(cluster: &str) -> String {
    format!(
        "route_config: {{virtual_hosts: [{{name: all, domains: ['*'], \
         routes: [{{match: {{prefix: /}}, route: {{cluster: {cluster}}}}}]}}]}}"
    )
}
