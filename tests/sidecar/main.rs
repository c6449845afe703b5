//! A proxy as a sidecar: it gets what iptables sends its way, and sends it where its client wanted it to go.
//!
//! Played with dragoman, and with Envoy where it is there, in network namespaces of the test's own: nothing of this
//! machine's network is touched. Where namespaces or iptables are not permitted there is nothing to play, and the tests
//! say so.

#![expect(clippy::unwrap_used, reason = "a test fails where its setup does")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod common;
mod network;

use std::path::{Path, PathBuf};

use network::{Beyond, answer, get, in_namespace, run};

/// The proxies to play with.
fn subjects() -> Vec<PathBuf> {
    [PathBuf::from(env!("CARGO_BIN_EXE_dragoman"))].into_iter().chain(common::envoy()).collect()
}

/// Plays in a namespace with each proxy, unless that is not permitted here.
#[expect(clippy::print_stdout, reason = "whoever runs the tests is told what was not played")]
fn play(scene: impl FnOnce(&Path) + Clone + Send + 'static) {
    if let Some(obstacle) = network::obstacle() {
        return println!("skipped, as the network of a test cannot be made here: {obstacle}");
    }
    for subject in subjects() {
        let scene = scene.clone();
        in_namespace(move || scene(&subject));
    }
}

/// Starts a proxy with files in a directory.
fn start(program: &Path, bootstrap: &str, directory: &Path) -> common::Proxy {
    let config = directory.join("bootstrap.yaml");
    let bootstrap = bootstrap.replace("{directory}", &directory.display().to_string());
    std::fs::write(&config, bootstrap).unwrap();
    let args = ["--concurrency", "1", "--disable-hot-restart"];
    common::Proxy::start(program, &config, &args, directory).unwrap()
}

/// The lines of the access log in alphabetical order, as one connection may end before another is known to have; a proxy
/// that has ended has written all.
fn log_of(mut proxy: common::Proxy, directory: &Path) -> Vec<String> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(proxy.child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    proxy.child.wait().unwrap();
    let text = std::fs::read_to_string(directory.join("access.log")).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn what_a_client_sends_out_is_captured_and_goes_where_it_was_sent() {
    play(|subject| {
        for host in 3..7 {
            run(&format!("ip addr add 10.1.2.{host}/32 dev lo"));
        }
        // The proxy's own connections have a mark, so that they are not sent back to it.
        run("iptables -t nat -A OUTPUT -p tcp -m mark --mark 1337 -j RETURN");
        run("iptables -t nat -A OUTPUT -p tcp -d 10.1.2.0/24 -j REDIRECT --to-ports 15001");
        answer("10.1.2.3:80", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nservice");
        answer("10.1.2.4:8080", "no protocol that anybody knows");
        let directory = tempfile::tempdir().unwrap();
        let proxy = start(subject, include_str!("outbound.yaml"), directory.path());

        let known = get(([10, 1, 2, 3], 80).into());
        assert!(known.starts_with("HTTP/1.1 200") && known.contains("x-captured: 10.1.2.3:80"), "{known}");
        assert!(known.contains("\r\nservice\r\n"), "{known}");
        let passed = get(([10, 1, 2, 4], 8080).into());
        assert_eq!(passed, "no protocol that anybody knows");
        let any_address = get(([10, 1, 2, 5], 9090).into());
        assert!(any_address.starts_with("HTTP/1.1 503"), "a black hole answers nothing: {any_address}");
        let nobody = get(([10, 1, 2, 6], 81).into());
        assert!(!nobody.contains("HTTP"), "nobody listens there: {nobody}");
        assert_eq!(
            log_of(proxy, directory.path()),
            [
                "any 10.1.2.5:9090 to - UH",
                "known 10.1.2.3:80 to 10.1.2.3:80 -",
                "passed 10.1.2.4:8080 to 10.1.2.4:8080 -",
                "passed 10.1.2.6:81 to 10.1.2.6:81 UF,URX",
            ],
            "{}",
            subject.display()
        );
    });
}

#[test]
fn what_comes_from_outside_is_captured_with_both_its_addresses() {
    play(|subject| {
        let beyond = Beyond::new("10.2.0.2", "10.2.0.1");
        run("iptables -t mangle -A PREROUTING -p tcp -i here -j TPROXY --on-port 15006 --tproxy-mark 1");
        run("ip rule add fwmark 1 lookup 100");
        run("ip route add local 0.0.0.0/0 dev lo table 100");
        answer("127.0.0.1:8080", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nthe application");
        let directory = tempfile::tempdir().unwrap();
        let proxy = start(subject, include_str!("inbound.yaml"), directory.path());

        let answered = beyond.get(([10, 2, 0, 2], 8080).into());
        assert!(answered.starts_with("HTTP/1.1 200") && answered.contains("the application"), "{answered}");
        assert!(answered.contains("x-from: 10.2.0.1\r\n"), "{answered}");
        let unknown = beyond.get(([10, 2, 0, 2], 81).into());
        assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
        assert_eq!(
            log_of(proxy, directory.path()),
            ["10.2.0.1 to 10.2.0.2:8080: 200", "10.2.0.1 to 10.2.0.2:81: 404"],
            "{}",
            subject.display()
        );
    });
}

#[test]
fn the_application_sees_the_address_of_the_client() {
    play(|subject| {
        let beyond = Beyond::new("10.2.0.2", "10.2.0.1");
        run(
            "iptables -t mangle -A PREROUTING -p tcp -i here --dport 8080 -j TPROXY --on-port 15006 --tproxy-mark 1",
        );
        run("ip rule add fwmark 1 lookup 100");
        run("ip route add local 0.0.0.0/0 dev lo table 100");
        // What the proxy sends has a mark, by which the answers come back to it and do not go to the client.
        run("iptables -t mangle -A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark");
        run("iptables -t mangle -A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark");
        run("ip rule add fwmark 1337 lookup 100");
        answer("10.2.0.2:8081", "from {peer}");
        let directory = tempfile::tempdir().unwrap();
        let proxy = start(subject, include_str!("source.yaml"), directory.path());

        assert_eq!(beyond.get(([10, 2, 0, 2], 8080).into()), "from 10.2.0.1", "{}", subject.display());
        let log = log_of(proxy, directory.path());
        assert_eq!(log, ["10.2.0.1 to 10.2.0.2:8081 from 10.2.0.1 -"], "{}", subject.display());
    });
}
