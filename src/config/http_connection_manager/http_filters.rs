//! HTTP filters of a connection manager, and its upgrades.

use std::collections::HashSet;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;
use envoy_types::pb::google::protobuf as pb;

use super::{FilterConfigType, HttpFilter, UpgradeConfig};
use crate::config::extension::{self, ExtensionConfig};
use crate::config::extension_source::ExtensionConfigSource;
use crate::config::field::{Scope, open};
use crate::config::listener::check_terminal;

/// The filters in this field, the last of which has to be a terminal one if there is any.
pub(super) fn from_proto(field: &str, messages: Vec<v3::HttpFilter>, at: &mut Scope<'_>) -> Vec<HttpFilter> {
    let known = at.extensions().http_filters;
    let last = messages.len().saturating_sub(1);
    let mut filters = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let (mut at, is_last) = (at.index(field, index), index == last);
        let Some(filter) = http_filter(message, is_last, &mut at) else { continue };
        let terminal = match &filter.config {
            FilterConfigType::Typed(config) => {
                let extension = extension::find(config.type_name, known);
                let terminal = extension.is_some_and(|extension| extension.terminal);
                check_terminal(config, terminal, is_last, "http", &mut at);
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
fn http_filter(message: v3::HttpFilter, is_last: bool, at: &mut Scope<'_>) -> Option<HttpFilter> {
    use v3::http_filter::ConfigType;
    open! { at, v3::HttpFilter = message; implemented { name, config_type, is_optional, disabled } }
    let name = at.required_string("name", name);
    let known = at.extensions().http_filters;
    let any = match config_type {
        Some(ConfigType::TypedConfig(any)) => any,
        Some(ConfigType::ConfigDiscovery(source)) => {
            let at = &mut at.field("config_discovery");
            let source = ExtensionConfigSource::from_proto(&name, source, known, is_last, at)?;
            return Some(HttpFilter {
                name,
                config: FilterConfigType::Discovered(Arc::new(source)),
                disabled,
            });
        }
        None => pb::Any::default(),
    };
    if is_optional && extension::find(&extension::contained_type(&any), known).is_none() {
        at.note(format!("ignored: no filter is known for '{name}', which is optional"));
        return None;
    }
    let config = ExtensionConfig::from_any(&name, any, known, &mut at.field("typed_config"))?;
    Some(HttpFilter { name, config: FilterConfigType::Typed(config), disabled })
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
            filters: (!filters.is_empty()).then(|| from_proto("filters", filters, at)),
        })
    })
}
