//! Reports that hosts are asked for beside their responses:
//! `envoy.extensions.load_balancing_policies.common.v3.OrcaOobReportingConfig`, and what policies say beside it.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3;
use envoy_types::pb::google::protobuf as pb;

use crate::config::cluster::socket_match;
use crate::config::field::{Scope, open};
use crate::config::metadata::Metadata;

/// How often a host is asked to report where nothing else is configured.
const DEFAULT_REPORTING_PERIOD: Duration = Duration::from_secs(10);

/// How hosts are asked for reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutOfBand {
    /// How often a host is asked to report, in whole milliseconds; 10 s by default, and where it is 0
    /// (`oob_reporting_period`).
    pub reporting_period: Duration,
    /// The port that a host is asked at, if it has an address of IP; `None` for its own (`port_value`).
    pub port: Option<u16>,
    /// The `:authority` of what is asked; empty for the name of the host, or else its address (`authority`).
    pub authority: String,
    /// What finds the way of speaking to hosts in place of what these say (`transport_socket_match_criteria`).
    pub transport_socket_match: Option<Metadata>,
}

impl OutOfBand {
    /// What a policy says of it; `None` where it asks for none.
    pub(super) fn from_proto(
        enable_oob_load_report: Option<pb::BoolValue>,
        oob_reporting_period: Option<pb::Duration>,
        oob_reporting_config: Option<v3::OrcaOobReportingConfig>,
        at: &mut Scope<'_>,
    ) -> Option<Box<Self>> {
        let period = at.duration("oob_reporting_period", oob_reporting_period).unwrap_or_default();
        let connection = at.message("oob_reporting_config", oob_reporting_config, connection);
        let whole = Duration::from_millis(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        let reporting_period = if whole.is_zero() { DEFAULT_REPORTING_PERIOD } else { whole };
        let enabled = enable_oob_load_report.is_some_and(|enable| enable.value);
        enabled.then(|| Box::new(OutOfBand { reporting_period, ..connection.unwrap_or_default() }))
    }
}

/// How the connection differs from those of requests.
fn connection(message: v3::OrcaOobReportingConfig, at: &mut Scope<'_>) -> Option<OutOfBand> {
    use v3::OrcaOobReportingConfig;
    open! { at, OrcaOobReportingConfig = message;
        implemented { port_value, authority, transport_socket_match_criteria }
    }
    let port = u16::try_from(port_value).unwrap_or_else(|_| {
        at.field("port_value").error("must be a port");
        0
    });
    if authority.bytes().any(|byte| byte.is_ascii_control()) {
        at.field("authority").error("must be a value that a header may have");
    }
    Some(OutOfBand {
        reporting_period: Duration::ZERO,
        port: (port != 0).then_some(port),
        authority,
        transport_socket_match: transport_socket_match_criteria.map(socket_match::said),
    })
}
