//! Feeds a target for some time.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::corpus;
use crate::mutate::mutate;
use crate::random::Random;
use crate::targets::Target;

/// An input that takes longer than this hangs. Inputs are a few KiB and take microseconds to milliseconds.
const HANG: Duration = Duration::from_secs(20);

/// How a target fared.
#[derive(Debug)]
pub struct Report {
    /// How many inputs it took.
    pub runs: u64,
    /// The file with the input that made it panic.
    pub failure: Option<PathBuf>,
}

/// Runs `target` on mutations of its corpus until `duration` is over or one makes it panic.
///
/// The input at work is always in `fuzz/artifacts/TARGET`: it stays there when the process aborts, as it
/// does when memory or stack run out or the watchdog finds that an input hangs.
///
/// # Errors
///
/// When the corpus cannot be read or the artifact cannot be written.
pub fn run(target: &Target, duration: Duration, seed: u64) -> io::Result<Report> {
    let corpus = (target.seeds)()?;
    let mut random = Random::new(seed);
    let mut artifact = Artifact::create(target.name)?;
    let runs = Arc::new(AtomicU64::new(0));
    watch(target.name, &runs);
    let end = Instant::now() + duration;
    let mut failed = false;
    while !failed && Instant::now() < end {
        let input = mutate(&corpus, target.dictionary, &mut random);
        artifact.store(&input)?;
        failed = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err();
        runs.fetch_add(1, Ordering::Relaxed);
    }
    let count = runs.swap(DONE, Ordering::Relaxed);
    let failure = if failed { Some(artifact.path) } else { artifact.remove()? };
    Ok(Report { runs: count, failure })
}

/// Stands in the counter when a target is through.
const DONE: u64 = u64::MAX;

/// Ends the process when the counter stands still.
fn watch(name: &'static str, runs: &Arc<AtomicU64>) {
    let runs = Arc::clone(runs);
    std::thread::spawn(move || {
        let mut before = None;
        loop {
            std::thread::sleep(HANG);
            let now = runs.load(Ordering::Relaxed);
            if now == DONE {
                return;
            }
            if before == Some(now) {
                let message = format!("{name}: an input hangs; it is in fuzz/artifacts/{name}\n");
                io::stderr().write_all(message.as_bytes()).unwrap_or_default();
                std::process::abort();
            }
            before = Some(now);
        }
    });
}

/// The file that holds the input at work.
struct Artifact {
    path: PathBuf,
    file: File,
}

impl Artifact {
    fn create(name: &str) -> io::Result<Self> {
        let directory = corpus::repository().join("fuzz/artifacts");
        fs::create_dir_all(&directory)?;
        let path = directory.join(name);
        Ok(Self { file: File::create(&path)?, path })
    }

    fn store(&mut self, input: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(input)?;
        self.file.set_len(u64::try_from(input.len()).unwrap_or(u64::MAX))
    }

    fn remove(self) -> io::Result<Option<PathBuf>> {
        fs::remove_file(&self.path)?;
        Ok(None)
    }
}
