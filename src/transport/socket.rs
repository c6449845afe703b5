//! Options of sockets, as configured, and connections to Unix sockets.
//!
//! Any number may stand in `SocketOption`, but only an option that is known by name can be set without `unsafe` calls.
//! What is not in the table is an error that names it.

mod numbers;

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockRef, Type};
use tokio::net::UnixStream;

use crate::config::address::{IpVersion, SocketOption, SocketOptionValue, SocketState, TcpKeepalive};

type Setter = fn(&SockRef<'_>, i32) -> io::Result<()>;

type BytesSetter = fn(&SockRef<'_>, &[u8]) -> io::Result<()>;

/// Level, name and setter of each option known, with Linux' numbers.
const OPTIONS: &[(i32, i32, Setter)] = &[
    (SOL_SOCKET, 2, |socket, value| socket.set_reuse_address(value != 0)),
    (SOL_SOCKET, 7, |socket, value| socket.set_send_buffer_size(size(value)?)),
    (SOL_SOCKET, 8, |socket, value| socket.set_recv_buffer_size(size(value)?)),
    (SOL_SOCKET, 9, |socket, value| socket.set_keepalive(value != 0)),
    (SOL_SOCKET, 12, numbers::priority),
    (SOL_SOCKET, 15, |socket, value| socket.set_reuse_port(value != 0)),
    (SOL_SOCKET, 18, numbers::receive_low_water),
    (SOL_SOCKET, 36, |socket, value| socket.set_mark(number(value)?)),
    (SOL_SOCKET, 46, numbers::busy_poll),
    (SOL_SOCKET, 47, numbers::max_pacing_rate),
    (IPPROTO_TCP, 1, |socket, value| socket.set_tcp_nodelay(value != 0)),
    (IPPROTO_TCP, 2, |socket, value| socket.set_tcp_mss(number(value)?)),
    (IPPROTO_TCP, 3, |socket, value| socket.set_tcp_cork(value != 0)),
    (IPPROTO_TCP, 4, |socket, value| {
        set_keepalive(socket, &TcpKeepalive { time_seconds: Some(number(value)?), ..TcpKeepalive::default() })
    }),
    (IPPROTO_TCP, 5, |socket, value| {
        set_keepalive(
            socket,
            &TcpKeepalive { interval_seconds: Some(number(value)?), ..TcpKeepalive::default() },
        )
    }),
    (IPPROTO_TCP, 6, |socket, value| {
        set_keepalive(socket, &TcpKeepalive { probes: Some(number(value)?), ..TcpKeepalive::default() })
    }),
    (IPPROTO_TCP, 7, numbers::syn_count),
    (IPPROTO_TCP, 8, numbers::linger2),
    (IPPROTO_TCP, 9, numbers::defer_accept),
    (IPPROTO_TCP, 10, numbers::window_clamp),
    (IPPROTO_TCP, 12, |socket, value| socket.set_tcp_quickack(value != 0)),
    (IPPROTO_TCP, 18, |socket, value| {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(number(value)?))))
    }),
    (IPPROTO_TCP, 23, numbers::fast_open),
    (IPPROTO_TCP, 25, numbers::not_sent_low_water),
    (IPPROTO_TCP, 30, numbers::fast_open_connect),
    (IPPROTO_IP, 1, |socket, value| socket.set_tos_v4(number(value)?)),
    (IPPROTO_IP, 2, numbers::time_to_live),
    (IPPROTO_IP, 10, numbers::mtu_discovery),
    (IPPROTO_IP, 15, |socket, value| socket.set_freebind_v4(value != 0)),
    (IPPROTO_IP, 19, |socket, value| socket.set_ip_transparent_v4(value != 0)),
    (IPPROTO_IP, 24, numbers::bind_address_no_port),
    (IPPROTO_IPV6, 16, numbers::unicast_hops),
    (IPPROTO_IPV6, 26, |socket, value| socket.set_only_v6(value != 0)),
    (IPPROTO_IPV6, 67, |socket, value| socket.set_tclass_v6(number(value)?)),
    (IPPROTO_IPV6, 75, numbers::transparent_v6),
    (IPPROTO_IPV6, 78, numbers::freebind_v6),
];

/// The same of options whose values are no numbers.
const BYTES_OPTIONS: &[(i32, i32, BytesSetter)] = &[
    (SOL_SOCKET, 25, |socket, device| {
        socket.bind_device(Some(until_null(device)).filter(|name| !name.is_empty()))
    }),
    (IPPROTO_TCP, 13, |socket, name| socket.set_tcp_congestion(until_null(name))),
];

/// What stands before the byte with which texts end in C.
fn until_null(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

const IPPROTO_IP: i32 = 0;
const SOL_SOCKET: i32 = 1;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_IPV6: i32 = 41;

fn number(value: i32) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "must not be negative"))
}

fn size(value: i32) -> io::Result<usize> {
    usize::try_from(value).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "must not be negative"))
}

/// Whether an option can be set here.
pub fn is_known(option: &SocketOption) -> bool {
    setting(option).is_some()
}

/// What sets an option.
enum Setting<'o> {
    Number(Setter, i32),
    Bytes(BytesSetter, &'o [u8]),
}

fn setting(option: &SocketOption) -> Option<Setting<'_>> {
    fn find<S: Copy>(options: &[(i32, i32, S)], option: &SocketOption) -> Option<S> {
        let known = options.iter().find(|(level, name, _)| (*level, *name) == (option.level, option.name))?;
        Some(known.2)
    }
    match &option.value {
        SocketOptionValue::Int(value) => find(OPTIONS, option).map(|set| Setting::Number(set, *value)),
        SocketOptionValue::Buffer(bytes) => find(BYTES_OPTIONS, option)
            .map(|set| Setting::Bytes(set, bytes))
            // The system takes a number as its bytes.
            .or_else(|| {
                let number = i32::from_ne_bytes(bytes.as_slice().try_into().ok()?);
                find(OPTIONS, option).map(|set| Setting::Number(set, number))
            }),
    }
}

/// Sets those of the options that belong to this state of the socket, and to sockets of its kind.
///
/// # Errors
/// What the system says, with the option that it is about.
pub fn set_options(socket: &SockRef<'_>, options: &[SocketOption], state: SocketState) -> io::Result<()> {
    for option in options.iter().filter(|option| option.state == state) {
        let place = |error: io::Error| {
            let text = format!("socket option level {} name {}: {error}", option.level, option.name);
            io::Error::new(error.kind(), text)
        };
        if !concerns(option, socket)? {
            continue;
        }
        match setting(option) {
            Some(Setting::Number(set, value)) => set(socket, value).map_err(place)?,
            Some(Setting::Bytes(set, value)) => set(socket, value).map_err(place)?,
            None => return Err(place(io::ErrorKind::Unsupported.into())),
        }
    }
    Ok(())
}

/// Whether an option is for sockets like this one.
fn concerns(option: &SocketOption, socket: &SockRef<'_>) -> io::Result<bool> {
    if let Some(datagrams) = option.datagrams
        && (socket.r#type()? == Type::DGRAM) != datagrams
    {
        return Ok(false);
    }
    let Some(version) = option.ip_version else { return Ok(true) };
    let domain = match version {
        IpVersion::V4 => Domain::IPV4,
        IpVersion::V6 => Domain::IPV6,
    };
    Ok(socket.domain()? == domain)
}

/// Lets a socket be bound to an address that this machine does not have.
///
/// # Errors
/// Those of the system.
pub fn set_freebind(socket: &SockRef<'_>, is_v4: bool) -> io::Result<()> {
    if is_v4 { socket.set_freebind_v4(true) } else { socket.set_freebind_v6(true) }
}

/// Lets a socket be bound to an address that another machine has, and take what is sent to such (`IP_TRANSPARENT`).
///
/// # Errors
/// Those of the system: that takes a capability.
pub fn set_transparent(socket: &SockRef<'_>, is_v4: bool) -> io::Result<()> {
    if is_v4 { socket.set_ip_transparent_v4(true) } else { socket.set_ip_transparent_v6(true) }
}

/// Connects to a Unix socket; a name that begins with `@` is none of a file. Nobody is waited for: where as many have
/// connected as may before they are accepted, that is an error.
///
/// # Errors
/// Those of the system.
pub async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    match path.as_os_str().as_bytes().strip_prefix(b"@") {
        None => UnixStream::connect(path).await,
        Some(name) => {
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            UnixStream::connect_addr(&address.into()).await
        }
    }
}

/// Lets clients of a listening socket send data before their handshake is done: so many at once, none with 0.
///
/// # Errors
/// Those of the system: the socket is none of TCP.
pub fn set_fast_open(socket: &SockRef<'_>, queue_length: u32) -> io::Result<()> {
    numbers::fast_open(socket, i32::try_from(queue_length).unwrap_or(i32::MAX))
}

/// Switches TCP keep-alive on, with what is configured of it.
///
/// # Errors
/// What the system says.
pub fn set_keepalive(socket: &SockRef<'_>, keepalive: &TcpKeepalive) -> io::Result<()> {
    let seconds = |value: u32| Duration::from_secs(u64::from(value));
    let mut options = socket2::TcpKeepalive::new();
    if let Some(time) = keepalive.time_seconds {
        options = options.with_time(seconds(time));
    }
    if let Some(interval) = keepalive.interval_seconds {
        options = options.with_interval(seconds(interval));
    }
    if let Some(probes) = keepalive.probes {
        options = options.with_retries(probes);
    }
    socket.set_tcp_keepalive(&options)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use socket2::{SockAddr, Socket};

    use super::*;

    fn option(level: i32, name: i32, value: SocketOptionValue) -> SocketOption {
        SocketOption { level, name, value, state: SocketState::PreBind, datagrams: None, ip_version: None }
    }

    fn set(socket: &Socket, option: SocketOption) -> io::Result<()> {
        set_options(&SockRef::from(socket), &[option], SocketState::PreBind)
    }

    #[test]
    fn a_socket_is_bound_to_a_device_by_its_name() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        set(&socket, option(SOL_SOCKET, 25, SocketOptionValue::Buffer(b"lo\0".to_vec()))).expect("a device");
        assert_eq!(socket.device().expect("an option").as_deref(), Some(&b"lo"[..]));
    }

    #[tokio::test]
    async fn a_listener_that_accepts_nobody_holds_up_nobody() {
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let name = format!("dragoman-{}-accepts-nobody", std::process::id());
        listener.bind(&SockAddr::unix(format!("\0{name}")).expect("a name")).expect("an address");
        listener.listen(0).expect("a listener");
        let path = PathBuf::from(format!("@{name}"));
        let mut connected = Vec::new();
        let refused = loop {
            match connect_unix(&path).await {
                Ok(stream) => connected.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!((connected.len(), refused.kind()), (1, io::ErrorKind::WouldBlock));
    }

    #[test]
    fn a_number_may_come_as_its_bytes() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let bytes = 20_000_i32.to_ne_bytes().to_vec();
        set(&socket, option(SOL_SOCKET, 8, SocketOptionValue::Buffer(bytes))).expect("a size");
        assert_eq!(socket.recv_buffer_size().expect("an option"), 40_000);
    }

    #[test]
    fn options_that_others_have_no_function_for_are_set() {
        use nix::sys::socket::{getsockopt, sockopt};

        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        set(&socket, option(IPPROTO_IP, 2, SocketOptionValue::Int(9))).expect("hops");
        assert_eq!(socket.ttl_v4().expect("an option"), 9);
        set(&socket, option(SOL_SOCKET, 12, SocketOptionValue::Int(5))).expect("a priority");
        assert_eq!(getsockopt(&socket, sockopt::Priority).expect("an option"), 5);
        set(&socket, option(IPPROTO_TCP, 30, SocketOptionValue::Int(1))).expect("whether data goes first");
        assert!(getsockopt(&socket, sockopt::TcpFastOpenConnect).expect("an option"));
        let v6 = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
        set(&v6, option(IPPROTO_IPV6, 16, SocketOptionValue::Int(7))).expect("hops");
        assert_eq!(v6.unicast_hops_v6().expect("an option"), 7);
    }

    #[test]
    fn every_option_of_the_table_is_one_of_its_level() {
        let (v4, v6) = (Domain::IPV4, Domain::IPV6);
        for (level, name, setter) in OPTIONS {
            let domain = if *level == IPPROTO_IPV6 { v6 } else { v4 };
            let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
            let result = setter(&SockRef::from(&socket), 1);
            // Some are another's to set, but none is unknown.
            let unknown = result.is_err_and(|error| error.raw_os_error() == Some(nix::libc::ENOPROTOOPT));
            assert!(!unknown, "level {level} name {name}");
        }
    }

    #[test]
    fn options_are_set_on_the_sockets_that_they_are_for() {
        // Nobody knows this option, so that setting it fails.
        let unknown = || option(999, 999, SocketOptionValue::Int(1));
        let check = |domain, kind, datagrams, ip_version, fails: bool| {
            let socket = Socket::new(domain, kind, None).expect("a socket");
            let result = set(&socket, SocketOption { datagrams, ip_version, ..unknown() });
            assert_eq!(result.is_err(), fails);
        };
        check(Domain::IPV4, Type::STREAM, None, None, true);
        check(Domain::IPV4, Type::STREAM, Some(false), Some(IpVersion::V4), true);
        check(Domain::IPV4, Type::STREAM, Some(true), None, false);
        check(Domain::IPV4, Type::DGRAM, Some(true), Some(IpVersion::V6), false);
        check(Domain::IPV6, Type::DGRAM, Some(true), Some(IpVersion::V6), true);
        check(Domain::IPV4, Type::STREAM, None, Some(IpVersion::V6), false);
    }
}
