//! Hosts: the live counterparts of configured endpoints, shared between all workers.
//!
//! A host keeps its identity (counts, health, pools of connections to it) for as long as its address stays in the
//! cluster; weight, health and metadata change in place.

pub mod health_flag;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::failures::Failures;
use super::health::{self, Complaints};
use super::host_stats::{ActiveConnection, ActiveRequest, HostStats};
use super::orca::Ledger;
use super::outlier::Monitor;
use crate::config::address::Address;
use crate::config::endpoint::{Endpoint, HealthStatus, Locality};
use crate::config::metadata::Metadata;
use crate::observability::stats::{EndpointStats, ZoneStats};

/// What a host's flags come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Used.
    Healthy,
    /// Used when no healthy host is there.
    Degraded,
    /// Not used but in a panic.
    Unhealthy,
}

/// One host of a cluster.
pub struct Host {
    /// Unique among all hosts of the process's life.
    pub id: u64,
    /// Tells hosts with one address apart: which of the configured endpoints of a `STATIC` or `STRICT_DNS` cluster
    /// it belongs to; 0 elsewhere.
    pub origin: u32,
    /// What the host is known by: never a name, those are resolved by now.
    pub address: Address,
    /// Tried after `address`, in this order.
    pub additional_addresses: Box<[Address]>,
    /// `address` as in logs and `/clusters`.
    pub address_text: Arc<str>,
    /// Name for host rewriting and SNI; empty when not configured.
    pub hostname: Arc<str>,
    /// Where the host says it is.
    pub locality: Arc<Locality>,
    /// Where active health checks ask it.
    pub check_address: Address,
    /// The name that they ask for; empty for what the check says.
    pub check_hostname: Box<str>,
    /// A way to tell active health checks of an answer, where the host is checked.
    pub complaints: Option<Complaints>,
    /// Whether it is left out of the checks of its cluster; `None` where there are none.
    spared: Option<bool>,
    /// Counts of this host alone.
    pub stats: HostStats,
    /// What outlier detection hears of the host's requests, where there is any.
    pub outlier: Option<Box<Monitor>>,
    /// What it reports of itself, where its cluster asks for that.
    pub ledger: Option<Box<Ledger>>,
    /// Of responses of its zone, where that and the one of this proxy are known.
    pub zone_stats: Option<Arc<ZoneStats>>,
    metadata: ArcSwapOption<Metadata>,
    /// Whether its metadata says that it is a canary.
    canary: AtomicBool,
    /// What its locality says, which stays as it was when the host came.
    pub(super) locality_metadata: Option<Arc<Metadata>>,
    priority: AtomicU32,
    weight: AtomicU32,
    health_flags: AtomicU32,
    /// The version of the last of its cluster's host sets that has it; 0 for none.
    listed_in: AtomicU64,
    /// How often it was found to have failed.
    pub(super) failures: Failures,
    /// One more than the milliseconds; 0 for never.
    healthy_since: AtomicU64,
}

impl Host {
    /// A host for `endpoint`, whose address is resolved; `stats` are its statistics, if it has any.
    pub fn new(
        id: u64,
        endpoint: &Endpoint,
        origin: u32,
        locality: Arc<Locality>,
        priority: u32,
        stats: Option<EndpointStats>,
    ) -> Self {
        let host = Host {
            id,
            origin,
            address_text: Arc::from(endpoint.address.to_string()),
            address: endpoint.address.clone(),
            additional_addresses: endpoint.additional_addresses.clone().into_boxed_slice(),
            hostname: Arc::from(endpoint.hostname.as_str()),
            locality,
            stats: HostStats::new(stats),
            check_address: endpoint.health_check.address_of(&endpoint.address),
            check_hostname: endpoint.health_check.hostname.as_str().into(),
            complaints: None,
            spared: None,
            outlier: None,
            ledger: None,
            zone_stats: None,
            metadata: ArcSwapOption::new(shared(&endpoint.metadata)),
            canary: AtomicBool::new(endpoint.metadata.is_canary()),
            locality_metadata: endpoint.locality_metadata.clone(),
            priority: AtomicU32::new(priority),
            weight: AtomicU32::new(endpoint.load_balancing_weight.max(1)),
            health_flags: AtomicU32::new(eds_flags(endpoint.health_status)),
            listed_in: AtomicU64::new(0),
            failures: Failures::default(),
            healthy_since: AtomicU64::new(0),
        };
        host.publish_health();
        host
    }

    /// The same host, whose requests outlier detection hears of.
    pub(super) fn watched_by(mut self, monitor: Option<Monitor>) -> Self {
        self.outlier = monitor.map(Box::new);
        self
    }

    /// The same host, whose connections may be told of its failures.
    pub(super) fn failing(mut self, failures: Failures) -> Self {
        self.failures = failures;
        self
    }

    /// The same host, responses of which count for its zone.
    pub(super) fn in_zone(mut self, stats: Option<Arc<ZoneStats>>) -> Self {
        self.zone_stats = stats;
        self
    }

    /// The same host, which reports of itself.
    pub(super) fn reporting(mut self, ledger: Option<Box<Ledger>>) -> Self {
        self.ledger = ledger;
        self
    }

    /// The same host, which is actively checked, and unhealthy until its first check has passed.
    pub(super) fn checked_by(mut self, complaints: Complaints, waits: bool) -> Self {
        self.complaints = Some(complaints);
        self.spared = Some(false);
        self.change_health_flags(health::flags_of_new_host(waits), 0);
        self
    }

    /// The same host, which is not checked though others of its cluster are: `disable_active_health_check`.
    pub(super) fn spared(mut self) -> Self {
        self.spared = Some(true);
        self
    }

    /// Whether it is actively checked.
    pub fn is_checked(&self) -> bool {
        self.complaints.is_some()
    }

    /// Leaves it out of what is counted of hosts, until a check passes.
    pub fn exclude(&self) {
        self.change_health_flags(health_flag::EXCLUDED_VIA_IMMEDIATE_HC_FAIL, 0);
    }

    /// Whether it is left out of what is counted of hosts.
    pub fn is_excluded(&self) -> bool {
        self.health_flags() & health_flag::EXCLUDED != 0
    }

    /// Notes that the set of this version has it. To be called before that set can be seen.
    pub(super) fn list_in(&self, version: u64) {
        self.listed_in.store(version, Ordering::Relaxed);
    }

    /// The version of the last of its cluster's host sets that has it; 0 for none.
    #[inline]
    pub(super) fn listed_in(&self) -> u64 {
        self.listed_in.load(Ordering::Relaxed)
    }

    /// Whether there is a connection to it, or a request that waits for one.
    pub(super) fn is_in_use(&self) -> bool {
        let counts = [&self.stats.cx_active, &self.stats.rq_pending_active, &self.stats.rq_active];
        counts.iter().any(|count| count.load(Ordering::Relaxed) > 0)
    }

    fn publish_health(&self) {
        let healthy = self.health() == Health::Healthy;
        self.stats.publish(|stats| stats.healthy().set(healthy.into()));
    }

    /// Every address of the host, [`address`](Self::address) first.
    pub(super) fn addresses(&self) -> Vec<Address> {
        std::iter::once(&self.address).chain(&self.additional_addresses).cloned().collect()
    }

    /// Whether connections go to [`address`](Self::address) always.
    pub(super) fn has_one_address(&self) -> bool {
        self.additional_addresses.is_empty()
    }

    /// Weight in load balancing, at least 1.
    #[inline]
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Gives it another weight, at least 1; whether it had another.
    pub(super) fn set_weight(&self, weight: u32) -> bool {
        let weight = weight.max(1);
        self.weight.swap(weight, Ordering::Relaxed) != weight
    }

    /// The priority that the host belongs to; 0 is the first choice.
    pub fn priority(&self) -> u32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Metadata as last configured; `None` where that is nothing.
    pub fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.load_full()
    }

    /// The proxy that connections to it go through, as it or its locality says.
    pub(super) fn http11_proxy(&self) -> Option<Address> {
        let own = self.metadata.load();
        let named = |metadata: &Metadata| metadata.http11_proxy.as_deref().cloned();
        own.as_deref().and_then(named).or_else(|| self.locality_metadata.as_deref().and_then(named))
    }

    /// Metadata of its locality; `None` where that is nothing.
    pub fn locality_metadata(&self) -> Option<Arc<Metadata>> {
        self.locality_metadata.clone()
    }

    /// Whether its metadata says that it is a canary.
    #[inline]
    pub fn is_canary(&self) -> bool {
        self.canary.load(Ordering::Relaxed)
    }

    /// Bits of [`health_flag`].
    #[inline]
    pub fn health_flags(&self) -> u32 {
        self.health_flags.load(Ordering::Relaxed)
    }

    /// What the flags come to.
    #[inline]
    pub fn health(&self) -> Health {
        match self.health_flags() {
            flags if flags & health_flag::UNHEALTHY != 0 => Health::Unhealthy,
            flags if flags & health_flag::DEGRADED != 0 => Health::Degraded,
            _ => Health::Healthy,
        }
    }

    /// Sets and clears health flags; whether any changed. Sets of hosts are sorted anew by
    /// [`Cluster::refresh_health`](super::Cluster::refresh_health).
    pub fn change_health_flags(&self, set: u32, clear: u32) -> bool {
        let change = |flags: u32| Some((flags & !clear) | set);
        let before = self.health_flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        self.publish_health();
        before.is_ok_and(|flags| flags != (flags & !clear) | set)
    }

    /// Since when the host is healthy, in milliseconds of its cluster's life, where slow start asks for it.
    pub fn healthy_since(&self) -> Option<u64> {
        self.healthy_since.load(Ordering::Relaxed).checked_sub(1)
    }

    /// The host became healthy so many milliseconds into its cluster's life: it is new again for slow start.
    pub fn set_healthy_since(&self, milliseconds: u64) {
        self.healthy_since.store(milliseconds.saturating_add(1), Ordering::Relaxed);
    }

    /// Requests in flight, from all workers.
    #[inline]
    pub fn active_requests(&self) -> u32 {
        self.stats.rq_active.load(Ordering::Relaxed)
    }

    /// Counts a request to this host until the guard is dropped.
    #[inline]
    pub fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        ActiveRequest::new(Arc::clone(self))
    }

    /// Counts a connection to this host until the guard is dropped.
    pub fn begin_connection(self: &Arc<Self>) -> ActiveConnection {
        ActiveConnection::new(Arc::clone(self))
    }

    /// Whether the host may stand for `endpoint` at `address` too: then it is kept and [changed in
    /// place](Self::update).
    pub(super) fn matches(&self, endpoint: &Endpoint, locality: &Locality) -> bool {
        *self.hostname == *endpoint.hostname
            && self.check_address == endpoint.health_check.address_of(&endpoint.address)
            && *self.check_hostname == *endpoint.health_check.hostname
            && self.spared.is_none_or(|spared| spared == endpoint.health_check.disabled)
            && *self.additional_addresses == *endpoint.additional_addresses
            && *self.locality == *locality
    }

    /// Takes over what may change while a host lives; whether anything that balancing looks at did.
    pub(super) fn update(&self, endpoint: &Endpoint, priority: u32) -> bool {
        let moved = self.priority.swap(priority, Ordering::Relaxed) != priority;
        let weighs_itself = self.ledger.as_ref().is_some_and(|ledger| ledger.weighs());
        let weighed = !weighs_itself && self.set_weight(endpoint.load_balancing_weight);
        let stale = health_flag::FROM_EDS | health_flag::PENDING_DYNAMIC_REMOVAL;
        let healed = self.change_health_flags(eds_flags(endpoint.health_status), stale);
        let metadata = shared(&endpoint.metadata);
        let described = *self.metadata.load() != metadata;
        if described {
            self.metadata.store(metadata);
            self.canary.store(endpoint.metadata.is_canary(), Ordering::Relaxed);
        }
        moved || weighed || healed || described
    }
}

/// What an endpoint says of itself, unless it is nothing.
fn shared(metadata: &Metadata) -> Option<Arc<Metadata>> {
    (!metadata.is_empty()).then(|| Arc::new(metadata.clone()))
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({} #{})", self.address_text, self.id)
    }
}

/// The flags that an EDS health status sets.
fn eds_flags(status: HealthStatus) -> u32 {
    match status {
        HealthStatus::Unknown | HealthStatus::Healthy => 0,
        HealthStatus::Unhealthy | HealthStatus::Timeout => health_flag::FAILED_EDS_HEALTH,
        HealthStatus::Draining => health_flag::FAILED_EDS_HEALTH | health_flag::EDS_STATUS_DRAINING,
        HealthStatus::Degraded => health_flag::DEGRADED_EDS_HEALTH,
    }
}
