//! Response flags: what went wrong with a request, in Envoy's short and long names.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of response flags. `Display` gives the short names, `UF,URX`, or `-` when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $long:literal,)*) => {
        /// Numbers the flags in Envoy's order, which is the order in which they are written.
        #[expect(clippy::upper_case_acronyms, reason = "these are Envoy's names")]
        enum Bit { $($name),* }

        impl ResponseFlags {
            $(
                $(#[$doc])*
                pub const $name: ResponseFlags = ResponseFlags(1 << Bit::$name as u32);
            )*

            /// Each flag with its short and its long name, in the order in which they are written.
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
    /// Whether one of `flags` is set.
    pub const fn intersects(self, flags: ResponseFlags) -> bool {
        self.0 & flags.0 != 0
    }

    /// Whether none is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sets all of `flags`.
    pub const fn insert(&mut self, flags: ResponseFlags) {
        self.0 |= flags.0;
    }

    /// Takes all of `flags` away.
    pub const fn remove(&mut self, flags: ResponseFlags) {
        self.0 &= !flags.0;
    }

    /// The flag of this short name.
    pub fn by_name(name: &str) -> Option<ResponseFlags> {
        Self::ALL.iter().find(|(_, short, _)| *short == name).map(|(flag, _, _)| *flag)
    }

    /// The short names of what is set.
    pub fn short_names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(flag, _, _)| self.intersects(*flag)).map(|(_, short, _)| *short)
    }

    /// The long names of what is set.
    pub fn long_names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(flag, _, _)| self.intersects(*flag)).map(|(_, _, long)| *long)
    }
}

impl BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        ResponseFlags(self.0 | other.0)
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
    fn flags_are_written_in_envoys_order() {
        assert_eq!((ResponseFlags::URX | ResponseFlags::UF).to_string(), "UF,URX");
        assert_eq!(ResponseFlags::default().to_string(), "-");
        assert_eq!(ResponseFlags::by_name("UAEX"), Some(ResponseFlags::UAEX));
        assert_eq!(ResponseFlags::by_name("XX"), None);
    }
}
