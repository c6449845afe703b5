//! Workers that each stay at a CPU of their own: `Bootstrap.enable_worker_cpu_affinity`.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread, to the system.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// At which CPU each of so many workers stays: as in Envoy the first at the first that this process may use, and so on; none
/// at any where there are more workers than CPUs.
pub(super) fn cpus(workers: usize) -> Vec<usize> {
    let usable = usable();
    let cpus = spread(&usable, workers);
    match &cpus[..] {
        [] => tracing::warn!(
            target: "config",
            "worker CPU affinity is enabled but no worker could be pinned for {workers} workers"
        ),
        cpus => tracing::info!(
            target: "config",
            ?cpus,
            "worker CPU affinity is enabled, pinning {workers} workers"
        ),
    }
    cpus
}

fn spread(usable: &[usize], workers: usize) -> Vec<usize> {
    usable.get(..workers).unwrap_or_default().to_vec()
}

/// The CPUs that this thread may use, in ascending order; none where the system does not tell.
fn usable() -> Vec<usize> {
    let set = sched_getaffinity(THIS_THREAD).ok();
    let is_usable = |cpu: &usize| set.is_some_and(|set| set.is_set(*cpu).unwrap_or(false));
    (0..CpuSet::count()).filter(is_usable).collect()
}

/// Lets the calling thread stay at a CPU.
pub(super) fn stay_at(cpu: usize) {
    let mut set = CpuSet::new();
    let done = set.set(cpu).and_then(|()| sched_setaffinity(THIS_THREAD, &set));
    if let Err(error) = done {
        tracing::warn!(target: "config", cpu, %error, "a worker cannot stay at its CPU");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_has_a_cpu_or_none_has() {
        assert_eq!(spread(&[1, 4, 7], 2), [1, 4]);
        assert_eq!(spread(&[1, 4, 7], 3), [1, 4, 7]);
        assert!(spread(&[1, 4, 7], 4).is_empty());
    }

    #[test]
    fn a_thread_that_stays_at_a_cpu_may_use_no_other() {
        let last = *usable().last().expect("a CPU");
        let after = std::thread::spawn(move || {
            stay_at(last);
            usable()
        });
        assert_eq!(after.join().expect("a thread that ends"), [last]);
    }
}
