//! Checkers that are extensions: `envoy.config.core.v3.HealthCheck.CustomHealthCheck`.

use envoy_types::pb::envoy::config::core::v3::health_check as v3;
use envoy_types::pb::envoy::extensions::health_checkers as checkers;

use super::{Checker, payload, redis, thrift};
use crate::config::extension;
use crate::config::field::{Scope, open};

const REDIS: &str = "envoy.extensions.health_checkers.redis.v3.Redis";
const THRIFT: &str = "envoy.extensions.health_checkers.thrift.v3.Thrift";
const UDP: &str = "envoy.extensions.health_checkers.udp.v3.UdpHealthCheck";

/// The checker of this type.
pub(super) fn from_proto(message: v3::CustomHealthCheck, at: &mut Scope<'_>) -> Option<Checker> {
    use v3::CustomHealthCheck;
    use v3::custom_health_check::ConfigType;
    open! { at, CustomHealthCheck = message; implemented { name, config_type } }
    let any = config_type.map(|ConfigType::TypedConfig(any)| any).unwrap_or_default();
    let type_name = extension::contained_type(&any);
    let inside = &mut at.field("typed_config");
    match &*type_name {
        REDIS => redis::from_proto(extension::read(any, inside)?, inside),
        THRIFT => thrift::from_proto(extension::read(any, inside)?, inside),
        UDP => udp(extension::read(any, inside)?, inside),
        _ => {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{type_name}'; \
                 known: {REDIS}, {THRIFT}, {UDP}"
            ));
            None
        }
    }
}

/// A datagram, and the one that has to come back.
fn udp(message: checkers::udp::v3::UdpHealthCheck, at: &mut Scope<'_>) -> Option<Checker> {
    use checkers::udp::v3::UdpHealthCheck;
    open! { at, UdpHealthCheck = message; implemented { send, receive } }
    let send = at.required("send", send);
    let receive = at.required("receive", receive);
    let send = at.message("send", send, payload::bytes);
    let receive = at.message("receive", receive, payload::bytes);
    Some(Checker::Udp { send: send?, receive: receive? })
}
