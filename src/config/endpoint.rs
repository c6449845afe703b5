//! Endpoints: `envoy.config.endpoint.v3.ClusterLoadAssignment`.

use super::address::Address;
use super::metadata::Metadata;

/// The endpoints of one cluster, in the order of the message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadAssignment {
    /// Name by which EDS clusters ask for it.
    pub cluster_name: String,
    /// Localities with their endpoints.
    pub localities: Vec<LocalityEndpoints>,
    /// Percent of healthiness that counts as whole; 140 by default.
    pub overprovisioning_factor: u32,
    /// Requests dropped before load balancing, by category.
    pub drop_overloads: Vec<DropOverload>,
}

/// `ClusterLoadAssignment.Policy.DropOverload`
#[derive(Clone, Debug, PartialEq)]
pub struct DropOverload {
    /// Why; part of nothing but statistics.
    pub category: String,
    /// Share of requests dropped, 0 to 1.
    pub fraction: f64,
}

/// `envoy.config.endpoint.v3.LocalityLbEndpoints`
#[derive(Clone, Debug, PartialEq)]
pub struct LocalityEndpoints {
    /// Region, zone and sub-zone.
    pub locality: Locality,
    /// Weight among the localities of a priority; used only by locality weighted balancing; `None` is 0.
    pub load_balancing_weight: Option<u32>,
    /// 0 is the first choice.
    pub priority: u32,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// `envoy.config.core.v3.Locality`
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// Empty when not known.
    pub region: String,
    /// Empty when not known.
    pub zone: String,
    /// Empty when not known.
    pub sub_zone: String,
}

/// `envoy.config.endpoint.v3.LbEndpoint`
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// Further addresses of the same host, tried after `address`.
    pub additional_addresses: Vec<Address>,
    /// Name for host rewriting and SNI; empty when not configured.
    pub hostname: String,
    /// Weight, at least 1; 1 by default.
    pub load_balancing_weight: u32,
    /// Health as the management server sees it.
    pub health_status: HealthStatus,
    /// Metadata, for subsets and access logs.
    pub metadata: Metadata,
}

/// `envoy.config.core.v3.HealthStatus`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// Taken as healthy.
    #[default]
    Unknown,
    /// Healthy
    Healthy,
    /// Not to be used but in a panic.
    Unhealthy,
    /// Connections are draining; not to be used.
    Draining,
    /// A health check timed out; not to be used but in a panic.
    Timeout,
    /// Used when no healthy host is there.
    Degraded,
}
