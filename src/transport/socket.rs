//! Options of sockets, as configured.
//!
//! Any number may stand in `SocketOption`, but only the options named here can be set without `unsafe` calls. What
//! is not in the table is an error that names it.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use crate::config::address::{SocketOption, SocketOptionValue, SocketState, TcpKeepalive};

type Setter = fn(&SockRef<'_>, i32) -> io::Result<()>;

/// Level, name and setter of each option known, with Linux' numbers.
const OPTIONS: &[(i32, i32, Setter)] = &[
    (SOL_SOCKET, 2, |socket, value| socket.set_reuse_address(value != 0)),
    (SOL_SOCKET, 7, |socket, value| socket.set_send_buffer_size(size(value)?)),
    (SOL_SOCKET, 8, |socket, value| socket.set_recv_buffer_size(size(value)?)),
    (SOL_SOCKET, 9, |socket, value| socket.set_keepalive(value != 0)),
    (SOL_SOCKET, 15, |socket, value| socket.set_reuse_port(value != 0)),
    (SOL_SOCKET, 36, |socket, value| socket.set_mark(number(value)?)),
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
    (IPPROTO_TCP, 12, |socket, value| socket.set_tcp_quickack(value != 0)),
    (IPPROTO_TCP, 18, |socket, value| {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(number(value)?))))
    }),
    (IPPROTO_IP, 1, |socket, value| socket.set_tos_v4(number(value)?)),
    (IPPROTO_IP, 15, |socket, value| socket.set_freebind_v4(value != 0)),
    (IPPROTO_IP, 19, |socket, value| socket.set_ip_transparent_v4(value != 0)),
    (IPPROTO_IPV6, 26, |socket, value| socket.set_only_v6(value != 0)),
    (IPPROTO_IPV6, 67, |socket, value| socket.set_tclass_v6(number(value)?)),
];

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
    matches!(option.value, SocketOptionValue::Int(_)) && setter(option).is_some()
}

fn setter(option: &SocketOption) -> Option<Setter> {
    let known = OPTIONS.iter().find(|(level, name, _)| (*level, *name) == (option.level, option.name))?;
    Some(known.2)
}

/// Sets those of the options that belong to this state of the socket.
///
/// # Errors
/// What the system says, with the option that it is about.
pub fn set_options(socket: &SockRef<'_>, options: &[SocketOption], state: SocketState) -> io::Result<()> {
    for option in options.iter().filter(|option| option.state == state) {
        let place = |error: io::Error| {
            let text = format!("socket option level {} name {}: {error}", option.level, option.name);
            io::Error::new(error.kind(), text)
        };
        match (&option.value, setter(option)) {
            (SocketOptionValue::Int(value), Some(set)) => set(socket, *value).map_err(place)?,
            _ => return Err(place(io::ErrorKind::Unsupported.into())),
        }
    }
    Ok(())
}

/// Lets a socket be bound to an address that this machine does not have.
///
/// # Errors
/// Those of the system.
pub fn set_freebind(socket: &SockRef<'_>, is_v4: bool) -> io::Result<()> {
    if is_v4 { socket.set_freebind_v4(true) } else { socket.set_freebind_v6(true) }
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
