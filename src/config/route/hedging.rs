//! Attempts beside one that takes long: `envoy.config.route.v3.HedgePolicy`, as far as it asks for none.

use envoy_types::pb::envoy::config::route::v3;

use crate::config::field::{Scope, open};

/// Checks that a policy asks for nothing.
pub(super) fn no_hedging(message: v3::HedgePolicy, at: &mut Scope<'_>) -> Option<()> {
    open! { at, v3::HedgePolicy = message;
        implemented {}
        rejected { hedge_on_per_try_timeout: "an attempt ends before the next one begins" }
        ignored {
            initial_requests: "as in Envoy one request is sent at first, whatever it says",
            additional_request_chance: "as in Envoy one request is sent at first, whatever it says",
        }
    }
    Some(())
}
