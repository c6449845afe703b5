//! What a choice of a host costs, by policy and number of hosts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use divan::{Bencher, black_box};
use dragoman::base::random::Rng;
use dragoman::config::Cluster as Config;
use dragoman::config::address::Address;
use dragoman::config::cluster::{Discovery, LbPolicy, LeastRequest};
use dragoman::config::endpoint::{Endpoint, HealthStatus, LoadAssignment, Locality, LocalityEndpoints};
use dragoman::config::metadata::Metadata;
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
    Config { name: name.to_owned(), discovery: Discovery::Static(hosts), lb_policy, ..Config::default() }
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
