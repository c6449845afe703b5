//! How many workers run when nobody says: as many as there are CPUs this process may use, which is the least
//! of those in its affinity mask and the whole CPUs of its cgroup's quota, and at least one.
//!
//! As Envoy does, the quota is read of the process's own cgroup only, a fraction is dropped, a version 1
//! controller wins over version 2, and `ENVOY_CGROUP_CPU_DETECTION=false` leaves the quota out.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// The number of workers for `--concurrency` without a value.
pub(super) fn usable() -> u32 {
    let detect = std::env::var("ENVOY_CGROUP_CPU_DETECTION");
    let quota = match detect {
        Ok(value) if value.eq_ignore_ascii_case("false") => None,
        _ => quota(Path::new("/")),
    };
    least(affinity(), quota)
}

fn least(affinity: Option<u32>, quota: Option<u32>) -> u32 {
    let affinity = affinity.filter(|count| *count > 0).unwrap_or_else(online);
    affinity.min(quota.unwrap_or(affinity)).max(1)
}

/// For a system that does not tell the affinity.
fn online() -> u32 {
    let count = std::thread::available_parallelism().ok().map(|count| u32::try_from(count.get()));
    count.and_then(Result::ok).unwrap_or(1)
}

fn affinity() -> Option<u32> {
    let set = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let count = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
    u32::try_from(count).ok()
}

/// The whole CPUs that the quota of this process's cgroup allows, at least one; `None` without a quota.
/// `root` is where the file system begins.
fn quota(root: &Path) -> Option<u32> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let (quota, period) = match v1_group(&groups) {
        Some(group) => v1_quota(root, &directory(&mounts, group, is_v1_cpu)?)?,
        None => v2_quota(root, &directory(&mounts, v2_group(&groups)?, is_v2)?)?,
    };
    let cpus = quota.checked_div(period)?;
    Some(u32::try_from(cpus).unwrap_or(u32::MAX).max(1))
}

/// The path of the group under the version 1 `cpu` controller, from `/proc/self/cgroup`.
fn v1_group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "cpu").then_some(path)
    })
}

fn v2_group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Where the group's files are: below the first mount that `wanted` accepts by its file system and options.
fn directory(mounts: &str, group: &str, wanted: fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (filesystem, options) = (kind.next()?, kind.nth(1)?);
        let mut place = place.split(' ').skip(3);
        let (mount_root, mount_point) = (place.next()?, place.next()?);
        // In a container the mount shows only the part of the tree from its own group down.
        let below = group.strip_prefix(mount_root).unwrap_or(if mount_root == "/" { group } else { "" });
        wanted(filesystem, options).then(|| Path::new(mount_point).join(below.trim_start_matches('/')))
    })
}

fn is_v1_cpu(filesystem: &str, options: &str) -> bool {
    filesystem == "cgroup" && options.split(',').any(|option| option == "cpu")
}

fn is_v2(filesystem: &str, _options: &str) -> bool {
    filesystem == "cgroup2"
}

fn v1_quota(root: &Path, directory: &Path) -> Option<(u64, u64)> {
    // -1, no quota, is no unsigned number.
    let quota = read(root, &directory.join("cpu.cfs_quota_us"))?.trim().parse().ok()?;
    let period = read(root, &directory.join("cpu.cfs_period_us"))?.trim().parse().ok()?;
    Some((quota, period))
}

fn v2_quota(root: &Path, directory: &Path) -> Option<(u64, u64)> {
    let text = read(root, &directory.join("cpu.max"))?;
    let (quota, period) = text.trim().split_once(' ')?;
    // `max`, no quota, is no number.
    Some((quota.parse().ok()?, period.parse().ok()?))
}

fn read(root: &Path, path: &Path) -> Option<String> {
    fs::read_to_string(root.join(path.strip_prefix("/").unwrap_or(path))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_MOUNT: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_MOUNT: &str = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

    /// Lays `files` out as a file system and reads the quota from it.
    fn quota_of(name: &str, files: &[(&str, &str)]) -> Option<u32> {
        let root = std::env::temp_dir().join(format!("dragoman-cpus-{}-{name}", std::process::id()));
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let quota = quota(&root);
        fs::remove_dir_all(&root).unwrap();
        quota
    }

    fn v2(name: &str, max: &str) -> Option<u32> {
        quota_of(
            name,
            &[
                ("proc/self/cgroup", "0::/pod/app\n"),
                ("proc/self/mountinfo", V2_MOUNT),
                ("sys/fs/cgroup/pod/app/cpu.max", max),
            ],
        )
    }

    #[test]
    fn a_quota_counts_whole_cpus_and_at_least_one() {
        assert_eq!(v2("two-and-a-half", "250000 100000\n"), Some(2));
        assert_eq!(v2("half", "50000 100000\n"), Some(1));
    }

    #[test]
    fn what_is_no_quota_limits_nothing() {
        assert_eq!(v2("max", "max 100000\n"), None);
        assert_eq!(v2("odd", "lots\n"), None);
        assert_eq!(v2("zero", "1 0\n"), None);
        assert_eq!(quota_of("nothing", &[("proc/self/cgroup", "")]), None);
    }

    #[test]
    fn a_version_1_controller_wins() {
        let group = "4:cpu,cpuacct:/app\n0::/app\n";
        let files = |quota| {
            [
                ("proc/self/cgroup", group),
                ("proc/self/mountinfo", V1_MOUNT),
                ("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", quota),
                ("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n"),
            ]
        };
        assert_eq!(quota_of("v1", &files("300000\n")), Some(3));
        assert_eq!(quota_of("v1-none", &files("-1\n")), None);
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top_of_the_mount() {
        let mount = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        let files = [
            ("proc/self/cgroup", "0::/docker/abc\n"),
            ("proc/self/mountinfo", mount),
            ("sys/fs/cgroup/cpu.max", "400000 100000\n"),
        ];
        assert_eq!(quota_of("container", &files), Some(4));
    }

    #[test]
    fn the_least_of_all_limits_counts() {
        assert_eq!(least(Some(4), Some(2)), 2);
        assert_eq!(least(Some(2), Some(4)), 2);
        assert_eq!(least(Some(8), None), 8);
        assert_eq!(least(Some(0), None), online());
    }

    #[test]
    fn this_process_may_use_at_least_one_cpu() {
        assert!((1..=affinity().unwrap()).contains(&usable()));
    }
}
