//! The host with the fewest requests, of some.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf as pb;

use crate::config::field::Scope;
use crate::config::runtime::RuntimeDouble;

/// `envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest`, or `Cluster.LeastRequestLbConfig`
#[derive(Clone, Debug, PartialEq)]
pub struct LeastRequest {
    /// Hosts compared at each choice; 2 by default.
    pub choice_count: u32,
    /// Exponent of active requests where weights differ; 1.0 by default, and where it is negative.
    pub active_request_bias: RuntimeDouble,
    /// All hosts are compared instead of some (`FULL_SCAN`).
    pub full_scan: bool,
}

impl Default for LeastRequest {
    fn default() -> Self {
        LeastRequest {
            choice_count: 2,
            active_request_bias: RuntimeDouble { default_value: 1.0, runtime_key: String::new() },
            full_scan: false,
        }
    }
}

impl LeastRequest {
    /// From the fields that both ways of configuring it have.
    pub(super) fn from_fields(
        choice_count: Option<pb::UInt32Value>,
        active_request_bias: Option<core::RuntimeDouble>,
        at: &mut Scope<'_>,
    ) -> Self {
        let default = LeastRequest::default();
        let choice_count = at.within("choice_count", choice_count, 2..=u32::MAX);
        let bias = at.message("active_request_bias", active_request_bias, RuntimeDouble::from_proto);
        if let Some(RuntimeDouble { default_value, .. }) = &bias
            && default_value.is_nan()
        {
            at.field("active_request_bias").field("default_value").error("must be a number");
        }
        LeastRequest {
            choice_count: choice_count.unwrap_or(default.choice_count),
            active_request_bias: bias.unwrap_or(default.active_request_bias),
            full_scan: false,
        }
    }
}
