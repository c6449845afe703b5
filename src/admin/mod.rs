//! The admin interface: Envoy's endpoints over HTTP/1.1, on the control thread.
//!
//! [`ENDPOINTS`] is the table of what there is; each endpoint has a file. What they show and do comes through
//! [`Program`], which whoever runs the process implements. Long answers are made piece by piece as the client
//! takes them, and the control thread does other work in between.
//!
//! **Invariant:** no endpoint waits for a worker or stops one.

mod actions;
mod certs;
mod clusters;
mod config_dump;
mod fixed;
mod help;
mod listeners;
mod log;
mod logging;
mod memory;
mod pattern;
mod profilers;
mod program;
mod query;
mod reply;
mod runtime;
mod serve;
mod server_info;
mod stats;
#[cfg(test)]
mod tests;
mod traffic;
mod unsupported;

use std::rc::Rc;
use std::time::Instant;

use serde_json::Value;

use crate::observability::logging::Levels;
use crate::observability::stats::Registry;

pub use help::ENDPOINTS;
pub use log::{Ends, Logs};
pub use memory::usage as memory_usage;
pub use program::{
    Action, ClusterStatus, Content, Drain, HostStatus, ListenerAddress, ListenerStatus, OutlierStatus,
    Program, Resource, ResourceKind, ResourceState, RuntimeStatus, ServerState, Thresholds, UnreadyTargets,
    Unsupported, UpdateFailure,
};
pub use query::Query;
pub use reply::{Body, Reply};
pub use serve::serve;
pub use traffic::Traffic;

/// What the endpoints need.
pub struct Admin {
    /// What they show and do.
    pub program: Rc<dyn Program>,
    /// The statistics.
    pub registry: Registry,
    /// The log's thresholds.
    pub levels: Levels,
    /// `command_line_options` of `/server_info`: `envoy.admin.v3.CommandLineOptions` in JSON.
    pub command_line_options: Value,
    /// `node` of `/server_info`: `envoy.config.core.v3.Node` in JSON.
    pub node: Value,
    /// Paths that are served; all when empty. `Admin.allow_paths` of the bootstrap.
    pub allow_paths: Vec<crate::config::matcher::StringMatcher>,
    /// Whether a look at the statistics ends the interval of histograms: `stats_flush_on_admin` of the bootstrap.
    pub merges_histograms: bool,
    /// When the process began.
    pub started: Instant,
    /// What it counts of itself.
    pub traffic: Traffic,
    /// Its access logs.
    pub logs: Logs,
}

/// A request to an endpoint.
pub struct Request<'a> {
    /// What follows the `?` of its target, and the parameters of a form in its body.
    pub query: Query,
    /// What the endpoints need.
    pub admin: &'a Admin,
}

/// An entry of [`ENDPOINTS`].
pub struct Endpoint {
    /// Its path.
    pub path: &'static str,
    /// Whether it changes something, so that it must be asked with POST.
    pub post: bool,
    /// A line for `/help`.
    pub help: &'static str,
    /// Its parameters and what they mean.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What it answers.
    pub answer: fn(&Request<'_>) -> Reply,
}

impl Admin {
    /// Answers a request.
    pub fn answer(&self, method: &str, target: &str, form: Option<&str>) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.split('#').next().unwrap_or(path);
        if !self.allow_paths.is_empty() && !self.allow_paths.iter().any(|one| one.matches(path.as_bytes())) {
            return Reply::text(403, format!("request to path {path} not allowed"));
        }
        let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
            return Reply::text(404, format!("invalid path. {}", help::text()));
        };
        if endpoint.post && method != "POST" {
            return Reply::text(405, format!("Method {method} not allowed, POST required."));
        }
        let mut query = Query::parse(query);
        if let Some(form) = form {
            query.extend(form);
        }
        (endpoint.answer)(&Request { query, admin: self })
    }
}
