//! Attempts beside one that takes long: `envoy.config.route.v3.HedgePolicy`.

use envoy_types::pb::envoy::config::route::v3;

use crate::config::field::{Scope, open};

/// Whether another attempt begins beside one that takes longer than it may, in place of ending that.
pub(super) fn on_per_try_timeout(message: v3::HedgePolicy, at: &mut Scope<'_>) -> Option<bool> {
    open! { at, v3::HedgePolicy = message;
        implemented { hedge_on_per_try_timeout }
        ignored {
            initial_requests: "as in Envoy one request is sent at first, whatever it says",
            additional_request_chance: "as in Envoy one request is sent at first, whatever it says",
        }
    }
    Some(hedge_on_per_try_timeout)
}
