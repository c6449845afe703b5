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

    pub(crate) mod r#type {
        pub(crate) mod tracing {
            pub(crate) mod v3 {
                /// A tag of spans.
                #[derive(Clone, Copy, PartialEq, prost::Message)]
                pub(crate) struct CustomTag {
                    #[prost(enumeration = "custom_tag::ValueType", tag = "7")]
                    pub(crate) value_type: i32,
                }

                pub(crate) mod custom_tag {
                    /// What its value is told as.
                    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
                    #[repr(i32)]
                    pub(crate) enum ValueType {
                        Unspecified = 0,
                        String = 1,
                        Int = 2,
                        Double = 3,
                        Bool = 4,
                    }
                }

                crate::config::messages::named! { "envoy.type.tracing.v3":
                    CustomTag = "CustomTag",
                }
            }
        }
    }

    pub(crate) mod extensions {
        pub(crate) mod filters {
            pub(crate) mod http {
                pub(crate) mod header_mutation {
                    pub(crate) mod v3 {
                        use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;

                        /// Changes of messages.
                        #[derive(Clone, PartialEq, prost::Message)]
                        pub(crate) struct Mutations {
                            #[prost(message, repeated, tag = "6")]
                            pub(crate) formatters: Vec<TypedExtensionConfig>,
                        }

                        crate::config::messages::named! { "envoy.extensions.filters.http.header_mutation.v3":
                            Mutations = "Mutations",
                        }
                    }
                }
            }

            pub(crate) mod network {
                pub(crate) mod http_connection_manager {
                    pub(crate) mod v3 {
                        /// A connection manager.
                        #[derive(Clone, Copy, PartialEq, prost::Message)]
                        pub(crate) struct HttpConnectionManager {
                            #[prost(bool, tag = "63")]
                            pub(crate) record_route_resolution_stats: bool,
                        }

                        crate::config::messages::named! { "envoy.extensions.filters.network.http_connection_manager.v3":
                            HttpConnectionManager = "HttpConnectionManager",
                        }
                    }
                }
            }

            pub(crate) mod udp {
                pub(crate) mod udp_proxy {
                    pub(crate) mod v3 {
                        pub(crate) mod udp_proxy_config {
                            use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;

                            /// Sessions that go on as streams of HTTP.
                            #[derive(Clone, PartialEq, prost::Message)]
                            pub(crate) struct UdpTunnelingConfig {
                                #[prost(message, repeated, tag = "12")]
                                pub(crate) formatters: Vec<TypedExtensionConfig>,
                            }

                            crate::config::messages::named! { "envoy.extensions.filters.udp.udp_proxy.v3":
                                UdpTunnelingConfig = "UdpProxyConfig.UdpTunnelingConfig",
                            }
                        }
                    }
                }
            }
        }

        pub(crate) mod load_balancing_policies {
            pub(crate) mod load_aware_locality {
                pub(crate) mod v3 {
                    use envoy_types::pb::envoy::extensions::load_balancing_policies::common::v3::OrcaOobReportingConfig;

                    /// Localities by the load of their hosts.
                    #[derive(Clone, PartialEq, prost::Message)]
                    pub(crate) struct LoadAwareLocality {
                        #[prost(message, optional, tag = "10")]
                        pub(crate) oob_reporting_config: Option<OrcaOobReportingConfig>,
                    }

                    crate::config::messages::named! { "envoy.extensions.load_balancing_policies.load_aware_locality.v3":
                        LoadAwareLocality = "LoadAwareLocality",
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dragoman_proto::descriptor::{self, Kind, Message};

    use super::envoy::config::core::v3 as core;
    use super::envoy::extensions::filters::http::header_mutation::v3::Mutations;
    use super::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
    use super::envoy::extensions::filters::udp::udp_proxy::v3::udp_proxy_config::UdpTunnelingConfig;
    use super::envoy::extensions::load_balancing_policies::load_aware_locality::v3::LoadAwareLocality;

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
        has_all::<Mutations>();
        has_all::<UdpTunnelingConfig>();
        has_all::<LoadAwareLocality>();
        has_all::<HttpConnectionManager>();
        has_all::<super::envoy::r#type::tracing::v3::CustomTag>();
    }
}
