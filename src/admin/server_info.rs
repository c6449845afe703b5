//! `/server_info`: `envoy.admin.v3.ServerInfo`.

use serde_json::json;

use super::{Reply, Request};
use crate::base::version::build_label;

/// Version, state, age, command line and node.
pub(super) fn server_info(request: &Request<'_>) -> Reply {
    let admin = request.admin;
    let uptime = format!("{}s", admin.started.elapsed().as_secs());
    Reply::json(&json!({
        "version": build_label(),
        "state": admin.program.state().as_str(),
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
        "hot_restart_version": "disabled",
        "command_line_options": admin.command_line_options,
        "node": admin.node,
    }))
}
