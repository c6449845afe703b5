//! Endpoints with little to say.

use serde_json::{Map, Value, json};

use super::{Reply, Request, ServerState};

/// `/ready`: 200 while it serves, 503 otherwise.
pub(super) fn ready(request: &Request<'_>) -> Reply {
    let state = request.admin.program.state();
    let status = if state == ServerState::Live { 200 } else { 503 };
    Reply::text(status, format!("{}\n", state.as_str()))
}

/// `/contention`: there are no mutexes whose contention could slow a request.
pub(super) fn contention(_: &Request<'_>) -> Reply {
    let text =
        "Mutex contention tracing is not enabled. To enable, run Envoy with flag --enable-mutex-tracing.";
    Reply::text(200, text)
}

/// `/hot_restart_version`
pub(super) fn hot_restart_version(_: &Request<'_>) -> Reply {
    Reply::text(200, "disabled")
}

/// `/stats/recentlookups`: names are never looked up, so there is nothing to record.
pub(super) fn recent_lookups(_: &Request<'_>) -> Reply {
    let text = "Lookup tracking is not enabled. Use /stats/recentlookups/enable to enable.\n\ntotal: 0\n";
    Reply::text(200, text)
}

/// `/stats/recentlookups/…`: nothing to switch.
pub(super) fn switch_recent_lookups(_: &Request<'_>) -> Reply {
    Reply::ok()
}

/// `/init_dump`: what has still to come; of one kind with `mask`.
pub(super) fn init_dump(request: &Request<'_>) -> Reply {
    let mask = request.query.value("mask");
    let unready = request.admin.program.unready();
    let matching = unready.into_iter().filter(|part| mask.is_none_or(|mask| part.name.contains(mask)));
    let dumps: Vec<Value> =
        matching.map(|part| json!({ "name": part.name, "target_names": part.targets })).collect();
    let mut dump = Map::new();
    if !dumps.is_empty() {
        dump.insert("unready_targets_dumps".to_owned(), dumps.into());
    }
    if dump.is_empty() {
        Reply::json_pieces(std::iter::once("{}\n".into()))
    } else {
        Reply::json(&dump.into())
    }
}
