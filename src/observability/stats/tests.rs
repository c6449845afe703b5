use std::sync::Arc;

use super::*;
use crate::config::bootstrap::StatsMatcher;

crate::stats! {
    /// One of each.
    struct Sample {
        counter total;
        gauge active;
        histogram length_ms (Milliseconds);
        codes rq;
        lazy_codes external_rq = "external.rq";
        text version_text;
    }
}

fn names(registry: &Registry) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), registry.cursor());
    while cursor.next(|stat| names.push(stat.full_name())) {}
    names
}

#[test]
fn shards_are_summed() {
    let registry = Registry::new(2);
    let stats = Sample::new(&registry, "a.");
    stats.total().inc();
    std::thread::scope(|scope| {
        for shard in 1..=2 {
            let stats = stats.clone();
            scope.spawn(move || {
                enter_shard(shard);
                stats.total().add(10);
                stats.active().dec();
                stats.rq().inc(503);
                stats.length_ms().record(7);
            });
        }
    });
    stats.active().add(2);
    assert_eq!((stats.total().value(), stats.active().value(), stats.rq().value(503)), (21, 0, 2));
    assert_eq!(stats.length_ms().totals().count(), 2);
}

#[test]
fn a_prefix_in_use_is_shared_and_one_no_longer_in_use_is_gone() {
    let registry = Registry::new(1);
    let stats = Sample::new(&registry, "a.");
    stats.total().inc();
    assert_eq!(Sample::new(&registry, "a.").total().value(), 1);
    drop(stats);
    assert!(names(&registry).is_empty());
    assert_eq!(Sample::new(&registry, "a.").total().value(), 0);
}

#[test]
fn the_walk_is_in_order_of_names_where_blocks_interleave() {
    let registry = Registry::new(1);
    let (a, b) = (Sample::new(&registry, "a."), Sample::new(&registry, "a.m."));
    a.rq().inc(204);
    b.external_rq().inc(700);
    let names = names(&registry);
    assert!(names.is_sorted(), "{names:?}");
    let of_a: Vec<_> = names.iter().filter(|name| !name.contains(".m.")).collect();
    assert_eq!(
        of_a,
        ["a.active", "a.length_ms", "a.rq_204", "a.rq_2xx", "a.rq_completed", "a.total", "a.version_text"]
    );
    assert!(names.contains(&"a.m.external.rq_700".to_owned()));
}

#[test]
fn reset_counters_leaves_gauges() {
    let registry = Registry::new(1);
    let stats = Sample::new(&registry, "");
    stats.total().inc();
    stats.active().inc();
    stats.rq().inc(200);
    registry.reset_counters();
    stats.total().add(2);
    assert_eq!((stats.total().value(), stats.active().value(), stats.rq().value(200)), (2, 1, 0));
}

#[test]
fn a_histogram_shows_what_came_before_the_last_flush() {
    let registry = Registry::new(1);
    let stats = Sample::new(&registry, "");
    let latch = || {
        let (mut found, mut cursor) = (None, registry.cursor());
        while cursor.next(|stat| {
            if let Value::Histogram(_, latch) = stat.value {
                found = latch;
            }
        }) {}
        found.map(|latch| (latch.interval.count(), latch.cumulative.count()))
    };
    stats.length_ms().record(1);
    assert_eq!(latch(), None);
    registry.latch_histograms();
    assert_eq!(latch(), Some((1, 1)));
    stats.length_ms().record(1);
    registry.latch_histograms();
    stats.length_ms().record(1);
    assert_eq!(latch(), Some((1, 2)));
}

#[test]
fn texts_are_empty_until_set() {
    let stats = Sample::new(&Registry::new(1), "");
    assert_eq!(&*stats.version_text().value(), "");
    stats.version_text().set("7");
    assert_eq!(&*stats.version_text().value(), "7");
}

#[test]
fn what_is_not_in_force_has_no_say_in_statistics_that_are_there() {
    let registry = Registry::new(1);
    let kept = Sample::new(&registry, "a.");
    let none = Arc::new(StatsMatcher::None);
    let warming = registry.warming(Some(&none));
    let (again, new) = (Sample::new(&warming, "a."), Sample::new(&warming, "b."));
    let keeps = |prefix: &str| {
        let blocks = registry.sorted_blocks();
        let block = blocks.iter().find(|block| block.prefix() == prefix).expect("a block");
        registry.keeps(block, "total")
    };
    assert_eq!((keeps("a."), keeps("b.")), (true, false));
    warming.put_in_force();
    assert_eq!((keeps("a."), keeps("b.")), (false, false));
    drop((kept, again, new));
}
