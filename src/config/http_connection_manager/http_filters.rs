//! Chains of HTTP filters: of a connection manager and its upgrades, of a router and of a cluster.

use std::collections::HashSet;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::google::protobuf as pb;

use super::{HttpFilter, UpgradeConfig};
use crate::config::extension::{self, Extension, ExtensionConfig};
use crate::config::extension_source::{ExtensionConfigSource, FilterConfigType, FilterKind};
use crate::config::field::{Scope, open};
use crate::config::listener::check_terminal;
use crate::config::upstream_codec;

/// Whose filters they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Side {
    /// A connection manager's, which end in a router.
    Downstream,
    /// A router's, which end in a codec.
    Router,
    /// A cluster's, likewise.
    Cluster,
}

impl Side {
    fn known(self, at: &Scope<'_>) -> &'static [Extension] {
        match self {
            Side::Downstream => at.extensions().http_filters,
            Side::Router | Side::Cluster => at.extensions().upstream_http_filters,
        }
    }

    fn kind(self) -> FilterKind {
        match self {
            Side::Downstream => FilterKind::Http,
            Side::Router | Side::Cluster => FilterKind::UpstreamHttp,
        }
    }

    /// Envoy's name for a chain of them.
    fn chain(self) -> &'static str {
        match self {
            Side::Downstream => "http",
            Side::Router => "router upstream http",
            Side::Cluster => "upstream http",
        }
    }
}

/// The filters in this field, the last of which has to be a terminal one if there is any.
pub(in crate::config) fn from_proto(
    side: Side,
    field: &str,
    messages: Vec<v3::HttpFilter>,
    at: &mut Scope<'_>,
) -> Vec<HttpFilter> {
    let known = side.known(at);
    if side == Side::Cluster && messages.last().is_some_and(|last| !is_codec(last)) {
        at.field(field).error(format!(
            "The codec filter is the only valid terminal upstream HTTP filter, use '{}'",
            upstream_codec::TYPE_NAME
        ));
    }
    let last = messages.len().saturating_sub(1);
    let mut filters = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let (mut at, is_last) = (at.index(field, index), index == last);
        let Some(filter) = http_filter(side, message, is_last, &mut at) else { continue };
        let terminal = match &filter.config {
            FilterConfigType::Typed(config) => {
                let extension = extension::find(config.type_name, known);
                let terminal = extension.is_some_and(|extension| extension.terminal);
                match side {
                    Side::Router if is_last && !terminal => at.error(format!(
                        "Error: non-terminal filter named {} of type {} is the last filter in a {} filter chain. When \
                         upstream_http_filters are specified, they must explicitly end with an UpstreamCodec filter.",
                        config.name,
                        config.type_name,
                        side.chain()
                    )),
                    // Its list was looked at as a whole.
                    Side::Cluster if !terminal => {}
                    _ => check_terminal(config, terminal, is_last, side.chain(), &mut at),
                }
                terminal
            }
            // What comes is checked when it comes.
            FilterConfigType::Discovered(_) => is_last,
        };
        if terminal && is_last && filter.disabled {
            at.error(format!(
                "Error: the last (terminal) filter ({}) in the chain cannot be disabled by default.",
                filter.name
            ));
        }
        filters.push(filter);
    }
    filters
}

/// Nothing if it is an unknown filter that is optional.
fn http_filter(side: Side, message: v3::HttpFilter, is_last: bool, at: &mut Scope<'_>) -> Option<HttpFilter> {
    use v3::http_filter::ConfigType;
    open! { at, v3::HttpFilter = message; implemented { name, config_type, is_optional, disabled } }
    let name = at.required_string("name", name);
    let known = side.known(at);
    let any = match config_type {
        Some(ConfigType::TypedConfig(any)) => any,
        Some(ConfigType::ConfigDiscovery(source)) => {
            let at = &mut at.field("config_discovery");
            let source = ExtensionConfigSource::from_proto(&name, source, known, is_last, side.kind(), at)?;
            return Some(HttpFilter {
                name,
                config: FilterConfigType::Discovered(Arc::new(source)),
                disabled,
            });
        }
        None => pb::Any::default(),
    };
    let type_name = extension::contained_type(&any);
    let is_known = extension::find(&type_name, known).is_some();
    if is_optional && !is_known {
        at.pass_over();
        at.note(format!("ignored: no filter is known for '{name}', which is optional"));
        return None;
    }
    if !is_known && extension::find(&type_name, at.extensions().http_filters).is_some() {
        let known: Vec<_> = known.iter().map(|extension| extension.type_name).collect();
        at.field("typed_config").error(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; behind the router \
             there may be: {}",
            known.join(", ")
        ));
        return None;
    }
    let config = ExtensionConfig::from_any(&name, any, known, &mut at.field("typed_config"))?;
    Some(HttpFilter { name, config: FilterConfigType::Typed(config), disabled })
}

/// Whether a filter sends requests to hosts.
fn is_codec(message: &v3::HttpFilter) -> bool {
    match &message.config_type {
        Some(v3::http_filter::ConfigType::TypedConfig(any)) => {
            extension::contained_type(any) == upstream_codec::TYPE_NAME
        }
        Some(v3::http_filter::ConfigType::ConfigDiscovery(_)) | None => false,
    }
}

/// Upgrades served.
pub(super) fn upgrade_configs(
    messages: Vec<v3::http_connection_manager::UpgradeConfig>,
    at: &mut Scope<'_>,
) -> Vec<UpgradeConfig> {
    let mut seen = HashSet::new();
    at.list("upgrade_configs", messages, |message, at| {
        open! { at, v3::http_connection_manager::UpgradeConfig = message;
            implemented { upgrade_type, enabled, filters }
        }
        let lower_case = upgrade_type.to_ascii_lowercase();
        if !seen.insert(lower_case.clone()) {
            at.error(format!("Error: multiple upgrade configs with the same name: '{upgrade_type}'"));
        }
        Some(UpgradeConfig {
            upgrade_type: lower_case,
            enabled: enabled.is_none_or(|enabled| enabled.value),
            filters: (!filters.is_empty()).then(|| from_proto(Side::Downstream, "filters", filters, at)),
        })
    })
}
