//! `envoy.config.overload.v3.OverloadManager`: the limit of connections over all listeners, which is all of it that is
//! served.

use envoy_types::pb::envoy::config::overload::v3;
use envoy_types::pb::envoy::extensions::resource_monitors::downstream_connections::v3::DownstreamConnectionsConfig;

use crate::config::extension;
use crate::config::field::{Scope, open};

/// The one monitor that there is.
const MAX_CONNECTIONS: &str =
    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig";

/// Why actions are refused: the limit of connections, which is no trigger, has none.
const NOTHING_SHED: &str = "load is not shed; only the number of downstream connections is limited";

/// How many downstream connections may be open at a time; `None` when nothing limits them.
pub(super) fn max_connections(message: v3::OverloadManager, at: &mut Scope<'_>) -> Option<u64> {
    open! { at, v3::OverloadManager = message;
        implemented { resource_monitors }
        rejected {
            actions: NOTHING_SHED,
            loadshed_points: NOTHING_SHED,
        }
        ignored {
            refresh_interval: "connections are counted as they come and go",
            buffer_factory_config: "it concerns how memory is accounted for",
        }
    }
    if resource_monitors.is_empty() {
        at.field("resource_monitors").violation("value must contain at least 1 item(s)");
    }
    let monitors = at.list("resource_monitors", resource_monitors, monitor);
    if monitors.len() > 1 {
        at.error("Duplicate resource monitor envoy.resource_monitors.global_downstream_max_connections");
    }
    monitors.first().copied()
}

fn monitor(message: v3::ResourceMonitor, at: &mut Scope<'_>) -> Option<u64> {
    use v3::resource_monitor::ConfigType;
    open! { at, v3::ResourceMonitor = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
    let mut at = at.field("typed_config");
    let type_name = extension::contained_type(&any);
    if type_name != MAX_CONNECTIONS {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {MAX_CONNECTIONS}"
        ));
        return None;
    }
    let message = extension::read(any, &mut at)?;
    open! { at, DownstreamConnectionsConfig = message; implemented { max_active_downstream_connections } }
    let max = u64::try_from(max_active_downstream_connections).ok().filter(|max| *max > 0);
    if max.is_none() {
        at.field("max_active_downstream_connections").violation("value must be greater than 0");
    }
    max
}
