//! Messages that `envoy-types` lacks and configuration brings; `proto/definitions` has where they come from.
//!
//! The modules are named after the packages, so that a path tells which message is meant.

/// Says by which full names messages go.
macro_rules! named {
    ($package:literal: $($message:path = $name:literal),* $(,)?) => {
        $(impl prost::Name for $message {
            const NAME: &'static str = $name;
            const PACKAGE: &'static str = $package;
        })*
    };
}

pub(in crate::config) use named;

pub(in crate::config) mod xds {
    pub(in crate::config) mod r#type {
        pub(in crate::config) mod matcher {
            pub(in crate::config) mod v3 {
                use envoy_types::pb::xds::core::v3::CidrRange;
                use envoy_types::pb::xds::r#type::matcher::v3::matcher::OnMatch;
                use envoy_types::pb::xds::r#type::v3::CelExpression;

                /// An expression that has to be true.
                #[derive(Clone, PartialEq, prost::Message)]
                pub(in crate::config) struct CelMatcher {
                    #[prost(message, optional, tag = "1")]
                    pub(in crate::config) expr_match: Option<CelExpression>,
                    #[prost(string, tag = "2")]
                    pub(in crate::config) description: String,
                }

                /// What expressions ask about.
                #[derive(Clone, Copy, PartialEq, prost::Message)]
                pub(in crate::config) struct HttpAttributesCelMatchInput {}

                /// A tree of networks.
                #[derive(Clone, PartialEq, prost::Message)]
                pub(in crate::config) struct IpMatcher {
                    #[prost(message, repeated, tag = "1")]
                    pub(in crate::config) range_matchers: Vec<ip_matcher::IpRangeMatcher>,
                }

                pub(in crate::config) mod ip_matcher {
                    use super::{CidrRange, OnMatch};

                    /// Networks that lead to the same.
                    #[derive(Clone, PartialEq, prost::Message)]
                    pub(in crate::config) struct IpRangeMatcher {
                        #[prost(message, repeated, tag = "1")]
                        pub(in crate::config) ranges: Vec<CidrRange>,
                        #[prost(message, optional, tag = "2")]
                        pub(in crate::config) on_match: Option<OnMatch>,
                        #[prost(bool, tag = "3")]
                        pub(in crate::config) exclusive: bool,
                    }
                }

                /// A tree of domains.
                #[derive(Clone, PartialEq, prost::Message)]
                pub(in crate::config) struct ServerNameMatcher {
                    #[prost(message, repeated, tag = "1")]
                    pub(in crate::config) domain_matchers: Vec<server_name_matcher::DomainMatcher>,
                }

                pub(in crate::config) mod server_name_matcher {
                    use super::OnMatch;

                    /// Domains that lead to the same.
                    #[derive(Clone, PartialEq, prost::Message)]
                    pub(in crate::config) struct DomainMatcher {
                        #[prost(string, repeated, tag = "1")]
                        pub(in crate::config) domains: Vec<String>,
                        #[prost(message, optional, tag = "2")]
                        pub(in crate::config) on_match: Option<OnMatch>,
                    }
                }

                named! { "xds.type.matcher.v3":
                    CelMatcher = "CelMatcher",
                    HttpAttributesCelMatchInput = "HttpAttributesCelMatchInput",
                    IpMatcher = "IPMatcher",
                    ip_matcher::IpRangeMatcher = "IPMatcher.IPRangeMatcher",
                    ServerNameMatcher = "ServerNameMatcher",
                    server_name_matcher::DomainMatcher = "ServerNameMatcher.DomainMatcher",
                }
            }
        }
    }
}

pub(crate) mod envoy {
    pub(crate) mod extensions {
        pub(crate) mod router {
            pub(crate) mod cluster_specifiers {
                pub(crate) mod priority_group {
                    pub(crate) mod v3 {
                        use envoy_types::pb::google::protobuf::{BoolValue, UInt32Value};

                        /// A cluster and its share of a group.
                        #[derive(Clone, PartialEq, prost::Message)]
                        pub(crate) struct ClusterWeight {
                            #[prost(string, tag = "1")]
                            pub(crate) cluster_name: String,
                            #[prost(message, optional, tag = "2")]
                            pub(crate) weight: Option<UInt32Value>,
                        }

                        /// Clusters for one attempt.
                        #[derive(Clone, PartialEq, prost::Message)]
                        pub(crate) struct PriorityGroup {
                            #[prost(string, tag = "1")]
                            pub(crate) name: String,
                            #[prost(message, repeated, tag = "2")]
                            pub(crate) clusters: Vec<ClusterWeight>,
                        }

                        /// Groups, for one attempt each.
                        #[derive(Clone, PartialEq, prost::Message)]
                        pub(crate) struct PriorityGroupClusterSpecifier {
                            #[prost(message, repeated, tag = "1")]
                            pub(crate) priority_groups: Vec<PriorityGroup>,
                            #[prost(string, tag = "2")]
                            pub(crate) override_metadata_namespace: String,
                            #[prost(oneof = "RandomValueSpecifier", tags = "3, 4")]
                            pub(crate) random_value_specifier: Option<RandomValueSpecifier>,
                        }

                        /// Where the number comes from by which a cluster is chosen.
                        #[derive(Clone, PartialEq, prost::Oneof)]
                        pub(crate) enum RandomValueSpecifier {
                            #[prost(string, tag = "3")]
                            HeaderName(String),
                            #[prost(message, tag = "4")]
                            UseHashPolicy(BoolValue),
                        }

                        /// Groups of one request.
                        #[derive(Clone, PartialEq, prost::Message)]
                        pub(crate) struct PriorityGroupsOverride {
                            #[prost(message, repeated, tag = "1")]
                            pub(crate) priority_groups: Vec<PriorityGroup>,
                        }

                        crate::config::messages::named! { "envoy.extensions.router.cluster_specifiers.priority_group.v3":
                            ClusterWeight = "ClusterWeight",
                            PriorityGroup = "PriorityGroup",
                            PriorityGroupClusterSpecifier = "PriorityGroupClusterSpecifier",
                            PriorityGroupsOverride = "PriorityGroupsOverride",
                        }
                    }
                }
            }
        }
    }
}
