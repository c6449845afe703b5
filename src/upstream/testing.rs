//! Clusters and endpoints for tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::Cluster;
use crate::config::address::Address;
use crate::config::cluster::{
    self as config, ClientSideWeights, CommonLb, Consecutive, Discovery, FailurePercentage, LbPolicy,
    OutlierDetection, SuccessRate,
};
use crate::config::endpoint::{
    Endpoint, EndpointHealthCheck, HealthStatus, LoadAssignment, Locality, LocalityEndpoints,
};
use crate::config::metadata::Metadata;
use crate::config::source::{ConfigSource, SourceKind};
use crate::observability::stats::Registry;

/// What Envoy has where nothing is configured, but that every host may be ejected.
pub(crate) fn outlier_detection() -> OutlierDetection {
    let consecutive = |enforcing| Consecutive { count: 5, enforcing };
    OutlierDetection {
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        max_ejection_time_jitter: Duration::ZERO,
        max_ejection_percent: 100,
        always_eject_one_host: false,
        split_external_local_origin_errors: false,
        consecutive_5xx: consecutive(100),
        consecutive_gateway_failure: consecutive(0),
        consecutive_local_origin_failure: consecutive(100),
        success_rate: SuccessRate {
            minimum_hosts: 5,
            request_volume: 100,
            stdev_factor: 1900,
            enforcing: 100,
            enforcing_local_origin: 100,
        },
        failure_percentage: FailurePercentage {
            threshold: 85,
            minimum_hosts: 5,
            request_volume: 50,
            enforcing: 0,
            enforcing_local_origin: 0,
        },
        successful_active_health_check_uneject_host: true,
        detect_degraded_hosts: false,
    }
}

/// What Envoy has where nothing is configured, but that reports count at once.
pub(crate) fn client_side_weights() -> ClientSideWeights {
    ClientSideWeights {
        blackout_period: Duration::ZERO,
        weight_expiration_period: Duration::from_secs(180),
        weight_update_period: Duration::from_secs(1),
        error_utilization_penalty: 0.0,
        utilization_metrics: Box::default(),
    }
}

/// An endpoint at 127.0.0.1.
pub(crate) fn endpoint(port: u16) -> EndpointBuilder {
    EndpointBuilder(Endpoint {
        address: Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        additional_addresses: Vec::new(),
        hostname: String::new(),
        observability_name: None,
        load_balancing_weight: 1,
        health_status: HealthStatus::Unknown,
        metadata: Metadata::default(),
        locality_metadata: None,
        health_check: EndpointHealthCheck::default(),
    })
}

/// Changes one thing of an endpoint.
#[derive(Clone)]
pub(crate) struct EndpointBuilder(pub(crate) Endpoint);

impl EndpointBuilder {
    pub(crate) fn weight(mut self, weight: u32) -> Self {
        self.0.load_balancing_weight = weight;
        self
    }

    pub(crate) fn health(mut self, health: HealthStatus) -> Self {
        self.0.health_status = health;
        self
    }

    pub(crate) fn address(mut self, address: Address) -> Self {
        self.0.address = address;
        self
    }

    pub(crate) fn named(mut self, hostname: &str) -> Self {
        self.0.hostname = hostname.to_owned();
        self
    }
}

/// Makes a cluster with `STATIC` discovery and round robin.
pub(crate) struct ClusterBuilder {
    pub(crate) config: config::Cluster,
    pub(crate) assignment: LoadAssignment,
}

impl ClusterBuilder {
    pub(crate) fn new(name: &str) -> Self {
        ClusterBuilder {
            config: config::Cluster { name: name.to_owned(), ..config::Cluster::default() },
            assignment: Self::assignment([]),
        }
    }

    /// An assignment of these endpoints in one locality.
    pub(crate) fn assignment<const N: usize>(endpoints: [EndpointBuilder; N]) -> LoadAssignment {
        let mut assignment = LoadAssignment { overprovisioning_factor: 140, ..LoadAssignment::default() };
        if N > 0 {
            assignment.localities.push(LocalityEndpoints {
                locality: Locality::default(),
                load_balancing_weight: None,
                priority: 0,
                endpoints: endpoints.into_iter().map(|endpoint| endpoint.0).collect(),
            });
        }
        assignment
    }

    pub(crate) fn policy(mut self, policy: LbPolicy) -> Self {
        self.config.lb_policy = policy;
        self
    }

    pub(crate) fn lb(mut self, change: impl FnOnce(&mut CommonLb)) -> Self {
        change(&mut self.config.lb);
        self
    }

    pub(crate) fn hosts<const N: usize>(self, endpoints: [EndpointBuilder; N]) -> Self {
        self.group(0, "", None, endpoints)
    }

    /// Adds endpoints in a priority and region.
    pub(crate) fn group(
        mut self,
        priority: u32,
        region: &str,
        weight: Option<u32>,
        endpoints: impl IntoIterator<Item = EndpointBuilder>,
    ) -> Self {
        self.assignment.localities.push(LocalityEndpoints {
            locality: Locality { region: region.to_owned(), ..Locality::default() },
            load_balancing_weight: weight,
            priority,
            endpoints: endpoints.into_iter().map(|endpoint| endpoint.0).collect(),
        });
        self
    }

    /// The configuration, with the endpoints as static ones.
    pub(crate) fn config(mut self) -> Arc<config::Cluster> {
        self.config.discovery = Discovery::Static(self.assignment);
        Arc::new(self.config)
    }

    /// A live cluster that got its endpoints from EDS.
    pub(crate) fn build(mut self) -> Arc<Cluster> {
        let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
        self.config.discovery = Discovery::Eds { service_name: self.config.name.clone(), source };
        let cluster = Arc::new(Cluster::new(Arc::new(self.config), 1, &Registry::new(0)));
        cluster.update_endpoints(&self.assignment);
        cluster
    }
}
