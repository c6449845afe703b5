//! Endpoints: `envoy.config.endpoint.v3.ClusterLoadAssignment`.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3;
use envoy_types::pb::envoy::r#type::v3 as type_v3;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::extension::Extensions;
use super::field::{self, Notes, Scope, open};
use super::metadata::Metadata;

/// Percent of healthiness that counts as whole when nothing else is configured.
pub const DEFAULT_OVERPROVISIONING_FACTOR: u32 = 140;

/// The finest denominator of a share.
const MILLION: u32 = 1_000_000;

/// The highest number of a priority that the API allows.
const MAX_PRIORITY: u32 = 128;

/// The endpoints of one cluster, in the order of the message.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadAssignment {
    /// Name by which EDS clusters ask for it.
    pub cluster_name: String,
    /// Localities with their endpoints.
    pub localities: Vec<LocalityEndpoints>,
    /// Percent of healthiness that counts as whole; 140 by default.
    pub overprovisioning_factor: u32,
    /// How many of a million requests are refused before load balancing: `policy.drop_overloads`.
    pub drop_overload: u32,
    /// What load reports call those; empty where none are refused.
    pub drop_category: Arc<str>,
    /// The health of a priority is that of its weights, not of its hosts: `policy.weighted_priority_health`.
    pub weighted_priority_health: bool,
    /// Age at which endpoints that did not come again are taken out of their clusters: `policy.endpoint_stale_after`;
    /// `None` means never.
    pub stale_after: Option<Duration>,
}

impl Default for LoadAssignment {
    fn default() -> Self {
        LoadAssignment {
            cluster_name: String::new(),
            localities: Vec::new(),
            overprovisioning_factor: DEFAULT_OVERPROVISIONING_FACTOR,
            drop_overload: 0,
            drop_category: Arc::default(),
            weighted_priority_health: false,
            stale_after: None,
        }
    }
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
    /// What its statistics are named after in place of its address.
    pub observability_name: Option<Box<str>>,
    /// Weight, at least 1; 1 by default.
    pub load_balancing_weight: u32,
    /// Health as the management server sees it.
    pub health_status: HealthStatus,
    /// Metadata, for subsets, transport sockets and access logs.
    pub metadata: Metadata,
    /// Metadata of its locality, for transport sockets; `None` where there is none.
    pub locality_metadata: Option<Arc<Metadata>>,
    /// How active health checks reach it.
    pub health_check: EndpointHealthCheck,
}

impl Endpoint {
    /// The endpoint at an address, of which nothing else is said.
    pub fn at(address: Address) -> Self {
        Endpoint {
            address,
            additional_addresses: Vec::new(),
            hostname: String::new(),
            observability_name: None,
            load_balancing_weight: 1,
            health_status: HealthStatus::default(),
            metadata: Metadata::default(),
            locality_metadata: None,
            health_check: EndpointHealthCheck::default(),
        }
    }
}

/// `Endpoint.HealthCheckConfig`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointHealthCheck {
    /// Where it is asked; its own address when `None`.
    pub address: Option<Address>,
    /// The port at which it is asked instead; 0 for that of the address.
    pub port: u16,
    /// The name that checks ask for; empty for what the check says.
    pub hostname: String,
    /// Whether it is not asked at all.
    pub disabled: bool,
}

impl EndpointHealthCheck {
    fn from_proto(message: v3::endpoint::HealthCheckConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::endpoint::HealthCheckConfig;
        open! { at, HealthCheckConfig = message;
            implemented { port_value, hostname, address, disable_active_health_check }
        }
        let port = u16::try_from(port_value).ok();
        if port.is_none() {
            at.field("port_value").violation("value must be less than or equal to 65535");
        }
        let address = at.message("address", address, Address::literal_from_proto);
        Some(EndpointHealthCheck {
            address,
            port: port.unwrap_or_default(),
            hostname,
            disabled: disable_active_health_check,
        })
    }

    /// Where an endpoint at this address is asked.
    pub fn address_of(&self, address: &Address) -> Address {
        let address = self.address.as_ref().unwrap_or(address);
        match address {
            Address::Ip(address) if self.port != 0 => {
                Address::Ip(std::net::SocketAddr::new(address.ip(), self.port))
            }
            address => address.clone(),
        }
    }
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

impl LoadAssignment {
    /// From the bytes of its proto.
    ///
    /// # Errors
    /// Every error of the resource.
    pub fn parse(bytes: &[u8], extensions: &Extensions) -> Result<(Self, Notes), Vec<field::Error>> {
        field::parse(bytes, extensions, Self::from_proto)
    }

    /// From its proto.
    pub fn from_proto(message: v3::ClusterLoadAssignment, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ClusterLoadAssignment = message;
            implemented { cluster_name, endpoints, policy }
            ignored { named_endpoints: "Envoy does not read it either; an endpoint_name is refused" }
        }
        let ((drop_overload, drop_category), overprovisioning_factor, weighted_priority_health, stale_after) =
            at.message("policy", policy, from_policy).unwrap_or_default();
        Some(LoadAssignment {
            cluster_name: at.required_string("cluster_name", cluster_name),
            localities: at.list("endpoints", endpoints, LocalityEndpoints::from_proto),
            overprovisioning_factor: overprovisioning_factor.unwrap_or(DEFAULT_OVERPROVISIONING_FACTOR),
            drop_overload,
            drop_category,
            weighted_priority_health,
            stale_after,
        })
    }

    /// All endpoints, in order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.localities.iter().flat_map(|locality| &locality.endpoints)
    }
}

/// `drop_overloads`, `overprovisioning_factor`, `weighted_priority_health` and `endpoint_stale_after`.
fn from_policy(
    message: v3::cluster_load_assignment::Policy,
    at: &mut Scope<'_>,
) -> Option<(Dropped, Option<u32>, bool, Option<Duration>)> {
    use v3::cluster_load_assignment::Policy;
    open! { at, Policy = message;
        implemented { drop_overloads, overprovisioning_factor, weighted_priority_health, endpoint_stale_after }
    }
    let overprovisioning_factor = at.within("overprovisioning_factor", overprovisioning_factor, 1..=u32::MAX);
    let categories = drop_overloads.len();
    if categories > 1 {
        at.error(format!(
            "Cluster drop_overloads config has {categories} categories. Envoy only support one."
        ));
    }
    let shares = at.list("drop_overloads", drop_overloads, drop_overload);
    let dropped = shares.into_iter().next().unwrap_or_default();
    let stale_after = at.positive_duration("endpoint_stale_after", endpoint_stale_after);
    Some((dropped, overprovisioning_factor, weighted_priority_health, stale_after))
}

/// How many of a million requests are refused, and under which name.
type Dropped = (u32, Arc<str>);

/// What one category refuses.
fn drop_overload(
    message: v3::cluster_load_assignment::policy::DropOverload,
    at: &mut Scope<'_>,
) -> Option<Dropped> {
    use v3::cluster_load_assignment::policy::DropOverload;
    open! { at, DropOverload = message; implemented { category, drop_percentage } }
    let category = at.required_string("category", category);
    let share = at.message("drop_percentage", drop_percentage, fraction);
    let share =
        share.map_or(0, |(numerator, denominator)| numerator.min(denominator) * (MILLION / denominator));
    Some((share, category.into()))
}

/// Numerator and denominator (100, 10,000 or 1,000,000) of a `envoy.type.v3.FractionalPercent`.
pub(super) fn fraction(message: type_v3::FractionalPercent, at: &mut Scope<'_>) -> Option<(u32, u32)> {
    use type_v3::fractional_percent::DenominatorType;
    open! { at, type_v3::FractionalPercent = message; implemented { numerator, denominator } }
    let denominator = match at.enumeration("denominator", denominator) {
        DenominatorType::Hundred => 100,
        DenominatorType::TenThousand => 10_000,
        DenominatorType::Million => 1_000_000,
    };
    Some((numerator, denominator))
}

impl LocalityEndpoints {
    fn from_proto(message: v3::LocalityLbEndpoints, at: &mut Scope<'_>) -> Option<Self> {
        use v3::locality_lb_endpoints::LbConfig;
        open! { at, v3::LocalityLbEndpoints = message;
            implemented { locality, lb_endpoints, load_balancing_weight, priority, metadata, lb_config }
            ignored { proximity: "no load balancer reads it" }
        }
        match lb_config {
            None => {}
            Some(LbConfig::LedsClusterLocalityConfig(_)) => {
                at.reject("leds_cluster_locality_config", "endpoints have to stand in lb_endpoints");
            }
            Some(_) => {
                at.ignore("load_balancer_endpoints", "Envoy does not read it either; lb_endpoints is served");
            }
        }
        if priority > MAX_PRIORITY {
            at.field("priority").violation(format!("value must be less than or equal to {MAX_PRIORITY}"));
        }
        let mut endpoints = at.list("lb_endpoints", lb_endpoints, Endpoint::from_proto);
        if let Some(metadata) = Metadata::shared(metadata, at) {
            for endpoint in &mut endpoints {
                endpoint.locality_metadata = Some(Arc::clone(&metadata));
            }
        }
        let weights: u64 = endpoints.iter().map(|endpoint| u64::from(endpoint.load_balancing_weight)).sum();
        if weights > u64::from(u32::MAX) {
            let sum = u32::MAX;
            at.error(format!("The sum of weights of all endpoints in the locality cannot exceed {sum}"));
        }
        Some(LocalityEndpoints {
            locality: at.message("locality", locality, Locality::from_proto).unwrap_or_default(),
            load_balancing_weight: at.within("load_balancing_weight", load_balancing_weight, 1..=u32::MAX),
            priority,
            endpoints,
        })
    }
}

impl Locality {
    /// From its proto.
    pub fn from_proto(message: core::Locality, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, core::Locality = message; implemented { region, zone, sub_zone } }
        Some(Locality { region, zone, sub_zone })
    }
}

impl Endpoint {
    fn from_proto(message: v3::LbEndpoint, at: &mut Scope<'_>) -> Option<Self> {
        use v3::lb_endpoint::HostIdentifier;
        open! { at, v3::LbEndpoint = message;
            implemented { host_identifier, health_status, metadata, load_balancing_weight }
        }
        let health_status = HealthStatus::from_proto(health_status, at);
        let metadata = at.message("metadata", metadata, Metadata::from_proto).unwrap_or_default();
        let load_balancing_weight = at.within("load_balancing_weight", load_balancing_weight, 1..=u32::MAX);
        match at.required("host_identifier", host_identifier)? {
            HostIdentifier::Endpoint(endpoint) => {
                let reached = reached(endpoint, &mut at.field("endpoint"))?;
                let load_balancing_weight = load_balancing_weight.unwrap_or(1);
                Some(Endpoint { load_balancing_weight, health_status, metadata, ..reached })
            }
            HostIdentifier::EndpointName(_) => {
                at.reject("endpoint_name", "endpoints have to stand where they are used");
                None
            }
        }
    }
}

/// An endpoint of which nothing is said but how it is reached and what it is called.
fn reached(message: v3::Endpoint, at: &mut Scope<'_>) -> Option<Endpoint> {
    open! { at, v3::Endpoint = message;
        implemented { address, hostname, additional_addresses, health_check_config, observability_name }
    }
    let additional_addresses = at.list("additional_addresses", additional_addresses, |message, at| {
        use v3::endpoint::AdditionalAddress;
        open! { at, AdditionalAddress = message; implemented { address } }
        let address = at.required("address", address);
        at.message("address", address, Address::literal_from_proto)
    });
    let address = at.required("address", address);
    let address = at.message("address", address, Address::from_proto)?;
    let health_check =
        at.message("health_check_config", health_check_config, EndpointHealthCheck::from_proto);
    Some(Endpoint {
        additional_addresses,
        hostname,
        observability_name: Some(observability_name).filter(|name| !name.is_empty()).map(Into::into),
        health_check: health_check.unwrap_or_default(),
        ..Endpoint::at(address)
    })
}

impl HealthStatus {
    fn from_proto(value: i32, at: &mut Scope<'_>) -> Self {
        match at.enumeration("health_status", value) {
            core::HealthStatus::Unknown => HealthStatus::Unknown,
            core::HealthStatus::Healthy => HealthStatus::Healthy,
            core::HealthStatus::Unhealthy => HealthStatus::Unhealthy,
            core::HealthStatus::Draining => HealthStatus::Draining,
            core::HealthStatus::Timeout => HealthStatus::Timeout,
            core::HealthStatus::Degraded => HealthStatus::Degraded,
        }
    }
}
