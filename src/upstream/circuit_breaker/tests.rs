use super::*;
use crate::config::cluster::RetryBudget;

fn breakers(limits: Thresholds) -> CircuitBreakers {
    let registry = Registry::new(0);
    let stats = ClusterStats::new(&registry, "cluster.c.");
    let config = config::CircuitBreakers { default: limits, ..Default::default() };
    CircuitBreakers::new(&config, &stats, &registry, "cluster.c.")
}

#[test]
fn a_place_is_refused_at_the_limit_and_given_back_on_drop() {
    let breakers = breakers(Thresholds { max_requests: 2, ..Thresholds::default() });
    let first = breakers.default.try_request();
    let second = breakers.default.try_request();
    assert!(first.is_some() && second.is_some());
    assert!(breakers.default.is_open(Resource::Requests));
    assert!(breakers.default.try_request().is_none());
    drop(first);
    assert!(breakers.default.try_request().is_some());
}

#[test]
fn priorities_and_resources_are_counted_apart() {
    let breakers = breakers(Thresholds { max_retries: 0, ..Thresholds::default() });
    assert!(breakers.of(false).try_retry().is_none());
    assert!(breakers.of(true).try_retry().is_some());
    assert!(breakers.of(false).try_pending().is_some());
}

#[test]
fn a_first_connection_is_taken_above_the_limit() {
    let breakers = breakers(Thresholds { max_connections: 0, ..Thresholds::default() });
    assert!(breakers.default.try_connection(0).is_none());
    let connection = breakers.default.take(Resource::Connections);
    assert_eq!(breakers.default.in_flight(Resource::Connections), 1);
    drop(connection);
    assert_eq!(breakers.default.in_flight(Resource::Connections), 0);
}

#[test]
fn a_host_may_have_fewer_connections_than_its_cluster() {
    let breakers = breakers(Thresholds { max_connections_per_host: 2, ..Thresholds::default() });
    assert!(breakers.default.try_connection(1).is_some());
    assert!(breakers.default.try_connection(2).is_none());
    assert!(breakers.high.try_connection(2).is_some(), "the other priority has a limit of its own");
}

#[test]
fn the_gauge_is_one_while_the_limit_is_reached() {
    let breakers = breakers(Thresholds { max_requests: 1, ..Thresholds::default() });
    let gauge = || breakers.default.stats.circuit_breakers_default_rq_open().value();
    assert_eq!(gauge(), 0);
    let first = breakers.default.try_request();
    assert_eq!(gauge(), 1);
    let above = breakers.default.take(Resource::Requests);
    assert_eq!(gauge(), 1);
    drop(above);
    assert_eq!(gauge(), 1);
    drop(first);
    assert_eq!(gauge(), 0);
}

#[test]
fn a_budget_limits_retries_to_a_share_of_what_is_in_flight() {
    let retry_budget =
        Some(RetryBudget { budget_percent: 50.0, min_retry_concurrency: 1, budget_interval: None });
    let breakers = breakers(Thresholds { retry_budget, max_retries: 1, ..Thresholds::default() });
    let breaker = &breakers.default;
    let gauge = || breaker.stats.circuit_breakers_default_rq_retry_open().value();
    let first = breaker.try_retry();
    assert!(first.is_some() && breaker.try_retry().is_none());
    assert_eq!(gauge(), 1);
    let requests = [(); 3].map(|()| breaker.take(Resource::Requests));
    let waiting = breaker.take(Resource::Pending);
    let second = breaker.try_retry();
    assert!(second.is_some() && breaker.try_retry().is_none());
    drop((requests, waiting, first, second));
    assert_eq!((gauge(), breaker.in_flight(Resource::Retries)), (0, 0));
}

#[test]
fn the_runtime_takes_the_place_of_limits_while_it_says_something() {
    let limits = Thresholds { max_requests: 2, track_remaining: true, ..Thresholds::default() };
    let breakers = breakers(limits);
    let runtime = |values: serde_json::Value| -> Values {
        let values = values.as_object().cloned().unwrap_or_default();
        values.iter().map(|(key, value)| (key.as_str(), value)).collect()
    };
    let gauge = || breakers.default.stats.circuit_breakers_default_rq_open().value();
    let remaining = || breakers.default.remaining_gauge(Resource::Requests).map(|gauge| gauge.value());
    let first = breakers.default.try_request();
    breakers.follow("c", &runtime(serde_json::json!({ "circuit_breakers.c.default.max_requests": 1 })));
    assert!(breakers.default.try_request().is_none() && breakers.high.try_request().is_some());
    assert_eq!(remaining(), Some(0));
    drop(first);
    assert_eq!((gauge(), remaining()), (0, Some(1)));
    breakers.follow("c", &Values::default());
    let both = [breakers.default.try_request(), breakers.default.try_request()];
    assert!(both.iter().all(Option::is_some));
    assert_eq!((gauge(), remaining()), (1, Some(0)));
    drop(both);
    assert_eq!((gauge(), remaining()), (0, Some(2)));
}

#[test]
fn the_runtime_can_make_a_budget() {
    let breakers = breakers(Thresholds { max_retries: 0, ..Thresholds::default() });
    let least = serde_json::json!(1);
    let key = "circuit_breakers.c.default.retry_budget.min_retry_concurrency";
    breakers.follow("c", &[(key, &least)].into_iter().collect());
    let first = breakers.default.try_retry();
    assert!(first.is_some() && breakers.default.try_retry().is_none());
    breakers.follow("c", &Values::default());
    drop(first);
    assert!(breakers.default.try_retry().is_none());
}

#[test]
fn retries_that_remain_are_right_again_when_a_budget_of_the_runtime_is_gone() {
    let breakers = breakers(Thresholds { max_retries: 5, track_remaining: true, ..Thresholds::default() });
    let breaker = &breakers.default;
    let remaining = || breaker.any_remaining_gauge(Resource::Retries).map(|gauge| gauge.value());
    let percent = serde_json::json!(50);
    let budget: Values =
        [("circuit_breakers.c.default.retry_budget.budget_percent", &percent)].into_iter().collect();
    let before = breaker.try_retry();
    assert_eq!(remaining(), Some(4));
    breakers.follow("c", &budget);
    assert_eq!(remaining(), Some(0));
    let within = breaker.try_retry();
    assert!(within.is_some());
    drop(before);
    assert_eq!(remaining(), Some(0));
    breakers.follow("c", &Values::default());
    assert_eq!(remaining(), Some(4));
    drop(within);
    assert_eq!(remaining(), Some(5));
}

#[test]
fn remaining_places_are_told_only_when_tracked() {
    let limits = Thresholds { max_pending_requests: 2, track_remaining: true, ..Thresholds::default() };
    let breakers = breakers(limits);
    let remaining = || breakers.default.remaining_gauge(Resource::Pending).map(|gauge| gauge.value());
    assert_eq!(remaining(), Some(2));
    let waiting = [(); 3].map(|()| breakers.default.take(Resource::Pending));
    assert_eq!(remaining(), Some(0));
    drop(waiting);
    assert_eq!(remaining(), Some(2));
    assert!(breakers.high.remaining_gauge(Resource::Pending).is_none());
}

#[test]
fn with_a_budget_the_limit_of_retries_is_told_until_one_is_asked_for() {
    let budget = Some(RetryBudget { min_retry_concurrency: 9, ..RetryBudget::default() });
    let limits = Thresholds { retry_budget: budget, track_remaining: true, ..Thresholds::default() };
    let breakers = breakers(limits);
    let remaining = || breakers.default.any_remaining_gauge(Resource::Retries).map(|gauge| gauge.value());
    assert_eq!(remaining(), Some(3));
    let retry = breakers.default.try_retry();
    assert_eq!((retry.is_some(), remaining()), (true, Some(0)));
    drop(retry);
    assert_eq!(remaining(), Some(0));
    let pools = breakers.default.any_remaining_gauge(Resource::Pools).map(|gauge| gauge.value());
    assert_eq!(pools, Some(u64::MAX));
}

#[test]
fn a_retry_that_no_budget_has_room_for_is_asked_for_too() {
    let budget = Some(RetryBudget { min_retry_concurrency: 0, ..RetryBudget::default() });
    let limits = Thresholds { retry_budget: budget, track_remaining: true, ..Thresholds::default() };
    let breakers = breakers(limits);
    assert!(breakers.default.try_retry().is_none());
    let told = breakers.default.any_remaining_gauge(Resource::Retries).map(|gauge| gauge.value());
    assert_eq!(told, Some(0));
}
