//! `envoy.filters.network.rbac`: who may connect, decided when the client has sent something.

mod config;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Map, Value};

use crate::base::headers::Headers;
use crate::config::extension::Extension;
use crate::config::rbac::Engine;
use crate::http::subject;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stats::matching;
use crate::observability::stats::network::{RbacShadowStats, RbacStats};
use crate::observability::stream_info::{Refusal, StreamInfo};

use super::filter::{Context, Filter, Guest, Made, Step, Watches};
use super::read;

pub(super) use config::Config;

/// The filter's name, and that of the metadata in which it notes what the shadow says.
const NAME: &str = "envoy.filters.network.rbac";

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
    type_name: "envoy.extensions.filters.network.rbac.v3.RBAC",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let prefix = joined(&config.stat_prefix, "rbac.");
    let shadow_prefix = joined(&prefix, &config.shadow_rules_stat_prefix);
    for engine in config.enforced.iter().chain(&config.shadow) {
        engine.count_with(&matching::counters(context.registry));
    }
    Ok(Made::Filter(Arc::new(Rbac {
        config: config.clone(),
        stats: RbacStats::new(context.registry, &joined(&prefix, "")),
        shadow_stats: RbacShadowStats::new(context.registry, &joined(&shadow_prefix, "")),
    })))
}

/// Names of statistics with one dot between them.
fn joined(prefix: &str, name: &str) -> String {
    match prefix.ends_with('.') {
        true => format!("{prefix}{name}"),
        false => format!("{prefix}.{name}"),
    }
}

/// The filter of a chain in force.
#[derive(Debug)]
struct Rbac {
    config: Config,
    stats: RbacStats,
    shadow_stats: RbacShadowStats,
}

/// What an engine decided: whether the connection may pass, by which policy, and whether it is to be logged.
struct Decided {
    allowed: bool,
    policy: Option<String>,
    log: Option<bool>,
}

/// Asks an engine.
fn decide(engine: &Engine, guest: &Guest) -> Decided {
    let (headers, stream) = (Headers::new(), StreamInfo::of_connection(Rc::clone(&guest.info)));
    let attributes = StreamAttributes::of_request(&headers, &stream);
    let snapshot = guest.worker.snapshot();
    let decision = engine.decide(&subject(&headers, &stream, Some(&attributes), &snapshot.runtime));
    Decided { allowed: decision.allowed, policy: decision.policy.map(str::to_owned), log: decision.log }
}

impl Filter for Rbac {
    fn watches(&self) -> Watches {
        if self.config.is_continuous { Watches::All } else { Watches::First }
    }

    fn data(&self, guest: &Rc<Guest>) -> Step {
        if let Some(engine) = &self.config.shadow {
            self.note_shadow(&decide(engine, guest), guest);
        }
        let Some(engine) = &self.config.enforced else { return Step::Pass };
        let decided = decide(engine, guest);
        if let Some(log) = decided.log {
            note(guest, "envoy.common", [("access_log_hint".to_owned(), log.into())]);
        }
        if decided.allowed {
            self.stats.allowed().inc();
            return Step::Pass;
        }
        self.stats.denied().inc();
        let refusal = Refusal {
            termination_details: Some(details(decided.policy.as_deref().unwrap_or("none"))),
            ..Refusal::new("rbac_deny_close")
        };
        match self.config.delay_deny {
            None => Step::Refuse(refusal),
            Some(delay) => Step::Wait(refuse_later(delay, refusal).boxed_local()),
        }
    }
}

async fn refuse_later(delay: Duration, refusal: Refusal) -> Result<(), Refusal> {
    tokio::time::sleep(delay).await;
    Err(refusal)
}

impl Rbac {
    /// Counts and notes what the shadow says.
    fn note_shadow(&self, decided: &Decided, guest: &Guest) {
        let result = match decided.allowed {
            true => {
                self.shadow_stats.shadow_allowed().inc();
                "allowed"
            }
            false => {
                self.shadow_stats.shadow_denied().inc();
                "denied"
            }
        };
        let prefix = &self.config.shadow_rules_stat_prefix;
        let policy = decided.policy.as_deref().filter(|policy| !policy.is_empty());
        let policy = policy.map(|policy| (format!("{prefix}shadow_effective_policy_id"), policy.into()));
        let fields = policy.into_iter().chain([(format!("{prefix}shadow_engine_result"), result.into())]);
        note(guest, NAME, fields);
    }
}

fn note(guest: &Guest, namespace: &str, fields: impl IntoIterator<Item = (String, Value)>) {
    let fields: Map<String, Value> = fields.into_iter().collect();
    guest.info.note(|notes| notes.set_metadata(namespace, fields));
}

/// What access logs tell of who was denied; with no space in the policy's name, which would look like another column.
fn details(policy: &str) -> String {
    let policy: String =
        policy.chars().map(|letter| if letter.is_ascii_whitespace() { '_' } else { letter }).collect();
    format!("rbac_access_denied_matched_policy[{policy}]")
}
