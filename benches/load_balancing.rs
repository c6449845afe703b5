//! What a choice of a host costs, by policy and number of hosts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use dragoman::base::random::Rng;
use dragoman::config::Cluster as Config;
use dragoman::config::address::Address;
use dragoman::config::cluster::{
    CircuitBreakers, CommonLb, Discovery, HappyEyeballs, LbPolicy, LeastRequest, RequestPolicies,
    TrackedStats, UpstreamProtocol, ZoneAware,
};
use dragoman::config::endpoint::{Endpoint, HealthStatus, LoadAssignment, Locality, LocalityEndpoints};
use dragoman::config::metadata::Metadata;
use dragoman::config::protocol::Http1Options;
use dragoman::observability::stats::Registry;
use dragoman::upstream::lb::Choice;
use dragoman::upstream::{Balancer, Cluster, Manager, manager};

fn main() {
    divan::main();
}

const HOSTS: [usize; 3] = [1, 10, 1000];

fn endpoint(number: usize, weight: u32) -> Endpoint {
    let ip = Ipv4Addr::from(0x0a00_0000 + number as u32);
    Endpoint {
        address: Address::Ip(SocketAddr::from((ip, 80))),
        additional_addresses: Vec::new(),
        hostname: String::new(),
        observability_name: None,
        load_balancing_weight: weight,
        health_status: HealthStatus::Healthy,
        metadata: Metadata::default(),
        locality_metadata: None,
        health_check: dragoman::config::endpoint::EndpointHealthCheck::default(),
    }
}

fn assignment(hosts: usize, weight: impl Fn(usize) -> u32) -> LoadAssignment {
    let group = LocalityEndpoints {
        locality: Locality::default(),
        load_balancing_weight: None,
        priority: 0,
        endpoints: (0..hosts).map(|number| endpoint(number, weight(number))).collect(),
    };
    LoadAssignment { localities: vec![group], overprovisioning_factor: 140, ..LoadAssignment::default() }
}

fn config(name: &str, lb_policy: LbPolicy, hosts: LoadAssignment) -> Config {
    Config {
        name: name.to_owned(),
        alt_stat_name: None,
        discovery: Discovery::Static(hosts),
        connect_timeout: Duration::from_secs(5),
        per_connection_buffer_limit_bytes: None,
        per_connection_buffer_high_watermark_timeout: None,
        lb_policy,
        lb: CommonLb {
            healthy_panic_threshold: 50.0,
            fail_traffic_on_panic: false,
            override_host: None,
            slow_start: None,
            client_side: None,
            load_aware: None,
            out_of_band: None,
            zone_aware: ZoneAware::default(),
            locality_weighted: false,
            ignore_new_hosts_until_first_hc: false,
            close_connections_on_host_set_change: false,
            overprovisioning_factor: 140,
            subsets: None,
        },
        circuit_breakers: CircuitBreakers::default(),
        socket: dragoman::config::transport_socket::UpstreamSocket::default(),
        socket_matches: Box::default(),
        socket_matcher: None,
        names_by_request: None,
        protocol: UpstreamProtocol::Http1(Http1Options::default()),
        idle_timeout: Some(Duration::from_secs(3600)),
        tcp_idle_timeout: None,
        max_requests_per_connection: None,
        max_connection_duration: None,
        max_stream_duration: None,
        policies: RequestPolicies::default(),
        max_response_headers_count: 100,
        max_response_headers_kb: 60,
        http_filters: Box::default(),
        happy_eyeballs: HappyEyeballs::default(),
        tcp_keepalive: None,
        connection_pool_per_downstream_connection: false,
        only_http_pools: false,
        preconnect: dragoman::config::cluster::Preconnect::default(),
        bind: None,
        tracked: TrackedStats::default(),
        error_matcher: None,
        stats_matcher: None,
        reported_metrics: Box::default(),
        metadata: None,
        wait_for_warm_on_init: true,
        outlier_detection: None,
        health_check: None,
        ignore_health_on_host_removal: false,
        close_connections_on_host_health_failure: false,
    }
}

fn choose(bencher: Bencher<'_, '_>, policy: LbPolicy, hosts: LoadAssignment) {
    let config = config("app", policy, hosts.clone());
    let cluster = Arc::new(Cluster::new(Arc::new(config), 1, &Registry::new(1)));
    cluster.update_endpoints(&hosts);
    let (mut balancer, mut rng) = (Balancer::new(&cluster), Rng::seeded(1));
    bencher.bench_local(|| balancer.choose(black_box(&cluster), &mut rng, &Choice::default()));
}

#[divan::bench(args = HOSTS)]
fn round_robin(bencher: Bencher<'_, '_>, hosts: usize) {
    choose(bencher, LbPolicy::RoundRobin, assignment(hosts, |_| 1));
}

#[divan::bench(args = HOSTS)]
fn round_robin_weighted(bencher: Bencher<'_, '_>, hosts: usize) {
    choose(bencher, LbPolicy::RoundRobin, assignment(hosts, |number| number as u32 % 7 + 1));
}

#[divan::bench(args = HOSTS)]
fn least_request(bencher: Bencher<'_, '_>, hosts: usize) {
    let policy = LbPolicy::LeastRequest(LeastRequest::default());
    choose(bencher, policy, assignment(hosts, |_| 1));
}

#[divan::bench(args = HOSTS)]
fn random(bencher: Bencher<'_, '_>, hosts: usize) {
    choose(bencher, LbPolicy::Random, assignment(hosts, |_| 1));
}

/// Ten thousand clusters with two endpoints each, made and put in force.
#[divan::bench]
fn ten_thousand_clusters(bencher: Bencher<'_, '_>) {
    let configs: Vec<Arc<Config>> = (0..10_000)
        .map(|number| {
            Arc::new(config(&format!("cluster-{number}"), LbPolicy::RoundRobin, assignment(2, |_| 1)))
        })
        .collect();
    bencher.bench_local(|| {
        let mut clusters = Manager::new(Registry::new(1));
        for config in &configs {
            if let manager::Update::Warming(cluster) = clusters.add_or_update(Arc::clone(config)) {
                dragoman::upstream::discovery::static_::populate(&cluster);
                clusters.activate(&cluster);
            }
        }
        clusters
    });
}
