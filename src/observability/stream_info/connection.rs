//! A downstream connection, and what all its requests have in common.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::config::bootstrap::Node;
use crate::config::listener::TrafficDirection;
use crate::config::metadata::Metadata;

use super::{Address, Notes, Refusal, TlsInfo};

/// What all requests of a downstream connection have in common.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Number of the connection, unique in the process.
    pub id: u64,
    /// Whether there is one: not for a request that no client has sent.
    pub is_there: bool,
    /// The peer, as the socket says.
    pub direct_remote: Address,
    /// The peer after listener filters (PROXY protocol, original source).
    pub remote: Address,
    /// Our end; where the client wanted to go if that was restored.
    pub local: Address,
    /// Our end, as the socket says.
    pub direct_local: Address,
    /// When it was accepted.
    pub start: Instant,
    /// Name of the listener.
    pub listener_name: Option<Arc<str>>,
    /// Name of the filter chain, if it has one.
    pub filter_chain_name: Option<Arc<str>>,
    /// Name that the client asked for (SNI); empty if none.
    pub requested_server_name: Box<str>,
    /// What kind of client it is by its TLS greeting; `None` where no listener filter took them.
    pub fingerprints: Option<Box<Fingerprints>>,
    /// What the header of a proxy before this one says of it that may be passed on to hosts, by type; `None` where it has
    /// none.
    pub proxied_values: Option<ProxiedValues>,
    /// Why a network filter has closed it; nothing where none has.
    pub refusal: OnceCell<Refusal>,
    /// Why the handshake failed, if it did.
    pub transport_failure_reason: OnceCell<String>,
    /// Whether TLS is spoken.
    pub encrypted: bool,
    /// What is known of TLS; nothing on plain connections and before the handshake is done.
    pub tls: OnceCell<Box<TlsInfo>>,
    /// What is configured of the listener beside what it does; `None` where that is nothing.
    pub listener_metadata: Option<Arc<Metadata>>,
    /// The same of its filter chain.
    pub filter_chain_metadata: Option<Arc<Metadata>>,
    /// Which way the listener's traffic goes.
    pub direction: TrafficDirection,
    /// Who this proxy is, for expressions; `None` of connections that nobody accepted.
    pub node: Option<Arc<Node>>,
    /// What a filter keeps as long as it lasts.
    pub kept: Kept,
    /// What listener and network filters noted of it; none until one does.
    pub notes: RefCell<Option<Box<Notes>>>,
    /// Whether [`local`](Self::local) is where the client wanted to go, as a listener filter found out.
    pub local_restored: bool,
}

/// Values of a header of the PROXY protocol, each with its type.
pub type ProxiedValues = Box<[(u8, Box<[u8]>)]>;

/// The fingerprints of a TLS greeting, as far as they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    /// JA3: the MD5 of what the client offers, in hexadecimal digits.
    pub ja3: Option<Box<str>>,
    /// JA4, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    pub ja4: Option<Box<str>>,
}

/// What a filter keeps for as long as a connection lasts. What is put in first stays.
#[derive(Clone, Default)]
pub struct Kept(OnceCell<Rc<dyn Any>>);

impl Kept {
    /// What is kept; `make` makes it if there is nothing. `None` where it is something else.
    pub fn get_or_init<T: Any>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.get_or_init(|| Rc::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Kept" } else { "Nothing" })
    }
}

impl ConnectionInfo {
    /// The scheme of URIs that come on it.
    pub fn scheme(&self) -> &'static [u8] {
        if self.encrypted { b"https" } else { b"http" }
    }

    /// For a listener filter to note something.
    pub fn notes_mut(&mut self) -> &mut Notes {
        self.notes.get_mut().get_or_insert_default()
    }

    /// For a network filter to note something.
    pub fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(self.notes.borrow_mut().get_or_insert_default());
    }

    /// Why it ended.
    pub fn termination_details(&self) -> Option<&str> {
        self.refusal.get().and_then(|refusal| refusal.termination_details.as_deref())
    }

    /// A connection that was accepted just now, before anything more is known of it.
    pub fn new(id: u64, remote: Address, local: Address) -> Self {
        ConnectionInfo {
            id,
            is_there: true,
            direct_remote: remote.clone(),
            remote,
            direct_local: local.clone(),
            local,
            start: Instant::now(),
            listener_name: None,
            filter_chain_name: None,
            requested_server_name: Box::default(),
            fingerprints: None,
            proxied_values: None,
            refusal: OnceCell::new(),
            transport_failure_reason: OnceCell::new(),
            encrypted: false,
            tls: OnceCell::new(),
            listener_metadata: None,
            filter_chain_metadata: None,
            direction: TrafficDirection::default(),
            node: None,
            kept: Kept::default(),
            notes: RefCell::default(),
            local_restored: false,
        }
    }
}
