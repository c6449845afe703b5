//! Headers that are one list of values however often they come.

use super::Known;

/// Request headers of which Envoy 1.40 keeps one with a list of values; found by adding each of them twice.
pub fn joined_in_requests(name: Known) -> bool {
    use Known::*;
    matches!(
        name,
        Accept
            | AcceptEncoding
            | Authorization
            | CacheControl
            | Connection
            | ContentEncoding
            | ContentLength
            | ContentType
            | Expect
            | GrpcTimeout
            | IfModifiedSince
            | IfNoneMatch
            | KeepAlive
            | Origin
            | ProxyConnection
            | Referer
            | Te
            | TransferEncoding
            | Upgrade
            | UserAgent
            | Via
            | XEnvoyAttemptCount
            | XEnvoyDecoratorOperation
            | XEnvoyDownstreamServiceCluster
            | XEnvoyDownstreamServiceNode
            | XEnvoyExpectedRqTimeoutMs
            | XEnvoyExternalAddress
            | XEnvoyForceTrace
            | XEnvoyHedgeOnPerTryTimeout
            | XEnvoyInternal
            | XEnvoyIpTags
            | XEnvoyIsTimeoutRetry
            | XEnvoyMaxRetries
            | XEnvoyOriginalHost
            | XEnvoyOriginalPath
            | XEnvoyRetriableHeaderNames
            | XEnvoyRetriableStatusCodes
            | XEnvoyRetryGrpcOn
            | XEnvoyRetryOn
            | XEnvoyUpstreamAltStatName
            | XEnvoyUpstreamRqPerTryTimeoutMs
            | XEnvoyUpstreamRqTimeoutAltResponse
            | XEnvoyUpstreamRqTimeoutMs
            | XForwardedClientCert
            | XForwardedFor
            | XForwardedHost
            | XForwardedPort
            | XForwardedProto
            | XRequestId
    )
}

/// Response headers of which Envoy 1.40 keeps one with a list of values.
pub fn joined_in_responses(name: Known) -> bool {
    use Known::*;
    matches!(
        name,
        Age | CacheControl
            | Connection
            | ContentEncoding
            | ContentLength
            | ContentType
            | Date
            | Etag
            | Expires
            | GrpcMessage
            | GrpcStatus
            | KeepAlive
            | LastModified
            | Location
            | ProxyConnection
            | Server
            | TransferEncoding
            | Upgrade
            | Vary
            | Via
            | XEnvoyAttemptCount
            | XEnvoyDecoratorOperation
            | XEnvoyDegraded
            | XEnvoyImmediateHealthCheckFail
            | XEnvoyRateLimited
            | XEnvoyUpstreamCanary
            | XEnvoyUpstreamServiceTime
            | XRequestId
    )
}
