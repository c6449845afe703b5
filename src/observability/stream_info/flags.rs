//! Response flags: what went wrong with a request, in Envoy's short and long names.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of response flags. `Display` gives the short names, `URX,UF`, or `-` when there is none; as in Envoy the first
/// that was set is the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResponseFlags {
    set: u32,
    /// The numbers of the flags in the order in which they were set, the first in the lowest [`NUMBER_BITS`].
    order: u64,
}

/// Bits of a flag's number.
const NUMBER_BITS: u32 = 5;

/// Flags whose order is kept; a request has seldom more than two.
const ORDERED: u32 = u64::BITS / NUMBER_BITS;

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $long:literal,)*) => {
        /// Numbers the flags in Envoy's order.
        #[expect(clippy::upper_case_acronyms, reason = "these are Envoy's names")]
        enum Bit { $($name),* }

        impl ResponseFlags {
            $(
                $(#[$doc])*
                pub const $name: ResponseFlags = ResponseFlags::single(Bit::$name as u32);
            )*

            /// Each flag with its short and its long name, in the order of their numbers.
            pub const ALL: &[(ResponseFlags, &'static str, &'static str)] =
                &[$((ResponseFlags::$name, stringify!($name), $long),)*];
        }
    };
}

flags! {
    /// Local service failed its health check.
    LH = "FailedLocalHealthCheck",
    /// No healthy upstream host.
    UH = "NoHealthyUpstream",
    /// The upstream did not answer in time.
    UT = "UpstreamRequestTimeout",
    /// Connection local reset.
    LR = "LocalReset",
    /// The upstream reset the stream.
    UR = "UpstreamRemoteReset",
    /// Connecting to the upstream failed.
    UF = "UpstreamConnectionFailure",
    /// The upstream connection ended under the request.
    UC = "UpstreamConnectionTermination",
    /// A circuit breaker was open.
    UO = "UpstreamOverflow",
    /// No route.
    NR = "NoRouteFound",
    /// Delayed by fault injection.
    DI = "DelayInjected",
    /// Aborted by fault injection.
    FI = "FaultInjected",
    /// Rate limited.
    RL = "RateLimited",
    /// Denied by the authorisation service.
    UAEX = "UnauthorizedExternalService",
    /// The rate limit service failed.
    RLSE = "RateLimitServiceError",
    /// The downstream connection ended under the request.
    DC = "DownstreamConnectionTermination",
    /// Retries were exhausted.
    URX = "UpstreamRetryLimitExceeded",
    /// Idle for too long.
    SI = "StreamIdleTimeout",
    /// A header that Envoy checks strictly was invalid.
    IH = "InvalidEnvoyRequestHeaders",
    /// The downstream broke the protocol.
    DPE = "DownstreamProtocolError",
    /// The upstream request lived too long.
    UMSDR = "UpstreamMaxStreamDurationReached",
    /// Answered from the cache.
    RFCF = "ResponseFromCacheFilter",
    /// No filter configuration.
    NFCF = "NoFilterConfigFound",
    /// The downstream request lived too long.
    DT = "DurationTimeout",
    /// The upstream broke the protocol.
    UPE = "UpstreamProtocolError",
    /// No such cluster.
    NC = "NoClusterFound",
    /// The overload manager ended it.
    OM = "OverloadManagerTerminated",
    /// A name did not resolve.
    DF = "DnsResolutionFailed",
    /// Dropped by load reports.
    DO = "DropOverload",
    /// The downstream reset the stream.
    DR = "DownstreamRemoteReset",
    /// Dropped unconditionally.
    UDO = "UnconditionalDropOverload",
}

impl ResponseFlags {
    const fn single(number: u32) -> Self {
        ResponseFlags { set: 1 << number, order: number as u64 }
    }

    /// The flags as Envoy numbers them, each a bit.
    pub const fn bits(self) -> u32 {
        self.set
    }

    /// Whether one of `flags` is set.
    pub const fn intersects(self, flags: ResponseFlags) -> bool {
        self.set & flags.set != 0
    }

    /// Whether none is set.
    pub const fn is_empty(self) -> bool {
        self.set == 0
    }

    /// Sets all of `flags`, behind those that are set.
    pub fn insert(&mut self, flags: ResponseFlags) {
        for number in flags.numbers() {
            self.push(number);
        }
    }

    fn push(&mut self, number: u32) {
        let place = self.set.count_ones();
        if self.set & (1 << number) == 0 {
            self.set |= 1 << number;
            if place < ORDERED {
                self.order |= u64::from(number) << (place * NUMBER_BITS);
            }
        }
    }

    /// Takes all of `flags` away.
    pub fn remove(&mut self, flags: ResponseFlags) {
        let before = *self;
        *self = ResponseFlags::default();
        before.numbers().filter(|number| flags.set & (1 << number) == 0).for_each(|number| self.push(number));
    }

    /// The numbers of what is set, in the order in which they were set.
    fn numbers(self) -> impl Iterator<Item = u32> {
        let ordered = self.set.count_ones().min(ORDERED);
        let number =
            move |place: u32| (self.order >> (place * NUMBER_BITS)) as u32 & ((1 << NUMBER_BITS) - 1);
        let known = (0..ordered).map(number).fold(0, |known, number| known | 1 << number);
        let rest = (0..u32::BITS).filter(move |number| self.set & !known & (1 << number) != 0);
        (0..ordered).map(number).chain(rest)
    }

    /// The flag of this short name.
    pub fn by_name(name: &str) -> Option<ResponseFlags> {
        Self::ALL.iter().find(|(_, short, _)| *short == name).map(|(flag, _, _)| *flag)
    }

    /// The short names of what is set.
    pub fn short_names(self) -> impl Iterator<Item = &'static str> {
        self.numbers().filter_map(|number| Self::ALL.get(number as usize)).map(|(_, short, _)| *short)
    }

    /// The long names of what is set.
    pub fn long_names(self) -> impl Iterator<Item = &'static str> {
        self.numbers().filter_map(|number| Self::ALL.get(number as usize)).map(|(_, _, long)| *long)
    }
}

impl PartialEq for ResponseFlags {
    /// Whether the same are set, in whatever order.
    fn eq(&self, other: &Self) -> bool {
        self.set == other.set
    }
}

impl Eq for ResponseFlags {}

impl BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(mut self, other: Self) -> Self {
        self.insert(other);
        self
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (at, name) in self.short_names().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_written_in_the_order_in_which_they_were_set() {
        assert_eq!((ResponseFlags::URX | ResponseFlags::UF).to_string(), "URX,UF");
        assert_eq!((ResponseFlags::UF | ResponseFlags::URX | ResponseFlags::UF).to_string(), "UF,URX");
        assert_eq!(ResponseFlags::default().to_string(), "-");
        assert_eq!(ResponseFlags::by_name("UAEX"), Some(ResponseFlags::UAEX));
        assert_eq!(ResponseFlags::by_name("XX"), None);
    }

    #[test]
    fn flags_that_are_taken_away_leave_the_others_in_order() {
        let mut flags = ResponseFlags::URX | ResponseFlags::LH | ResponseFlags::UC;
        flags.remove(ResponseFlags::LH);
        assert_eq!(flags.to_string(), "URX,UC");
        assert_eq!(flags, ResponseFlags::UC | ResponseFlags::URX);
    }

    #[test]
    fn more_flags_than_have_an_order_are_all_written() {
        let all =
            ResponseFlags::ALL.iter().rev().fold(ResponseFlags::default(), |all, (flag, _, _)| all | *flag);
        assert_eq!(all.short_names().count(), ResponseFlags::ALL.len());
        assert_eq!(all.short_names().next(), Some("UDO"));
    }
}
