//! `envoy.filters.network.ext_authz`: who may connect, as a service says that is asked when the client has sent
//! something.

mod config;
mod decision;
mod question;

use std::rc::Rc;
use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use serde_json::Map;
use tokio::time::Instant;

use crate::config::extension::Extension;
use crate::config::metadata::to_object;
use crate::http::Status;
use crate::observability::stats::network::ExtAuthzStats;
use crate::observability::stream_info::{Refusal, ResponseFlags};

use super::asking::Question;
use super::filter::{Context, Filter, Guest, Made, Step, Watches};
use super::read;

pub(super) use config::Config;
use decision::Decision;

/// The filter's name, and that of the metadata that the service gives.
const NAME: &str = "envoy.filters.network.ext_authz";

/// The network filter.
pub(super) const EXTENSION: Extension = Extension {
    name: NAME,
    type_name: "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: None,
};

/// The key of that metadata that tells in milliseconds how long an answer took that lets a connection pass.
const DURATION: &str = "ext_authz_duration";

/// The method of the service.
const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";

/// `access_denied`, the alert by which a client that speaks TLS is told of a denial (RFC 8446 §6.2).
const ACCESS_DENIED: u8 = 49;

#[expect(clippy::unnecessary_wraps, reason = "other filters cannot always be made")]
pub(super) fn make(config: &Config, context: &Context<'_>) -> Result<Made, String> {
    let stats = ExtAuthzStats::new(context.registry, &format!("ext_authz.{}.", config.stat_prefix));
    Ok(Made::Filter(Arc::new(ExtAuthz { config: config.clone(), stats })))
}

/// The filter of a chain in force.
#[derive(Clone, Debug)]
struct ExtAuthz {
    config: Config,
    stats: ExtAuthzStats,
}

impl Filter for ExtAuthz {
    fn watches(&self) -> Watches {
        Watches::First
    }

    fn data(&self, guest: &Rc<Guest>) -> Step {
        if !self.config.is_enabled_for(&guest.info) {
            self.stats.disabled().inc();
            return Step::Pass;
        }
        self.stats.total().inc();
        let question = Question {
            service: &self.config.service,
            method: METHOD,
            message: question::of(&self.config, &guest.info),
            timeout: self.config.timeout,
            stats: &self.stats,
            active: ExtAuthzStats::active,
        };
        let (filter, asked) = (self.clone(), Instant::now());
        question.ask(guest, move |answer, guest| filter.settle(answer, asked, guest))
    }
}

impl ExtAuthz {
    /// Does what the service says.
    fn settle(
        &self,
        answer: Result<CheckResponse, Status>,
        asked: Instant,
        guest: &Guest,
    ) -> Result<(), Refusal> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) => {
                tracing::debug!(target: "filter", %status, "the service of authorization could not be asked");
                return self.fail(guest);
            }
        };
        if let Some(metadata) = answer.dynamic_metadata.filter(|one| !one.fields.is_empty()) {
            guest.info.note(|notes| notes.merge_metadata(NAME, &to_object(metadata)));
        }
        if answer.status.is_none_or(|status| status.code == 0) {
            let took = (DURATION.to_owned(), (asked.elapsed().as_millis() as u64).into());
            guest.info.note(|notes| notes.set_metadata(NAME, Map::from_iter([took])));
            self.stats.ok().inc();
            self.note(Decision::Allowed, guest);
            return Ok(());
        }
        self.stats.denied().inc();
        if self.config.shadow_mode {
            self.note(Decision::denied(answer.http_response), guest);
            return Ok(());
        }
        self.stats.cx_closed().inc();
        Err(self.refusal("ext_authz_denied"))
    }

    /// What becomes of a connection that the service said nothing of.
    fn fail(&self, guest: &Guest) -> Result<(), Refusal> {
        self.stats.error().inc();
        if self.config.shadow_mode {
            self.note(Decision::Failed, guest);
            return Ok(());
        }
        if self.config.failure_mode_allow {
            self.stats.failure_mode_allowed().inc();
            return Ok(());
        }
        self.stats.cx_closed().inc();
        Err(self.refusal("ext_authz_error"))
    }

    fn refusal(&self, details: &'static str) -> Refusal {
        Refusal {
            flags: ResponseFlags::UAEX,
            response_code_details: details,
            alert: self.config.send_tls_alert_on_denial.then_some(ACCESS_DENIED),
            ..Refusal::new("ext_authz_close")
        }
    }

    /// Notes what was decided where nobody obeys it.
    fn note(&self, decision: Decision, guest: &Guest) {
        if self.config.shadow_mode {
            guest.info.note(|notes| notes.set_state(NAME, decision.object()));
        }
    }
}

