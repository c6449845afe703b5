//! What all connections of one worker use: none of it is shared with other threads.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::oneshot;

use crate::base::headers::Headers;
use crate::base::local::Local;
use crate::base::random::Rng;
use crate::snapshot::{Published, Snapshot, Wanted};
use crate::upstream::pool::Pools;

use super::date::DateCache;
use super::tracing::Reporters;

/// The state of one worker's data path.
#[derive(Debug)]
pub struct Worker {
    /// Connections to upstream hosts.
    pub pools: Pools,
    /// Random numbers.
    pub rng: RefCell<Rng>,
    /// The value of `date`.
    pub date: DateCache,
    /// Spans that wait to be told of.
    pub(super) reporters: Reporters,
    /// Names of the virtual hosts that requests were for.
    pub virtual_host_names: Local<str>,
    published: Arc<Published>,
    #[expect(
        clippy::redundant_allocation,
        reason = "counting the outer pointer writes nothing that other threads read"
    )]
    snapshot: RefCell<Rc<Arc<Snapshot>>>,
    version: Cell<u64>,
    local_ip: OnceCell<IpAddr>,
    #[expect(
        clippy::vec_box,
        reason = "they are handed out boxed, and moving the lists themselves costs more"
    )]
    spare: RefCell<Vec<Box<HeaderPair>>>,
    scratch: RefCell<BytesMut>,
}

/// The headers of a request and of its response, kept for reuse.
#[derive(Debug, Default)]
pub struct HeaderPair {
    /// The request's.
    pub request: Headers,
    /// The response's.
    pub response: Headers,
}

/// Header lists kept for reuse.
const SPARE_HEADERS: usize = 64;
/// Bytes that are read at once of connections that are passed on as they are.
const SCRATCH_SIZE: usize = 64 * 1024;
/// A list that has taken more memory than this is not kept.
const SPARE_CAPACITY: usize = 16 * 1024;

impl Worker {
    /// A worker that serves what is published.
    pub fn new(published: Arc<Published>, rng: Rng) -> Self {
        let version = published.version();
        Worker {
            pools: Pools::default(),
            rng: RefCell::new(rng),
            date: DateCache::default(),
            reporters: Reporters::default(),
            virtual_host_names: Local::default(),
            snapshot: RefCell::new(Rc::new(published.load())),
            published,
            version: Cell::new(version),
            local_ip: OnceCell::new(),
            spare: RefCell::default(),
            scratch: RefCell::default(),
        }
    }

    /// The snapshot in force. Holding it costs no count that other threads write.
    pub fn snapshot(&self) -> Rc<Arc<Snapshot>> {
        let version = self.published.version();
        if version != self.version.get() {
            self.version.set(version);
            self.snapshot.replace(Rc::new(self.published.load()));
        }
        Rc::clone(&self.snapshot.borrow())
    }

    /// Empty header lists.
    pub fn take_headers(&self) -> Box<HeaderPair> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes header lists back.
    pub fn return_headers(&self, mut headers: Box<HeaderPair>) {
        let mut spare = self.spare.borrow_mut();
        let HeaderPair { request, response } = &*headers;
        if spare.len() < SPARE_HEADERS && request.capacity().max(response.capacity()) <= SPARE_CAPACITY {
            headers.request.clear();
            headers.response.clear();
            spare.push(headers);
        }
    }

    /// Asks for something that is not there; what comes back is ready once the answer is in force.
    pub fn demand(&self, wanted: Wanted) -> oneshot::Receiver<()> {
        self.published.demand(wanted)
    }

    /// An empty buffer for what is read and written on before anybody waits.
    pub fn scratch(&self) -> RefMut<'_, BytesMut> {
        let mut scratch = self.scratch.borrow_mut();
        scratch.clear();
        // Allocated at the first use.
        scratch.reserve(SCRATCH_SIZE);
        scratch
    }

    /// Whether the program tells who asks that it is not healthy.
    pub fn health_checks_fail(&self) -> bool {
        self.published.health_checks_fail()
    }

    /// The cluster that the program belongs to.
    pub fn local_cluster(&self) -> &str {
        self.published.local_cluster()
    }

    /// How many proxies there are like this one, in its cluster (`local_cluster_name`); one where nothing is known of it.
    pub fn fellows(&self) -> u64 {
        let snapshot = self.snapshot();
        let cluster = snapshot.clusters.get(self.published.fellows());
        cluster.map_or(1, |cluster| cluster.member_count().max(1))
    }

    /// The address of this machine, as Envoy tells it of requests of its own.
    pub fn local_ip(&self) -> IpAddr {
        *self.local_ip.get_or_init(local_ip)
    }

    /// Random bits.
    pub fn random(&self) -> u64 {
        self.rng.borrow_mut().next_u64()
    }
}

/// The first address that is not loopback's, or that where there is no other.
fn local_ip() -> IpAddr {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut addresses = interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    addresses.find(|address| !address.is_loopback()).unwrap_or(Ipv4Addr::LOCALHOST).into()
}
