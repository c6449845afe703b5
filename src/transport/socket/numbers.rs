//! Options whose values are numbers and for which `socket2` has no function.
//!
//! `nix` makes the calls: its `setsockopt_impl!` defines an option from its level and name, as it defines its own, and
//! leaves nothing to its user that could be unsafe.

use std::io;

use nix::libc;
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::SetStruct;
use socket2::SockRef;

/// An option, set by itself.
fn set<O: SetSockOpt<Val = i32>>(option: O, socket: &SockRef<'_>, value: i32) -> io::Result<()> {
    option.set(&**socket, &value).map_err(io::Error::from)
}

/// Defines options, each with the function that sets it.
macro_rules! numbers {
    ($($(#[$about:meta])* $function:ident: $Option:ident = $level:ident $name:ident;)*) => {$(
        #[derive(Clone, Copy)]
        struct $Option;
        nix::setsockopt_impl!($Option, libc::$level, libc::$name, i32, SetStruct<'_, i32>);

        $(#[$about])*
        pub(super) fn $function(socket: &SockRef<'_>, value: i32) -> io::Result<()> {
            set($Option, socket, value)
        }
    )*};
}

numbers! {
    /// What comes first among packets that are sent.
    priority: Priority = SOL_SOCKET SO_PRIORITY;
    /// Bytes that have to be there before a reader is woken.
    receive_low_water: ReceiveLowWater = SOL_SOCKET SO_RCVLOWAT;
    /// Microseconds of waiting at the device for data.
    busy_poll: BusyPoll = SOL_SOCKET SO_BUSY_POLL;
    /// Bytes a second that are sent at most.
    max_pacing_rate: MaxPacingRate = SOL_SOCKET SO_MAX_PACING_RATE;
    /// Hops of packets over IPv4.
    time_to_live: TimeToLive = IPPROTO_IP IP_TTL;
    /// Whether packets over IPv4 may be cut into pieces.
    mtu_discovery: MtuDiscovery = IPPROTO_IP IP_MTU_DISCOVER;
    /// Whether a port is chosen with the connection, not with the address that it is bound to.
    bind_address_no_port: BindAddressNoPort = IPPROTO_IP IP_BIND_ADDRESS_NO_PORT;
    /// How often a connection is asked for.
    syn_count: SynCount = IPPROTO_TCP TCP_SYNCNT;
    /// Seconds that the end of the peer's side is waited for.
    linger2: Linger2 = IPPROTO_TCP TCP_LINGER2;
    /// Seconds that a listener waits for a client to send something.
    defer_accept: DeferAccept = IPPROTO_TCP TCP_DEFER_ACCEPT;
    /// The largest window that is offered.
    window_clamp: WindowClamp = IPPROTO_TCP TCP_WINDOW_CLAMP;
    /// How many clients of a listener may have sent data before their handshake is done (RFC 7413).
    fast_open: FastOpen = IPPROTO_TCP TCP_FASTOPEN;
    /// Whether data goes with the first packet to a host.
    fast_open_connect: FastOpenConnect = IPPROTO_TCP TCP_FASTOPEN_CONNECT;
    /// Bytes not yet sent above which a socket takes no more.
    not_sent_low_water: NotSentLowWater = IPPROTO_TCP TCP_NOTSENT_LOWAT;
    /// Hops of packets over IPv6.
    unicast_hops: UnicastHops = IPPROTO_IPV6 IPV6_UNICAST_HOPS;
    /// Whether connections that the system sent here are taken, over IPv6.
    transparent_v6: TransparentV6 = IPPROTO_IPV6 IPV6_TRANSPARENT;
    /// Whether a socket may be bound to an address that this machine does not have, over IPv6.
    freebind_v6: FreebindV6 = IPPROTO_IPV6 IPV6_FREEBIND;
}
