//! Looks after what the pools of a worker keep: idle connections that have had their time or that their host has closed,
//! those to hosts that are gone, and clusters that are.
//!
//! Each round of a second goes from cluster to cluster in steps. To close a connection takes the kernel ten to twenty
//! microseconds on this thread, and hosts that come and go leave hundreds a second: all at once, requests would wait
//! for milliseconds. Envoy closes them at each update, as they come.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::http::Worker;

/// Time between two looks at the same connection.
const ROUND: Duration = Duration::from_secs(1);

/// So many clusters cost too little to be looked at in more than one step.
const FEW: usize = 16;

/// Steps of a round at most: an idle proxy with many clusters is to sleep for most of the time.
const STEPS: usize = 50;

/// Looks after the pools of a worker for as long as it is polled.
pub(super) async fn keep_sweeping(worker: &Worker) -> Infallible {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let snapshot = worker.snapshot();
        worker.pools.retain(|cluster| {
            snapshot.clusters.get(&cluster.name).is_some_and(|current| current.id == cluster.id)
        });
        drop(snapshot);
        in_steps(&worker.pools.all(), |pool| pool.sweep(Instant::now())).await;
    }
}

/// Does something with each, a few at a time, within a round.
async fn in_steps<T>(all: &[T], mut each: impl FnMut(&T)) {
    let count = all.len().div_ceil(STEPS).max(FEW);
    let pause = ROUND / (all.len().div_ceil(count) as u32 + 1);
    for (index, step) in all.chunks(count).enumerate() {
        if index > 0 {
            sleep(pause).await;
        }
        step.iter().for_each(&mut each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are looked at in one step at most, in how many steps, and in what time.
    async fn walk(count: usize) -> (usize, usize, Duration) {
        let begun = Instant::now();
        let mut seen: Vec<Duration> = Vec::new();
        in_steps(&vec![(); count], |()| seen.push(begun.elapsed())).await;
        assert_eq!(seen.len(), count);
        let steps: Vec<_> = seen.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
        (steps.iter().copied().max().unwrap_or_default(), steps.len(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn few_clusters_are_looked_at_in_one_step() {
        for count in [0, 1, FEW] {
            assert_eq!(walk(count).await, (count, count.min(1), Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_clusters_are_spread_over_less_than_a_round() {
        for (count, most, steps) in [(FEW + 1, FEW, 2), (1_000, 20, 50), (10_000, 200, 50)] {
            let (found_most, found_steps, took) = walk(count).await;
            assert_eq!((found_most, found_steps), (most, steps), "{count}");
            assert!(took >= ROUND / 4 && took < ROUND, "{count}: {took:?}");
        }
    }
}
