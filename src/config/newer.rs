//! Fields that messages of `envoy-types` lack: of each such message these alone, all of them.
//!
//! `proto/newer` has their definitions. [`Scope::newer`](super::field::Scope::newer) gives a conversion those of the
//! message that it converts. The modules are named after the packages, so that a path tells which message is meant.

pub(crate) mod envoy {
    pub(crate) mod config {
        pub(crate) mod core {
            pub(crate) mod v3 {
                /// How the hosts of a cluster are checked.
                #[derive(Clone, PartialEq, prost::Message)]
                pub(crate) struct HealthCheck {
                    #[prost(string, tag = "27")]
                    pub(crate) name: String,
                }

                pub(crate) mod health_check {
                    /// A request that a host has to answer well.
                    #[derive(Clone, Copy, PartialEq, prost::Message)]
                    pub(crate) struct HttpHealthCheck {
                        #[prost(bool, tag = "15")]
                        pub(crate) use_alpn_protocol: bool,
                    }
                }

                crate::config::messages::named! { "envoy.config.core.v3":
                    HealthCheck = "HealthCheck",
                    health_check::HttpHealthCheck = "HealthCheck.HttpHealthCheck",
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dragoman_proto::descriptor::{self, Kind, Message};

    use super::envoy::config::core::v3 as core;

    /// Whether the type has each newer field of its message, and keeps what is in it.
    fn has_all<M: prost::Message + prost::Name + Default>() {
        let name = M::full_name();
        let fields = descriptor::message(&name).map(Message::fields).expect("part of the API");
        let newer: Vec<_> = fields.iter().filter(|field| field.is_newer()).collect();
        assert!(!newer.is_empty(), "{name} has no newer field");
        for field in newer {
            let number = u8::try_from(field.number() << 3 & 0x7f).expect("seven bits");
            let high = u8::try_from(field.number() >> 4).expect("below 2048");
            // A key of two bytes where the number asks for it, then one, or a text or message of no bytes.
            let (wire_type, value): (u8, &[u8]) = match field.kind() {
                Kind::Message => (2, &[0]),
                Kind::String => (2, &[1, b'x']),
                Kind::Bool | Kind::Enum => (0, &[1]),
                other => panic!("{name}.{}: {other:?} is not foreseen", field.name()),
            };
            let key =
                if high == 0 { vec![number | wire_type] } else { vec![number | wire_type | 0x80, high] };
            let bytes = [key.as_slice(), value].concat();
            let message = M::decode(bytes.as_slice()).expect("a message");
            assert_eq!(message.encode_to_vec(), bytes, "{name}.{}", field.name());
        }
    }

    #[test]
    fn each_type_has_all_newer_fields_of_its_message() {
        has_all::<core::HealthCheck>();
        has_all::<core::health_check::HttpHealthCheck>();
    }
}
