use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use dragoman_proto::{encode, tree};

use super::*;
use crate::config::extension::Extensions;

fn listener(yaml: &str) -> Listener {
    let document = tree::parse_yaml(&format!("name: web\ndefault_filter_chain: {{}}\n{yaml}")).expect("YAML");
    let message = "envoy.config.listener.v3.Listener";
    let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
    Listener::parse(&bytes, &Extensions::BUILT_IN).expect("a listener").0
}

/// The sockets of the listener with this configuration, two for each address.
fn bound(yaml: &str) -> io::Result<Vec<(Address, [Socket; 2])>> {
    let listener = listener(yaml);
    let sockets = Sockets::bind(&listener, 2)?;
    sockets.listen(&listener, &[])?;
    let take = |bound: &Bound, worker| bound.take(worker).expect("not taken yet");
    Ok(sockets.bound.iter().map(|bound| (bound.address.clone(), [take(bound, 0), take(bound, 1)])).collect())
}

const ANY_PORT: &str = "address: {socket_address: {address: 127.0.0.1, port_value: 0}}";

#[test]
fn each_address_has_the_options_of_the_listener_or_its_own() {
    let yaml = format!(
        "{ANY_PORT}
socket_options: [{{description: size, level: 1, name: 8, int_value: 20000, state: STATE_PREBIND}}]
tcp_keepalive: {{keepalive_time: 70, keepalive_interval: 7, keepalive_probes: 5}}
additional_addresses:
- address: {{socket_address: {{address: 127.0.0.2, port_value: 0}}}}
- address: {{socket_address: {{address: 127.0.0.3, port_value: 0}}}}
  socket_options: {{socket_options: [{{level: 1, name: 8, int_value: 30000, state: STATE_LISTENING}}]}}
  tcp_keepalive: {{keepalive_time: 80}}"
    );
    let bound = bound(&yaml).expect("free ports");
    assert_eq!(bound.len(), 3);
    let of = |address: usize| {
        let socket = &bound[address].1[1];
        let buffer = socket.recv_buffer_size().expect("a size");
        (buffer, socket.tcp_keepalive_time().expect("a time"))
    };
    // The system doubles what is asked for.
    assert_eq!(of(0), (40_000, Duration::from_secs(70)));
    assert_eq!(of(1), of(0));
    assert_eq!(of(2), (60_000, Duration::from_secs(80)));
    let first = &bound[0].1[0];
    assert_eq!(first.tcp_keepalive_interval().expect("a time"), Duration::from_secs(7));
    assert_eq!(first.tcp_keepalive_retries().expect("a number"), 5);
}

#[test]
fn a_listener_that_is_not_to_be_bound_has_no_sockets() {
    for bind in ["bind_to_port: false", "deprecated_v1: {bind_to_port: false}"] {
        assert!(bound(&format!("{ANY_PORT}\n{bind}")).expect("nothing to do").is_empty(), "{bind}");
    }
}

#[test]
fn sockets_share_an_address_unless_they_are_told_to_be_one() {
    for (enable, expected) in [(true, true), (false, false)] {
        let bound = bound(&format!("{ANY_PORT}\nenable_reuse_port: {enable}")).expect("a free port");
        let [first, second] = &bound[0].1;
        assert_eq!(first.reuse_port().expect("an option"), expected);
        let address = |socket: &Socket| socket.local_addr().expect("bound").as_socket();
        assert_eq!(address(first), address(second));
    }
}

#[test]
fn sockets_are_free_to_bind_foreign_addresses_and_transparent_where_that_is_configured() {
    let bound = bound(&format!("{ANY_PORT}\nfreebind: true")).expect("a free port");
    assert!(bound[0].1[0].freebind_v4().expect("an option"));
    match self::bound(&format!("{ANY_PORT}\ntransparent: true")) {
        Ok(bound) => assert!(bound[0].1[0].ip_transparent_v4().expect("an option")),
        // It takes a privilege.
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn a_socket_of_ipv6_serves_ipv4_too_where_that_is_configured() {
    for (compat, only_v6) in [("", true), (", ipv4_compat: true", false)] {
        let address = format!("address: {{socket_address: {{address: \"::\", port_value: 0{compat}}}}}");
        // Where there is no IPv6 there is nothing to see.
        let Ok(bound) = bound(&address) else { return };
        assert_eq!(bound[0].1[0].only_v6().expect("an option"), only_v6);
    }
}

#[test]
fn nobody_connects_before_the_listener_serves() {
    let listener = listener(ANY_PORT);
    let sockets = Sockets::bind(&listener, 2).expect("a free port");
    let Address::Ip(address) = sockets.bound[0].address else { panic!("an IP address") };
    let refused = std::net::TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    sockets.listen(&listener, &[]).expect("a free port");
    std::net::TcpStream::connect(address).expect("somebody listens");
}

#[test]
fn connections_come_only_to_those_sockets_of_an_address_that_serve() {
    let serving = listener(ANY_PORT);
    let sockets = Sockets::bind(&serving, 1).expect("a free port");
    sockets.listen(&serving, &[]).expect("a free port");
    let Address::Ip(address) = sockets.bound[0].address else { panic!("an IP address") };
    let same = format!("address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}", address.port());
    let _warming = Sockets::bind(&listener(&same), 1).expect("a port that is shared");
    let socket = sockets.bound[0].take(0).expect("not taken yet");
    socket.set_nonblocking(false).expect("a socket");
    for _ in 0..16 {
        let _connection = std::net::TcpStream::connect(address).expect("somebody listens");
        socket.accept().expect("the connection");
    }
}

#[test]
fn an_address_that_another_process_took_meanwhile_is_an_error() {
    let other = listener(&format!("{ANY_PORT}\nenable_reuse_port: false"));
    let first = Sockets::bind(&other, 1).expect("a free port");
    let Address::Ip(address) = first.bound[0].address else { panic!("an IP address") };
    let same = format!(
        "address: {{socket_address: {{address: 127.0.0.1, port_value: {}}}}}\nenable_reuse_port: false",
        address.port()
    );
    let second = Sockets::bind(&listener(&same), 1).expect("nobody listens there yet");
    first.listen(&other, &[]).expect("a free port");
    let error = second.listen(&listener(&same), &[]).expect_err("the other one listens").to_string();
    assert!(error.starts_with(&format!("cannot listen on '{address}': ")), "{error}");
}

#[test]
fn clients_may_come_on_several_paths_where_that_is_configured() {
    let protocol = |several: bool| {
        let bound =
            bound(&format!("{ANY_PORT}\nenable_mptcp: {several}")).expect("a kernel that speaks MPTCP");
        bound[0].1[0].protocol().expect("a protocol")
    };
    assert_eq!((protocol(false), protocol(true)), (Some(Protocol::TCP), Some(Protocol::MPTCP)));
}

#[test]
fn no_more_connections_wait_than_the_backlog_holds() {
    let bound =
        bound(&format!("{ANY_PORT}\nenable_reuse_port: false\ntcp_backlog_size: 1")).expect("a free port");
    let Address::Ip(address) = bound[0].0 else { panic!("an IP address") };
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100));
    // Nobody accepts; the queue holds one more than its size.
    let waiting: Vec<_> = (0..8).map_while(|_| connect().ok()).collect();
    assert_eq!(waiting.len(), 2);
}

#[test]
fn a_unix_socket_has_its_mode() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let bound =
        bound(&format!("address: {{pipe: {{path: {}, mode: 384}}}}", path.display())).expect("a free path");
    assert_eq!(bound[0].0, Address::Pipe { path: path.clone(), mode: 0o600 });
    let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
