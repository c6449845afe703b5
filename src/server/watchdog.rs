//! Watchdogs: whether the threads get round to their work. As Envoy's, they count stalls: `server.<thread>.watchdog_*`.
//!
//! Each watched thread beats at its own pace; a thread of its own looks whether it did.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::observability::stats::Registry;
use crate::observability::stats::server::WatchdogStats;

/// Time between two beats, and between two looks.
const PACE: Duration = Duration::from_millis(100);
/// Silence that counts as a miss: Envoy's default.
const MISS: Duration = Duration::from_millis(200);
/// Silence that counts as a mega miss: Envoy's default.
const MEGA_MISS: Duration = Duration::from_secs(1);
/// The watching thread does next to nothing.
const STACK_BYTES: usize = 64 * 1024;

/// What a watched thread beats.
#[derive(Clone, Debug)]
pub(super) struct Heart {
    /// Milliseconds from `epoch` to the last beat.
    last: Arc<AtomicU64>,
    epoch: Instant,
}

impl Heart {
    fn new(epoch: Instant) -> Self {
        let heart = Heart { last: Arc::default(), epoch };
        heart.beat();
        heart
    }

    fn beat(&self) {
        self.last.store(self.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Beats for ever. To be run on the thread's own loop.
    pub(super) async fn keep_beating(self) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.beat();
        }
    }
}

/// The hearts of all threads, not watched yet.
#[derive(Debug)]
pub(super) struct Hearts {
    /// The main thread's, then those of the workers.
    all: Vec<Heart>,
}

impl Hearts {
    /// For the main thread and this many workers.
    pub(super) fn new(workers: usize) -> Self {
        let epoch = Instant::now();
        Hearts { all: (0..=workers).map(|_| Heart::new(epoch)).collect() }
    }

    /// The main thread's.
    pub(super) fn main(&self) -> Heart {
        self.all[0].clone()
    }

    /// Those of the workers.
    pub(super) fn workers(&self) -> &[Heart] {
        &self.all[1..]
    }

    /// Watches until what is returned is dropped.
    ///
    /// # Errors
    /// A thread that the system does not give.
    pub(super) fn watch(self, registry: &Registry) -> io::Result<Sender<()>> {
        let groups =
            ["main_thread.", "workers."].map(|prefix| Arc::new(WatchdogStats::new(registry, prefix)));
        let watched = registry.thread_names().zip(self.all).enumerate();
        let mut watched: Vec<Watched> = watched
            .map(|(index, (thread, heart))| Watched {
                heart,
                stats: WatchdogStats::new(registry, &format!("server.{thread}.")),
                group: Arc::clone(&groups[usize::from(index > 0)]),
                stall: Stall::default(),
            })
            .collect();
        let (end, ended): (Sender<()>, Receiver<()>) = channel();
        Builder::new().name("dog:watchdog".to_owned()).stack_size(STACK_BYTES).spawn(move || {
            while ended.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                watched.iter_mut().for_each(Watched::look);
            }
        })?;
        Ok(end)
    }
}

/// A thread, as the watchdog sees it.
struct Watched {
    heart: Heart,
    stats: WatchdogStats,
    group: Arc<WatchdogStats>,
    stall: Stall,
}

impl Watched {
    fn look(&mut self) {
        // A thread that has ended has dropped its part, and misses nothing.
        if Arc::strong_count(&self.heart.last) == 1 {
            return;
        }
        let now = self.heart.epoch.elapsed();
        let last = Duration::from_millis(self.heart.last.load(Ordering::Relaxed));
        let (missed, mega_missed) = self.stall.look(last, now);
        for stats in [&self.stats, &*self.group] {
            stats.watchdog_miss().add(missed.into());
            stats.watchdog_mega_miss().add(mega_missed.into());
        }
    }
}

/// What of a silence is counted already: each counts once, however long it is.
#[derive(Debug, Default)]
struct Stall {
    /// The last beat before the silence that a miss was counted for.
    missed: Option<Duration>,
    mega_missed: Option<Duration>,
}

impl Stall {
    /// Whether a miss and a mega miss are to be counted.
    fn look(&mut self, last: Duration, now: Duration) -> (bool, bool) {
        let silence = now.saturating_sub(last);
        let counts =
            |counted: &mut Option<Duration>, bound| silence > bound && counted.replace(last) != Some(last);
        (counts(&mut self.missed, MISS), counts(&mut self.mega_missed, MEGA_MISS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_counts_once_however_long_it_is() {
        let mut stall = Stall::default();
        let mut look = |last, now| stall.look(Duration::from_millis(last), Duration::from_millis(now));
        assert_eq!(look(0, 200), (false, false));
        assert_eq!(look(0, 201), (true, false));
        assert_eq!(look(0, 900), (false, false));
        assert_eq!(look(0, 1001), (false, true));
        assert_eq!(look(0, 5000), (false, false));
        assert_eq!(look(5000, 5100), (false, false));
        assert_eq!(look(5000, 5300), (true, false), "a new silence");
    }

    #[test]
    fn a_thread_that_has_ended_misses_nothing() {
        let registry = Registry::new(1);
        let heart = Heart::new(Instant::now() - Duration::from_secs(60));
        heart.last.store(0, Ordering::Relaxed);
        let stats = WatchdogStats::new(&registry, "server.worker_0.");
        let group = Arc::new(WatchdogStats::new(&registry, "workers."));
        let mut watched =
            Watched { heart: heart.clone(), stats: stats.clone(), group, stall: Stall::default() };
        drop(heart);
        watched.look();
        assert_eq!(stats.watchdog_miss().value(), 0);
    }
}
