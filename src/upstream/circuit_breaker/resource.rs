//! What is limited.

/// What a breaker limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Connections to all hosts.
    Connections,
    /// Requests that wait for a connection.
    Pending,
    /// Requests in flight.
    Requests,
    /// Retries in flight.
    Retries,
    /// Connection pools.
    Pools,
}

impl Resource {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Resource; 5] =
        [Resource::Connections, Resource::Pending, Resource::Requests, Resource::Retries, Resource::Pools];

    /// Its limit, as the API and the runtime call it.
    pub(super) fn limit_name(self) -> &'static str {
        match self {
            Resource::Connections => "max_connections",
            Resource::Pending => "max_pending_requests",
            Resource::Requests => "max_requests",
            Resource::Retries => "max_retries",
            Resource::Pools => "max_connection_pools",
        }
    }
}
