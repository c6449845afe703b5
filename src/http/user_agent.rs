//! `add_user_agent`: what hosts are told of this proxy, and which user agents its connections have.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;

use crate::base::headers::{Headers, Known};
use crate::config::bootstrap::Node;
use crate::observability::stats::Registry;
use crate::observability::stats::http::UserAgentStats;

/// What the connections of a connection manager know of user agents.
#[derive(Debug)]
pub(super) struct UserAgents {
    node: Box<str>,
    cluster: Box<str>,
    registry: Registry,
    /// `http.<stat_prefix>.user_agent.`
    prefix: Box<str>,
    /// Made by the first of their connections, as in Envoy.
    ios: OnceLock<UserAgentStats>,
    android: OnceLock<UserAgentStats>,
}

/// The user agent of a connection, which is that of its first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UserAgent {
    /// No request has come, or user agents are not counted.
    #[default]
    Unknown,
    /// None that is counted.
    Other,
    /// `iOS` is a part of its name.
    Ios,
    /// `android` is a part of its name.
    Android,
}

impl UserAgent {
    fn of(headers: &Headers) -> Self {
        let value = headers.get(Known::UserAgent).unwrap_or_default();
        let has = |word: &str| memchr::memmem::find(value, word.as_bytes()).is_some();
        match () {
            () if has("iOS") => UserAgent::Ios,
            () if has("android") => UserAgent::Android,
            () => UserAgent::Other,
        }
    }
}

impl UserAgents {
    pub(super) fn new(node: &Node, registry: &Registry, prefix: &str) -> Self {
        UserAgents {
            node: node.id.as_str().into(),
            cluster: node.cluster.as_str().into(),
            registry: registry.clone(),
            prefix: format!("{prefix}user_agent.").into(),
            ios: OnceLock::new(),
            android: OnceLock::new(),
        }
    }

    /// Tells hosts who forwards the request.
    pub(super) fn introduce(&self, headers: &mut Headers) {
        headers.set(Known::XEnvoyDownstreamServiceCluster, self.cluster.as_bytes());
        if headers.get(Known::UserAgent).is_none_or(<[u8]>::is_empty) {
            headers.set(Known::UserAgent, self.cluster.as_bytes());
        }
        if !self.node.is_empty() {
            headers.set(Known::XEnvoyDownstreamServiceNode, self.node.as_bytes());
        }
    }

    /// Counts a request, and its connection if it is the first on it.
    pub(super) fn count(&self, agent: &Cell<UserAgent>, headers: &Headers) {
        let first = agent.get() == UserAgent::Unknown;
        if first {
            agent.set(UserAgent::of(headers));
        }
        if let Some(stats) = self.stats(agent.get()) {
            if first {
                stats.downstream_cx_total().inc();
            }
            stats.downstream_rq_total().inc();
        }
    }

    /// Counts a connection that its client ended while requests were served.
    pub(super) fn count_cut_off(&self, agent: UserAgent) {
        if let Some(stats) = self.stats(agent) {
            stats.downstream_cx_destroy_remote_active_rq().inc();
        }
    }

    /// Counts the end of a connection that was open for so long.
    pub(super) fn count_end(&self, agent: UserAgent, open: Duration) {
        if let Some(stats) = self.stats(agent) {
            stats.downstream_cx_length_ms().record(open.as_millis() as u64);
        }
    }

    fn stats(&self, agent: UserAgent) -> Option<&UserAgentStats> {
        let (cell, kind) = match agent {
            UserAgent::Unknown | UserAgent::Other => return None,
            UserAgent::Ios => (&self.ios, "ios"),
            UserAgent::Android => (&self.android, "android"),
        };
        Some(cell.get_or_init(|| UserAgentStats::new(&self.registry, &format!("{}{kind}.", self.prefix))))
    }
}
