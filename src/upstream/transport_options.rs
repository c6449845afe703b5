//! What a request says of the connection that carries it.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::{HttpProxy, Proxied};
use crate::config::tls::WORKLOAD;
use crate::observability::stream_info::{Notes, Sharing, StateObject, UpstreamSource};

/// The filter state that says which name TLS asks for.
pub const SERVER_NAME: &str = "envoy.network.upstream_server_name";
/// The filter state that lists names of which the host's certificate has to have one.
pub const SUBJECT_ALT_NAMES: &str = "envoy.network.upstream_subject_alt_names";
/// The filter state that lists the protocols that TLS offers.
pub const APPLICATION_PROTOCOLS: &str = "envoy.network.application_protocols";
/// The filter state that says which proxy the connection goes through.
pub const HTTP_PROXY: &str = "envoy.network.transport_socket.http_11_proxy.info";

/// What a request says of the connection that carries it, in place of what is configured: Envoy's
/// `TransportSocketOptions`. Requests that say the same share connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportOptions {
    /// The name of the server that TLS asks for.
    pub server_name: Option<Box<str>>,
    /// Names of which the host's certificate has to have one; empty where that is not asked.
    pub names: Box<[Box<str>]>,
    /// Protocols that TLS offers; empty leaves it to the configuration.
    pub alpn: Box<[Vec<u8>]>,
    /// Whose connection it came on, where the host is told; as it is where nothing is said.
    pub proxied: Option<Box<Proxied>>,
    /// The proxy that it goes through.
    pub http_proxy: Option<Box<HttpProxy>>,
    /// What listeners within the process are told.
    pub shared: SharedState,
    /// Where it comes from, in place of what the cluster says.
    pub source: Option<UpstreamSource>,
    /// The connection that it came on, where others get connections of their own.
    pub client: Option<u64>,
    /// Whether it is of high priority: as in Envoy such requests share no connections with others, so that neither waits
    /// for what the other may have.
    pub high_priority: bool,
}

impl TransportOptions {
    /// What the filter state says.
    pub fn of(notes: &Notes) -> Self {
        let text = |key: &str| {
            let text = notes.state(key).map(StateObject::text)?;
            std::str::from_utf8(text).ok().filter(|text| !text.is_empty())
        };
        let list = |key: &str| text(key).into_iter().flat_map(|list| list.split(','));
        TransportOptions {
            server_name: text(SERVER_NAME).map(Into::into),
            names: list(SUBJECT_ALT_NAMES).map(Into::into).collect(),
            alpn: list(APPLICATION_PROTOCOLS).map(|protocol| protocol.as_bytes().to_vec()).collect(),
            proxied: None,
            http_proxy: text(HTTP_PROXY).and_then(HttpProxy::parse).map(Box::new),
            shared: SharedState::of(notes),
            source: notes.upstream_source(),
            client: None,
            high_priority: false,
        }
    }

    /// The workload on whose behalf hosts are trusted; empty for none.
    pub fn workload(&self) -> &str {
        let text = self.shared.get(WORKLOAD).map(StateObject::text);
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && *self == Self::default()
    }
}

/// What is said, of which a part may be another's: by this the connections of a host are found, and nothing is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Said<'s> {
    server_name: Option<&'s str>,
    names: &'s [Box<str>],
    alpn: &'s [Vec<u8>],
    proxied: Option<&'s Proxied>,
    http_proxy: Option<&'s HttpProxy>,
    shared: &'s SharedState,
    source: Option<UpstreamSource>,
    client: Option<u64>,
    high_priority: bool,
}

impl<'s> Said<'s> {
    /// All that these say.
    pub(super) fn of(options: &'s TransportOptions) -> Self {
        let TransportOptions {
            server_name,
            names,
            alpn,
            proxied,
            http_proxy,
            shared,
            source,
            client,
            high_priority,
        } = options;
        Said {
            server_name: server_name.as_deref(),
            names,
            alpn,
            proxied: proxied.as_deref(),
            http_proxy: http_proxy.as_deref(),
            shared,
            source: *source,
            client: *client,
            high_priority: *high_priority,
        }
    }

    /// The same for a request of this priority on behalf of this connection, and of this client alone if there is one.
    pub(super) fn by(self, proxied: Option<&'s Proxied>, client: Option<u64>, high_priority: bool) -> Self {
        Said { proxied, client, high_priority, ..self }
    }

    /// A copy of it.
    pub(super) fn owned(&self) -> Rc<TransportOptions> {
        Rc::new(TransportOptions {
            server_name: self.server_name.map(Into::into),
            names: self.names.into(),
            alpn: self.alpn.into(),
            proxied: self.proxied.cloned().map(Box::new),
            http_proxy: self.http_proxy.cloned().map(Box::new),
            shared: self.shared.clone(),
            source: self.source,
            client: self.client,
            high_priority: self.high_priority,
        })
    }
}

/// Objects of the filter state that are shared with connections to hosts.
///
/// As in Envoy those alone tell connections apart that can be hashed: what else there is, is that of the request for
/// which a connection was made.
#[derive(Clone, Debug, Default)]
pub struct SharedState(Box<[(Box<str>, StateObject, Sharing)]>);

impl SharedState {
    fn of(notes: &Notes) -> Self {
        let shared = notes.shared_state();
        SharedState(shared.map(|(name, object, sharing)| (name.into(), object.clone(), sharing)).collect())
    }

    /// Notes them of a connection that they come with: what is shared once is not shared from there.
    pub(super) fn note(&self, notes: &mut Notes) {
        for (name, object, sharing) in &self.0 {
            notes.set_state(name, object.clone());
            if *sharing == Sharing::Transitive {
                notes.share_state(name, Sharing::Transitive);
            }
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As what a connection to a host knows; `None` where that is nothing.
    pub(super) fn noted(&self) -> Option<Notes> {
        let mut notes = Notes::default();
        self.note(&mut notes);
        notes.has_state().then_some(notes)
    }

    /// The object of this name.
    pub(super) fn get(&self, name: &str) -> Option<&StateObject> {
        self.0.iter().find(|(one, ..)| **one == *name).map(|(_, object, _)| object)
    }

    fn key(&self) -> impl Iterator<Item = (&str, &StateObject)> {
        let all = self.0.iter().map(|(name, object, _)| (&**name, object));
        all.filter(|(_, object)| object.is_hashable())
    }
}

impl PartialEq for SharedState {
    fn eq(&self, other: &Self) -> bool {
        self.key().eq(other.key())
    }
}

impl Eq for SharedState {}

impl Hash for SharedState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().for_each(|part| part.hash(state));
    }
}
