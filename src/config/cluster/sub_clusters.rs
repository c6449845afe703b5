//! Clusters that are made for the names that requests bring:
//! `envoy.extensions.clusters.dynamic_forward_proxy.v3.SubClustersConfig`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3;
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressProto;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{self as core, SocketAddress};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::extensions::clusters::dns::v3::DnsCluster;
use envoy_types::pb::envoy::extensions::clusters::dynamic_forward_proxy::v3 as dfp_v3;
use prost::{Message, Name};

use super::upstream_http::all_names;
use super::{Cluster, Discovery};
use crate::config::address::Address;
use crate::config::field::{self, Scope, open};

/// How long a cluster stays that nothing asks for.
const DEFAULT_TTL: Duration = Duration::from_secs(300);
/// How many there may be.
const DEFAULT_MAX: u32 = 1024;
/// What stands for the host in the configuration that all are made after.
const PLACEHOLDER: (&str, u16) = ("name.invalid", 80);

/// How clusters for names are made, how many, and how long they stay.
#[derive(Clone, Debug, PartialEq)]
pub struct SubClusters {
    /// What each is but for its name and its host.
    template: Cluster,
    /// The same as its message.
    message: v3::Cluster,
    /// How many there may be; 1 or more, 1,024 by default.
    pub max_sub_clusters: u32,
    /// How long one stays that nothing asks for; more than zero, 5 min by default. It is looked at as often as that.
    pub sub_cluster_ttl: Duration,
}

impl SubClusters {
    /// From its proto, within the configuration of the cluster that they are parts of.
    pub(super) fn from_proto(
        message: dfp_v3::SubClustersConfig,
        parent: v3::Cluster,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, dfp_v3::SubClustersConfig = message;
            implemented { lb_policy, max_sub_clusters, sub_cluster_ttl, dns_cluster_config }
            ignored { preresolve_clusters: "Envoy does not read it either" }
        }
        if lb_policy == i32::from(v3::cluster::LbPolicy::ClusterProvided) {
            at.error("unsupported lb_policy 'CLUSTER_PROVIDED' in sub_cluster_config");
            return None;
        }
        let max_sub_clusters = at.within("max_sub_clusters", max_sub_clusters, 1..=u32::MAX);
        let sub_cluster_ttl = at.positive_duration("sub_cluster_ttl", sub_cluster_ttl);
        let message = template(parent, lb_policy, dns_cluster_config);
        let (template, _) = field::read(at.extensions(), |at| Cluster::from_proto(message.clone(), at))
            // Where the cluster itself cannot be used, it says why.
            .map_err(|errors| errors.iter().for_each(|error| at.error(format!("of its clusters: {error}"))))
            .ok()?;
        Some(SubClusters {
            template,
            message,
            max_sub_clusters: max_sub_clusters.unwrap_or(DEFAULT_MAX),
            sub_cluster_ttl: sub_cluster_ttl.unwrap_or(DEFAULT_TTL),
        })
    }

    /// The cluster for a host.
    pub fn cluster(&self, name: &str, host: &str, port: u16) -> Cluster {
        let mut cluster = Cluster { name: name.to_owned(), ..self.template.clone() };
        if let Discovery::StrictDns(assignment, _) | Discovery::LogicalDns(assignment, _) =
            &mut cluster.discovery
        {
            let endpoints = assignment.localities.iter_mut().flat_map(|locality| &mut locality.endpoints);
            for endpoint in endpoints {
                endpoint.address = match host.parse() {
                    Ok(ip) => Address::Ip(SocketAddr::new(ip, port)),
                    Err(_) => Address::Name { host: host.to_owned(), port },
                };
            }
        }
        cluster
    }

    /// Its message, encoded.
    pub fn encoded(&self, name: &str, host: &str, port: u16) -> Bytes {
        let mut message = self.message.clone();
        name.clone_into(&mut message.name);
        message.load_assignment = Some(assignment(name, host, port));
        message.encode_to_vec().into()
    }
}

/// What Envoy makes of the cluster for each name: the same with hosts from DNS.
#[expect(deprecated, reason = "the older options are what Envoy sets")]
fn template(parent: v3::Cluster, lb_policy: i32, dns: Option<DnsCluster>) -> v3::Cluster {
    use v3::cluster::{ClusterDiscoveryType, CustomClusterType, DiscoveryType};
    let found = match dns {
        None => ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into()),
        Some(dns) => ClusterDiscoveryType::ClusterType(CustomClusterType {
            name: "envoy.cluster.dns".to_owned(),
            typed_config: Some(envoy_types::pb::google::protobuf::Any {
                type_url: DnsCluster::type_url(),
                value: dns.encode_to_vec(),
            }),
        }),
    };
    v3::Cluster {
        lb_policy,
        load_assignment: Some(assignment(&parent.name, PLACEHOLDER.0, PLACEHOLDER.1)),
        cluster_discovery_type: Some(found),
        upstream_http_protocol_options: parent.upstream_http_protocol_options.or_else(|| Some(all_names())),
        ..parent
    }
}

fn assignment(cluster: &str, host: &str, port: u16) -> ClusterLoadAssignment {
    let address = SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port.into())),
        ..SocketAddress::default()
    };
    let endpoint = Endpoint {
        address: Some(core::Address { address: Some(AddressProto::SocketAddress(address)) }),
        ..Endpoint::default()
    };
    let host =
        LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() };
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![host], ..LocalityLbEndpoints::default() }],
        ..ClusterLoadAssignment::default()
    }
}
