//! Endpoints that make the program do something.

use super::{Action, Drain, Reply, Request};

/// `/quitquitquit`
pub(super) fn quit(request: &Request<'_>) -> Reply {
    act(request, Action::Quit)
}

/// `/healthcheck/fail`
pub(super) fn fail_health_checks(request: &Request<'_>) -> Reply {
    act(request, Action::FailHealthChecks)
}

/// `/healthcheck/ok`
pub(super) fn pass_health_checks(request: &Request<'_>) -> Reply {
    act(request, Action::PassHealthChecks)
}

/// `/reopen_logs`
pub(super) fn reopen_logs(request: &Request<'_>) -> Reply {
    act(request, Action::ReopenLogs)
}

/// `/drain_listeners`
pub(super) fn drain_listeners(request: &Request<'_>) -> Reply {
    let query = &request.query;
    let drain = Drain {
        graceful: query.has("graceful"),
        skip_exit: query.has("skip_exit"),
        inbound_only: query.has("inboundonly"),
    };
    act(request, Action::DrainListeners(drain))
}

/// `/reset_counters`
pub(super) fn reset_counters(request: &Request<'_>) -> Reply {
    request.admin.registry.reset_counters();
    Reply::ok()
}

fn act(request: &Request<'_>, action: Action) -> Reply {
    request.admin.program.act(action);
    Reply::ok()
}
