//! One xDS resource as it goes over the wire.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, ScopedRouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::envoy::service::runtime::v3::Runtime;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use envoy_types::util::pack_any;

use crate::references::{self, Reference};
use crate::version;

/// Where a resource was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was reached from the directory that is served.
    pub file: PathBuf,
    /// The line of its first key, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One resource. Its version is the hash of its content, so equal content has an equal version, in
/// this process and in any other.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The name that clients ask for.
    pub name: Arc<str>,
    /// The resource itself with its type URL.
    pub body: Any,
    /// The content's hash.
    pub version: String,
    /// After this long a client drops the resource unless a heartbeat renews it;
    /// `envoy.service.discovery.v3.Resource.ttl`. The server renews it in time. `None`: it stays.
    pub ttl: Option<Duration>,
    /// Whether only those get it who ask for it by its name, and not those who ask for everything.
    pub only_by_name: bool,
    /// Where it was written; `None` for one that was made by a program.
    pub origin: Option<Origin>,
    /// The other resources that must exist for this one to work.
    pub references: Vec<Reference>,
}

impl Resource {
    /// A resource from its bytes. Bytes that are no such message are taken as they are (a test may
    /// want just that) and refer to nothing.
    pub fn new(name: &str, body: Any) -> Self {
        let references = references::of(&body);
        let version = version::of_parts([body.type_url.as_bytes(), name.as_bytes(), &body.value]);
        Self { name: name.into(), body, version, ttl: None, only_by_name: false, origin: None, references }
    }

    /// The same resource with a time to live.
    pub fn with_ttl(self, ttl: Duration) -> Self {
        let version = version::of_parts([self.version.as_bytes(), &ttl.as_nanos().to_be_bytes()]);
        Self { ttl: Some(ttl), version, ..self }
    }

    /// The same resource, of which who asks for everything is told nothing.
    pub fn only_by_name(self) -> Self {
        Self { only_by_name: true, ..self }
    }

    /// The same resource with the place where it was written.
    pub fn written_at(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// The resource's type.
    pub fn type_url(&self) -> &str {
        &self.body.type_url
    }

    /// The resource in the wrapper that delta responses carry.
    pub(crate) fn wrapped(&self) -> discovery::Resource {
        discovery::Resource { resource: Some(self.body.clone()), ..self.heartbeat() }
    }

    /// The wrapper without the resource: the client keeps what it has for another TTL.
    pub(crate) fn heartbeat(&self) -> discovery::Resource {
        discovery::Resource {
            name: self.name.to_string(),
            version: self.version.clone(),
            ttl: self.ttl.map(proto_duration),
            ..Default::default()
        }
    }

    /// The resource as a state-of-the-world response carries it: bare, or wrapped when it has a TTL.
    pub(crate) fn bare(&self) -> Any {
        match self.ttl {
            None => self.body.clone(),
            Some(_) => pack_any(self.wrapped()),
        }
    }
}

/// A duration as the API writes it; what is longer than the API can say becomes the longest.
fn proto_duration(duration: Duration) -> ProtoDuration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    // Below 1,000,000,000, so it fits.
    ProtoDuration { seconds, nanos: duration.subsec_nanos() as i32 }
}

macro_rules! from_message {
    ($($message:ident . $name:ident),*) => {$(
        impl From<$message> for Resource {
            fn from(message: $message) -> Self {
                let name = message.$name.clone();
                Self::new(&name, pack_any(message))
            }
        }
    )*};
}

from_message!(
    Cluster.name,
    ClusterLoadAssignment.cluster_name,
    Listener.name,
    RouteConfiguration.name,
    ScopedRouteConfiguration.name,
    VirtualHost.name,
    Secret.name,
    Runtime.name,
    TypedExtensionConfig.name
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_content() {
        let cluster = |timeout| {
            Resource::from(Cluster { name: "app".into(), alt_stat_name: timeout, ..Default::default() })
        };
        assert_eq!(cluster("a".into()).version, cluster("a".into()).version);
        assert_ne!(cluster("a".into()).version, cluster("b".into()).version);
        assert_ne!(cluster("a".into()).version, cluster("a".into()).with_ttl(Duration::from_secs(1)).version);
    }
}
