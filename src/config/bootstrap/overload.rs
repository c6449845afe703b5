//! `envoy.config.overload.v3.OverloadManager`: of all its monitors only the limit of downstream connections.

use envoy_types::pb::envoy::config::overload::v3;
use envoy_types::pb::envoy::extensions::resource_monitors::downstream_connections::v3 as monitor_v3;

use crate::config::extension;
use crate::config::field::{Scope, open};

/// The type of the one resource monitor that is served.
const MONITOR: &str =
    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig";

/// Downstream connections in all, if they are limited.
pub(super) fn max_connections(message: v3::OverloadManager, at: &mut Scope<'_>) -> Option<Option<u64>> {
    open! { at, v3::OverloadManager = message;
        implemented { resource_monitors }
        rejected {
            actions: "the only action is to refuse connections beyond max_active_downstream_connections",
            loadshed_points: "the only action is to refuse connections beyond max_active_downstream_connections",
            buffer_factory_config: "buffers are not counted by account",
        }
        ignored { refresh_interval: "connections are counted as they come and go" }
    }
    Some(at.list("resource_monitors", resource_monitors, monitor).into_iter().next())
}

fn monitor(message: v3::ResourceMonitor, at: &mut Scope<'_>) -> Option<u64> {
    use v3::resource_monitor::ConfigType;
    open! { at, v3::ResourceMonitor = message; implemented { name, config_type } }
    let name = at.required_string("name", name);
    let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
    let type_name = extension::contained_type(&any);
    let mut at = at.field("typed_config");
    if type_name != MONITOR {
        at.error(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; known: {MONITOR}"
        ));
        return None;
    }
    let message = extension::read::<monitor_v3::DownstreamConnectionsConfig>(any, &mut at)?;
    let max = u64::try_from(message.max_active_downstream_connections).ok().filter(|max| *max > 0);
    if max.is_none() {
        at.field("max_active_downstream_connections").violation("value must be greater than 0");
    }
    max
}
