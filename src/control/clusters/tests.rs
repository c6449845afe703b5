//! CDS and EDS without a control plane, DNS or a clock.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::*;
use crate::base::random::Rng;
use crate::config::LoadAssignment;
use crate::config::cluster::Discovery;
use crate::config::field::{self, Notes};
use crate::config::source::SourceKind;
use crate::observability::stats::Registry;
use crate::upstream::Cluster;
use crate::upstream::discovery::dns::Resolution;
use crate::upstream::testing::{ClusterBuilder, endpoint};

const TIMEOUT: Duration = Duration::from_secs(15);

fn ads() -> ConfigSource {
    ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: TIMEOUT }
}

fn clusters() -> Clusters {
    Clusters::new(Manager::new(Registry::new(0)), Some(ads()))
}

/// An EDS cluster; `version` makes configurations differ.
fn eds(name: &str, service: &str, version: u32) -> config::Cluster {
    let mut config = ClusterBuilder::new(name).config;
    config.discovery = Discovery::Eds { service_name: service.to_owned(), source: ads() };
    config.buffer.limit_bytes = Some(version);
    config
}

fn fixed_hosts(name: &str, version: u32) -> config::Cluster {
    let builder = ClusterBuilder::new(name).hosts([endpoint(1)]);
    let mut config = builder.config;
    config.discovery = Discovery::Static(builder.assignment);
    config.buffer.limit_bytes = Some(version);
    config
}

fn change<T>(name: &str, body: Body<T>) -> Change<T> {
    let value = Bytes::copy_from_slice(name.as_bytes());
    let record =
        Record { version: "1".to_owned(), value, last_updated: SystemTime::UNIX_EPOCH, notes: Notes::new() };
    Change { name: name.to_owned(), record, body }
}

fn new(config: config::Cluster) -> Change<config::Cluster> {
    change(&config.name.clone(), Body::New(Arc::new(config)))
}

fn bad(name: &str) -> Change<config::Cluster> {
    let message = "wrong".to_owned();
    let error = field::Error { path: "lb_policy".to_owned(), message, kind: field::ErrorKind::Apply };
    change(name, Body::Bad(vec![error]))
}

/// Plays one response of CDS.
fn push(
    clusters: &mut Clusters,
    changes: Vec<Change<config::Cluster>>,
    gone: &[&str],
    now: Instant,
    ticket: u64,
) {
    let problems = clusters.update(changes, now);
    let gone: Vec<String> = gone.iter().map(|&name| name.to_owned()).collect();
    clusters.finish(&gone, &problems, Ticket(ticket));
}

/// Endpoints of a service arrive from the only source.
fn arrive(clusters: &mut Clusters, service: &str, port: u16) {
    let assignment = ClusterBuilder::assignment([endpoint(port)]);
    assert_eq!(
        clusters.update_endpoints(0, change(service, Body::New(Arc::new(assignment))), Instant::now()),
        None
    );
}

fn answers(clusters: &mut Clusters) -> Vec<(u64, Verdict)> {
    let settled = |effect| match effect {
        Effect::Settle(Ticket(ticket), verdict) => Some((ticket, verdict)),
        Effect::Resolve(_)
        | Effect::ResolveNames(_)
        | Effect::StopWatching(_)
        | Effect::Watch(_)
        | Effect::StopResolving(_) => None,
    };
    clusters.take_effects().into_iter().filter_map(settled).collect()
}

fn wanted(clusters: &mut Clusters) -> Vec<Vec<String>> {
    clusters.take_wanted_endpoints().into_iter().map(|(_, names)| names.into_iter().collect()).collect()
}

fn active(clusters: &Clusters, name: &str) -> Option<Arc<Cluster>> {
    clusters.manager().active().get(name).cloned()
}

#[test]
fn an_eds_cluster_serves_once_its_endpoints_are_there() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    assert_eq!(wanted(&mut clusters), [["a"]]);
    assert!(active(&clusters, "a").is_none() && clusters.is_warming());
    arrive(&mut clusters, "a", 80);
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.hosts().len()), Some(1));
    assert!(!clusters.is_warming());
}

#[test]
fn endpoints_go_stale_unless_they_come_again() {
    let (mut clusters, start) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], start, 1);
    let at = |seconds| start + Duration::from_secs(seconds);
    let assignment = ClusterBuilder::assignment([endpoint(80)]);
    let assignment = LoadAssignment { stale_after: Some(Duration::from_secs(10)), ..assignment };
    let came = |clusters: &mut Clusters, body, seconds| {
        assert_eq!(clusters.update_endpoints(0, change("a", body), at(seconds)), None);
    };
    came(&mut clusters, Body::New(Arc::new(assignment.clone())), 0);
    let cluster = active(&clusters, "a").expect("it has endpoints");
    came(&mut clusters, Body::Same, 9);
    clusters.expire(at(18));
    assert_eq!((cluster.hosts().len(), clusters.next_deadline()), (1, Some(at(19))));
    clusters.expire(at(19));
    assert_eq!((cluster.hosts().len(), clusters.next_deadline()), (0, None));
    came(&mut clusters, Body::Same, 20);
    assert_eq!((cluster.hosts().len(), clusters.next_deadline()), (1, Some(at(30))));
    came(&mut clusters, Body::New(Arc::new(LoadAssignment { stale_after: None, ..assignment })), 21);
    assert_eq!((cluster.hosts().len(), clusters.next_deadline()), (1, None));
    let stats = &cluster.membership;
    assert_eq!((stats.assignment_timeout_received().value(), stats.assignment_stale().value()), (3, 1));
    came(
        &mut clusters,
        Body::New(Arc::new(LoadAssignment { stale_after: Some(Duration::MAX), ..Default::default() })),
        22,
    );
    push(&mut clusters, Vec::new(), &["a"], at(23), 2);
    assert_eq!(clusters.next_deadline(), None);
}

#[test]
fn a_source_that_nothing_is_wanted_of_goes_and_its_number_is_not_given_again() {
    let (mut clusters, now) = (clusters(), Instant::now());
    let wanted = |clusters: &mut Clusters| -> Vec<(usize, usize)> {
        let wanted = clusters.take_wanted_endpoints();
        wanted.into_iter().map(|(source, names)| (source, names.len())).collect()
    };
    for round in 0..3 {
        push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
        assert_eq!(wanted(&mut clusters), [(round, 1)]);
        push(&mut clusters, Vec::new(), &["a"], now, 2);
        assert_eq!(wanted(&mut clusters), [(round, 0)]);
        clusters.forget_source(round);
        assert!(!clusters.endpoints().is_current(round, "a", b"what still comes reaches nobody"));
    }
    assert!((0..4).all(|source| !clusters.endpoints.has_source(source)));
}

#[test]
fn the_answer_waits_for_the_clusters_of_the_response() {
    let (mut clusters, now) = (clusters(), Instant::now());
    clusters.withhold_answers();
    push(&mut clusters, vec![new(eds("a", "a", 1)), bad("b")], &[], now, 1);
    assert_eq!(answers(&mut clusters), []);
    arrive(&mut clusters, "a", 80);
    let answers = answers(&mut clusters);
    let [(1, Verdict::Nack { error, rejected, .. })] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(error, "Error adding/updating cluster(s) b: lb_policy: wrong");
    assert_eq!(rejected, &["b"]);
}

#[test]
fn the_first_response_is_answered_at_once() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    assert_eq!(answers(&mut clusters), [(1, Verdict::Ack)]);
}

#[test]
fn a_cluster_without_endpoints_serves_after_the_timeout() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    assert_eq!(clusters.next_deadline(), Some(now + TIMEOUT));
    clusters.expire(now + TIMEOUT - Duration::from_millis(1));
    assert!(active(&clusters, "a").is_none());
    clusters.expire(now + TIMEOUT);
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.hosts().len()), Some(0));
    assert_eq!(clusters.next_deadline(), None);
}

#[test]
fn a_changed_cluster_takes_the_endpoints_it_had_after_the_timeout() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    arrive(&mut clusters, "a", 80);
    let old = active(&clusters, "a").map(|cluster| cluster.id);
    push(&mut clusters, vec![new(eds("a", "a", 2))], &[], now, 2);
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.id), old, "the old one serves on");
    clusters.expire(now + TIMEOUT);
    let new = active(&clusters, "a");
    assert_ne!(new.as_ref().map(|cluster| cluster.id), old);
    assert_eq!(new.map(|cluster| cluster.hosts().len()), Some(1));
}

#[test]
fn endpoints_that_come_again_unchanged_warm_a_changed_cluster() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    arrive(&mut clusters, "a", 80);
    push(&mut clusters, vec![new(eds("a", "a", 2))], &[], now, 2);
    assert_eq!(clusters.update_endpoints(0, change("a", Body::Same), now), None);
    assert!(!clusters.is_warming());
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.hosts().len()), Some(1));
}

#[test]
fn a_new_cluster_takes_the_endpoints_that_another_has() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "shared", 1))], &[], now, 1);
    arrive(&mut clusters, "shared", 80);
    push(&mut clusters, vec![new(eds("b", "shared", 1))], &[], now, 2);
    assert_eq!(active(&clusters, "b").map(|cluster| cluster.hosts().len()), Some(1));
}

#[test]
fn a_cluster_that_goes_and_comes_back_before_its_source_is_asked_keeps_its_endpoints() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    assert_eq!(wanted(&mut clusters), [["a"]]);
    arrive(&mut clusters, "a", 80);
    push(&mut clusters, vec![], &["a"], now, 2);
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 3);
    assert_eq!(wanted(&mut clusters), [["a"]], "which is nothing new to the source");
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.hosts().len()), Some(1));
}

#[test]
fn endpoints_are_forgotten_once_their_source_knows_that_nobody_wants_them() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    arrive(&mut clusters, "a", 80);
    push(&mut clusters, vec![], &["a"], now, 2);
    assert_eq!(wanted(&mut clusters), [[""; 0]]);
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 3);
    assert!(clusters.is_warming(), "they come again");
}

#[test]
fn endpoints_change_inside_the_live_cluster() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    arrive(&mut clusters, "a", 80);
    let before = (active(&clusters, "a").map(|cluster| cluster.id), Arc::clone(clusters.manager().active()));
    arrive(&mut clusters, "a", 81);
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.id), before.0);
    assert!(Arc::ptr_eq(clusters.manager().active(), &before.1), "nothing has to be published");
}

#[test]
fn services_are_asked_for_exactly_while_a_cluster_wants_them() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(
        &mut clusters,
        vec![new(eds("a", "x", 1)), new(eds("b", "x", 1)), new(eds("c", "z", 1))],
        &[],
        now,
        1,
    );
    assert_eq!(wanted(&mut clusters), [["x", "z"]]);
    arrive(&mut clusters, "x", 80);
    push(&mut clusters, vec![new(eds("a", "y", 1))], &["c"], now, 2);
    assert_eq!(wanted(&mut clusters), [["x", "y"]], "the old a serves on with x, as does b");
    push(&mut clusters, vec![], &["b"], now, 3);
    assert_eq!(wanted(&mut clusters), Vec::<Vec<String>>::new(), "the old a still wants x");
    arrive(&mut clusters, "y", 81);
    assert_eq!(wanted(&mut clusters), [["y"]]);
}

#[test]
fn a_nack_keeps_the_last_good_version() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(fixed_hosts("a", 1))], &[], now, 1);
    let good = active(&clusters, "a").map(|cluster| cluster.id);
    push(&mut clusters, vec![bad("a"), new(fixed_hosts("b", 1))], &[], now, 2);
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.id), good);
    assert!(active(&clusters, "b").is_some(), "the good ones of the response are in force");
    let states = clusters.resources().find("a");
    assert!(states.is_some_and(|states| states.active.is_some() && states.error.is_some()));
    push(&mut clusters, vec![change("a", Body::Same)], &[], now, 3);
    assert!(clusters.resources().find("a").is_some_and(|states| states.error.is_none()));
}

#[test]
fn a_cluster_whose_endpoints_are_rejected_keeps_those_it_had() {
    let (mut clusters, now) = (clusters(), Instant::now());
    push(&mut clusters, vec![new(eds("a", "a", 1))], &[], now, 1);
    arrive(&mut clusters, "a", 80);
    push(&mut clusters, vec![new(eds("a", "a", 2)), new(eds("b", "b", 1))], &[], now, 2);
    let message = "wrong".to_owned();
    let error = field::Error { path: "endpoints".to_owned(), message, kind: field::ErrorKind::Apply };
    assert!(clusters.update_endpoints(0, change("a", Body::Bad(vec![error])), now).is_some());
    assert_eq!(active(&clusters, "a").map(|cluster| cluster.hosts().len()), Some(1));
    assert!(active(&clusters, "b").is_none(), "its endpoints may still come");
    clusters.rejected(0);
    assert_eq!(active(&clusters, "b").map(|cluster| cluster.hosts().len()), Some(0));
}

#[test]
fn clusters_of_the_bootstrap_are_left_alone() {
    let (mut clusters, now) = (clusters(), Instant::now());
    clusters.add_fixed(Arc::new(fixed_hosts("xds", 1)), now);
    let fixed = active(&clusters, "xds").map(|cluster| cluster.id);
    push(&mut clusters, vec![new(fixed_hosts("xds", 2))], &["xds"], now, 1);
    assert_eq!(active(&clusters, "xds").map(|cluster| cluster.id), fixed);
}

#[test]
fn names_are_resolved_while_a_cluster_with_dns_is_there() {
    let (mut clusters, now) = (clusters(), Instant::now());
    let mut config = ClusterBuilder::new("a").config;
    let dns = config::cluster::Dns::default();
    config.discovery = Discovery::StrictDns(LoadAssignment::default(), dns);
    push(&mut clusters, vec![new(config)], &[], now, 1);
    let [Effect::Resolve(cluster), Effect::Settle(..)] = &clusters.take_effects()[..] else {
        panic!("the names are to be resolved");
    };
    clusters.resolved(cluster, Resolution::First);
    assert!(active(&clusters, "a").is_some());
    push(&mut clusters, vec![], &["a"], now, 2);
    assert!(matches!(clusters.take_effects()[0], Effect::StopResolving(id) if id == cluster.id));
}

#[test]
fn whatever_is_pushed_a_cluster_that_served_goes_on_serving() {
    let mut rng = Rng::seeded(21);
    let (mut clusters, mut now) = (clusters(), Instant::now());
    clusters.withhold_answers();
    let names = ["a", "b", "c", "d"];
    let (mut asked, mut answered) = (0, Vec::new());
    for _ in 0..4_000 {
        let before: Vec<&str> = names.into_iter().filter(|name| active(&clusters, name).is_some()).collect();
        let name = names[rng.below(4) as usize];
        let mut removed = None;
        match rng.below(6) {
            0 | 1 => {
                let config = match rng.below(3) {
                    0 => fixed_hosts(name, rng.below(3) as u32),
                    _ => eds(name, ["x", "y"][rng.below(2) as usize], rng.below(3) as u32),
                };
                asked += 1;
                push(&mut clusters, vec![new(config)], &[], now, asked);
            }
            2 => {
                asked += 1;
                removed = Some(name);
                push(&mut clusters, vec![], &[name], now, asked);
            }
            3 => {
                asked += 1;
                push(&mut clusters, vec![bad(name)], &[], now, asked);
            }
            4 if clusters.endpoints.has_source(0) => {
                arrive(&mut clusters, ["x", "y"][rng.below(2) as usize], rng.below(3) as u16 + 1);
            }
            _ => {
                now += Duration::from_secs(rng.below(10));
                clusters.expire(now);
            }
        }
        answered.extend(answers(&mut clusters).into_iter().map(|(ticket, _)| ticket));
        for name in before.into_iter().filter(|&name| removed != Some(name)) {
            assert!(active(&clusters, name).is_some(), "{name} served and was not removed");
        }
        assert_eq!(clusters.is_warming(), !clusters.manager().warming().is_empty());
        if !clusters.is_warming() {
            assert_eq!(answered.len() as u64, asked, "no answer is forgotten");
        }
    }
    assert!(answered.is_sorted(), "answers keep their order");
}
