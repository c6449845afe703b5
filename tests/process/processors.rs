//! Workers that stay at processors, and connections that come to them there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::common::Proxy;
use super::start_from;

const BOOTSTRAP: &str = r#"
enable_worker_cpu_affinity: true
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: web
    stat_prefix: web
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    connection_balance_config: {cpu_locality_balance: {}}
    filter_chains:
    - filters: [{name: echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]
"#;

/// The processors that this thread may use.
fn usable() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap()).collect()
}

/// Connects so many times from a thread that stays at a processor.
fn connect_from(cpu: usize, address: SocketAddr, times: usize) {
    let connecting = std::thread::spawn(move || {
        let mut set = CpuSet::new();
        set.set(cpu).unwrap();
        sched_setaffinity(Pid::from_raw(0), &set).unwrap();
        for _ in 0..times {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"a").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
    });
    connecting.join().unwrap();
}

/// The processors that each worker of a process may use, as the system tells.
fn of_workers(proxy: &Proxy) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", proxy.child.id())).unwrap();
    let mut found: Vec<(String, String)> = tasks
        .filter_map(|task| {
            let path = task.unwrap().path();
            let name = fs::read_to_string(path.join("comm")).ok()?;
            let status = fs::read_to_string(path.join("status")).ok()?;
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            name.starts_with("wrk:").then(|| (name, allowed.trim().to_owned()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, allowed)| allowed).collect()
}

#[test]
fn each_worker_stays_at_a_processor_and_gets_the_connections_that_come_there() {
    let cpus = usable();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bootstrap.yaml");
    fs::write(&config, BOOTSTRAP).unwrap();
    let proxy = start_from(&config, cpus.len(), directory.path());
    assert_eq!(of_workers(&proxy), cpus.iter().map(ToString::to_string).collect::<Vec<_>>());
    let address = proxy.listeners().unwrap()["web"];
    for (worker, cpu) in cpus.iter().enumerate() {
        connect_from(*cpu, address, 10);
        let path = format!("/stats?filter=web.worker_{worker}.downstream_cx_total");
        let shown = String::from_utf8(proxy.get(&path).unwrap().body).unwrap();
        assert_eq!(shown, format!("listener.web.worker_{worker}.downstream_cx_total: 10\n"));
    }
}

#[test]
fn workers_stay_nowhere_where_there_are_more_of_them_than_processors() {
    let cpus = usable();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bootstrap.yaml");
    fs::write(&config, BOOTSTRAP).unwrap();
    let proxy = start_from(&config, cpus.len() + 1, directory.path());
    let all = of_workers(&proxy);
    assert_eq!(all.len(), cpus.len() + 1);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    connect_from(cpus[0], proxy.listeners().unwrap()["web"], 1);
}
