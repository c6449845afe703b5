//! Names of headers that the proxy itself looks at, each with a number.
//!
//! A header's name is looked up once, when it is read. From then on comparing it is comparing a byte, and
//! asking for a header that is not there is testing a bit.

macro_rules! known {
    ($($variant:ident = $text:literal,)*) => {
        /// A name that the proxy knows by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $(
                #[doc = concat!("`", $text, "`")]
                $variant,
            )*
        }

        const NAMES: &[&str] = &[$($text,)*];
        const ALL: &[Known] = &[$(Known::$variant,)*];
    };
}

known! {
    Method = ":method",
    Path = ":path",
    Authority = ":authority",
    Scheme = ":scheme",
    Status = ":status",
    Protocol = ":protocol",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    Age = "age",
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    Etag = "etag",
    Expect = "expect",
    Expires = "expires",
    GrpcMessage = "grpc-message",
    GrpcStatus = "grpc-status",
    GrpcTimeout = "grpc-timeout",
    Host = "host",
    Http2Settings = "http2-settings",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    KeepAlive = "keep-alive",
    LastModified = "last-modified",
    Location = "location",
    Origin = "origin",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    Referer = "referer",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    XContentTypeOptions = "x-content-type-options",
    XEnvoyAttemptCount = "x-envoy-attempt-count",
    XEnvoyDecoratorOperation = "x-envoy-decorator-operation",
    XEnvoyDegraded = "x-envoy-degraded",
    XEnvoyDownstreamServiceCluster = "x-envoy-downstream-service-cluster",
    XEnvoyDownstreamServiceNode = "x-envoy-downstream-service-node",
    XEnvoyExpectedRqTimeoutMs = "x-envoy-expected-rq-timeout-ms",
    XEnvoyExternalAddress = "x-envoy-external-address",
    XEnvoyForceTrace = "x-envoy-force-trace",
    XEnvoyHedgeOnPerTryTimeout = "x-envoy-hedge-on-per-try-timeout",
    XEnvoyImmediateHealthCheckFail = "x-envoy-immediate-health-check-fail",
    XEnvoyInternal = "x-envoy-internal",
    XEnvoyIpTags = "x-envoy-ip-tags",
    XEnvoyIsTimeoutRetry = "x-envoy-is-timeout-retry",
    XEnvoyMaxRetries = "x-envoy-max-retries",
    XEnvoyOriginalHost = "x-envoy-original-host",
    XEnvoyOriginalPath = "x-envoy-original-path",
    XEnvoyOverloaded = "x-envoy-overloaded",
    XEnvoyRateLimited = "x-envoy-ratelimited",
    XEnvoyRetriableHeaderNames = "x-envoy-retriable-header-names",
    XEnvoyRetriableStatusCodes = "x-envoy-retriable-status-codes",
    XEnvoyRetryGrpcOn = "x-envoy-retry-grpc-on",
    XEnvoyRetryOn = "x-envoy-retry-on",
    XEnvoyUpstreamAltStatName = "x-envoy-upstream-alt-stat-name",
    XEnvoyUpstreamCanary = "x-envoy-upstream-canary",
    XEnvoyUpstreamRqPerTryTimeoutMs = "x-envoy-upstream-rq-per-try-timeout-ms",
    XEnvoyUpstreamRqTimeoutAltResponse = "x-envoy-upstream-rq-timeout-alt-response",
    XEnvoyUpstreamRqTimeoutMs = "x-envoy-upstream-rq-timeout-ms",
    XEnvoyUpstreamServiceTime = "x-envoy-upstream-service-time",
    XEnvoyUpstreamStreamDurationMs = "x-envoy-upstream-stream-duration-ms",
    XForwardedClientCert = "x-forwarded-client-cert",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

const _: () = assert!(NAMES.len() <= 128, "the set of names present is a u128");

const TABLE_SIZE: usize = 512;
const EMPTY: u8 = u8::MAX;

/// Open addressing over a cheap hash; made by the compiler.
static TABLE: [u8; TABLE_SIZE] = build();

const fn hash(name: &[u8]) -> usize {
    let (first, middle, last) = (name[0], name[name.len() / 2], name[name.len() - 1]);
    let before_last = name[name.len().saturating_sub(4)];
    let mixed = (name.len() as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((first as u32).wrapping_mul(0x85EB_CA6B))
        .wrapping_add((middle as u32).wrapping_mul(0xC2B2_AE35))
        .wrapping_add((before_last as u32).wrapping_mul(0x1656_67B1))
        .wrapping_add((last as u32).wrapping_mul(0x27D4_EB2F));
    (mixed >> 16) as usize % TABLE_SIZE
}

const fn build() -> [u8; TABLE_SIZE] {
    let mut table = [EMPTY; TABLE_SIZE];
    let mut number = 0;
    while number < NAMES.len() {
        let mut slot = hash(NAMES[number].as_bytes());
        while table[slot] != EMPTY {
            slot = (slot + 1) % TABLE_SIZE;
        }
        table[slot] = number as u8;
        number += 1;
    }
    table
}

impl Known {
    /// The known name that these lower-case bytes spell.
    pub fn lookup(name: &[u8]) -> Option<Known> {
        if name.is_empty() {
            return None;
        }
        let mut slot = hash(name);
        loop {
            let number = TABLE[slot];
            if number == EMPTY {
                return None;
            }
            if NAMES[number as usize].as_bytes() == name {
                return Some(ALL[number as usize]);
            }
            slot = (slot + 1) % TABLE_SIZE;
        }
    }

    /// The name in lower case.
    pub const fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Whether this is a pseudo-header (RFC 9113 §8.3).
    pub const fn is_pseudo(self) -> bool {
        (self as u8) <= (Known::Protocol as u8)
    }

    /// All known names, by number.
    pub fn all() -> &'static [Known] {
        ALL
    }

    pub(super) const fn bit(self) -> u128 {
        1 << (self as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_and_others_are_not() {
        for known in Known::all() {
            assert_eq!(Known::lookup(known.as_str().as_bytes()), Some(*known));
        }
        for other in ["", "x", "x-foo", "hosts", "x-request-ie"] {
            assert_eq!(Known::lookup(other.as_bytes()), None, "{other}");
        }
    }
}
