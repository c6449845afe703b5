//! What passes between the client and those who subscribe.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use dragoman_proto::rejected::RejectedResources;

/// URLs of resource types.
pub mod type_url {
    /// `envoy.config.listener.v3.Listener`
    pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    /// `envoy.config.route.v3.RouteConfiguration`
    pub const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    /// SRDS.
    pub const SCOPED_ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration";
    /// VHDS.
    pub const VIRTUAL_HOST: &str = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
    /// `envoy.config.cluster.v3.Cluster`
    pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`
    pub const ENDPOINTS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`
    pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    /// `envoy.service.runtime.v3.Runtime`
    pub const RUNTIME: &str = "type.googleapis.com/envoy.service.runtime.v3.Runtime";
    /// `envoy.config.core.v3.TypedExtensionConfig`
    pub const EXTENSION: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
    /// FCDS, over aggregated streams and from files alone.
    pub const FILTER_CHAIN: &str = "type.googleapis.com/envoy.config.listener.v3.FilterChain";
}

/// One subscription of a [`Client`](super::Client).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub(super) u64);

/// Which resources of a type are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// All that the server has for this node: listeners and clusters.
    Wildcard,
    /// Those of these names; nothing is asked for while there are none.
    Names(BTreeSet<String>),
    /// All that the server has, and besides an answer to each of these names: virtual hosts. Only with incremental xDS.
    WildcardAnd(BTreeSet<String>),
}

impl Interest {
    /// Whether a resource of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        match self {
            Interest::Wildcard | Interest::WildcardAnd(_) => true,
            Interest::Names(names) => names.contains(name),
        }
    }
}

/// Something that happened to a subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Which one.
    pub subscription: SubscriptionId,
    /// What.
    pub event: Event,
}

/// What happens to a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Its stream is open and its first request sent.
    Connected,
    /// Its stream could not be opened or ended; a new one follows by itself. What came before stays.
    Disconnected {
        /// Why, for a log line.
        reason: String,
    },
    /// Resources came; to be settled with the token.
    Response(Response),
    /// A response broke the protocol (a repeated name, a wrong type, bytes that are no resource), or a file could
    /// not be read. Nothing of it counts; a server has been told.
    Rejected {
        /// The version rejected; empty for a file that could not be read.
        version: String,
        /// What the server was told.
        error: String,
    },
    /// `initial_fetch_timeout` passed before anything came. The names that are still missing; none for a
    /// wildcard. What is late counts when it comes all the same.
    FetchTimedOut {
        /// The names missing.
        names: Vec<String>,
    },
    /// The time to live of these resources passed without a heartbeat: they are gone as if removed.
    Expired {
        /// Their names.
        names: Vec<String>,
    },
}

/// Resources of one type, as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Version of the whole: `version_info` or `system_version_info`.
    pub version: String,
    /// New and changed resources that are wanted, each name once.
    pub resources: Vec<Resource>,
    /// Names mentioned without a body: what is there of them stays. Only their time to live begins anew.
    pub kept: Vec<String>,
    /// Names that the server says it does not have (any more). Only with incremental xDS.
    pub removed: Vec<String>,
    /// Other names that the resources answer to, and those in `kept`: `Resource.aliases`. Only with incremental xDS.
    pub aliases: Vec<String>,
    /// How many resources came that are not wanted.
    pub passed_over: usize,
    /// Whether this is all there is: what is neither in `resources` nor in `kept` is gone.
    pub full: bool,
    /// To settle it with.
    pub token: Token,
}

/// One resource.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Its version; that of the whole response unless the server gave it one of its own.
    pub version: String,
    /// The message, encoded; its type is the subscription's.
    pub value: Bytes,
}

/// Without the message: it may be a secret.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resource { name, version, .. } = self;
        f.debug_struct("Resource").field("name", name).field("version", version).finish_non_exhaustive()
    }
}

/// Names a response until it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which stream of the subscription it came on.
    pub(super) stream: u64,
    /// Counted by subscription.
    pub(super) sequence: u64,
}

/// What a file has for those who want one resource of it. As in Envoy they are served by a file with that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent<'a> {
    /// No resource.
    Nothing,
    /// The resource of this name.
    One(&'a str),
    /// One that nobody wants, or several.
    Unexpected,
}

impl Response {
    /// What says that these resources are gone, though no server does: their time is over. Nobody settles it.
    pub fn of_gone(names: &[String]) -> Self {
        Response {
            version: String::new(),
            resources: Vec::new(),
            kept: Vec::new(),
            removed: names.to_vec(),
            aliases: Vec::new(),
            passed_over: 0,
            full: false,
            token: Token { stream: 0, sequence: 0 },
        }
    }

    /// What it has if it is the content of a file.
    pub fn file_content(&self) -> FileContent<'_> {
        let bodies = self.resources.iter().map(|resource| resource.name.as_str());
        let mut names = bodies.chain(self.kept.iter().map(String::as_str));
        match (names.next(), names.next(), self.passed_over) {
            (None, _, 0) => FileContent::Nothing,
            (Some(name), None, 0) => FileContent::One(name),
            _ => FileContent::Unexpected,
        }
    }
}

#[cfg(test)]
impl Token {
    /// That of a response that never came over a stream.
    pub fn for_test() -> Self {
        Token { stream: 0, sequence: 0 }
    }
}

/// What was made of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is in force, or will be by itself.
    Ack,
    /// Some of it is not.
    Nack {
        /// What the server is told: every error, with the resource's name and the field's path.
        error: String,
        /// The same for programs.
        details: RejectedResources,
        /// The resources not in force, so that a new stream does not claim to have them. Empty: all of them.
        rejected: Vec<String>,
    },
}
