//! gRPC services and their methods.

/// A gRPC service.
#[derive(Debug)]
pub struct Service {
    pub(super) full_name: &'static str,
    pub(super) methods: Vec<Method>,
}

/// A method of a gRPC service.
#[derive(Debug)]
pub struct Method {
    /// The name without the service, such as `StreamAggregatedResources`.
    pub name: &'static str,
    /// The full name of the request message.
    pub input: &'static str,
    /// The full name of the response message.
    pub output: &'static str,
    /// Whether the client sends a stream of requests.
    pub client_streaming: bool,
    /// Whether the server sends a stream of responses.
    pub server_streaming: bool,
}

impl Service {
    /// The full name, such as `envoy.service.discovery.v3.AggregatedDiscoveryService`.
    pub fn full_name(&self) -> &'static str {
        self.full_name
    }

    /// All methods in the order of their declaration.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }
}
