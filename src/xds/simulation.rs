//! Both variants against a model of a server: whatever happens in whatever order, at rest the client has what the
//! server has, of what it wants and did not reject.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use dragoman_proto::rejected::RejectedResources;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use super::ads::Ads;
use super::delta::Delta;
use super::message::type_url::CLUSTER;
use super::message::{Event, Interest, Response, SubscriptionId, Verdict};
use super::sotw::Sotw;
use super::testing;
use super::variant::Variant;
use crate::base::random::Rng;

const ID: SubscriptionId = SubscriptionId(1);
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Resources of versions divisible by this are bad.
const BAD: u32 = 5;

type Versions = BTreeMap<String, u32>;

/// What a server knows of one stream, in one variant.
trait Server: Default {
    type Variant: Variant;

    /// Takes a request; an error names the nonce of the response that it rejects.
    fn take(&mut self, request: <Self::Variant as Variant>::Request);

    /// What is to be sent now that the server has these resources; nothing while an answer is due.
    fn response(&mut self, resources: &Versions) -> Option<<Self::Variant as Variant>::Response>;
}

/// The wildcard or the names of a stream, and what was sent on it.
#[derive(Default)]
struct Sent {
    asked: bool,
    wildcard: bool,
    names: BTreeSet<String>,
    versions: Versions,
    nonce: u32,
    unanswered: Option<String>,
}

impl Sent {
    fn wanted(&self, resources: &Versions) -> Versions {
        let wants = |name: &String| self.wildcard || self.names.contains(name);
        resources
            .iter()
            .filter(|(name, _)| wants(name))
            .map(|(name, version)| (name.clone(), *version))
            .collect()
    }

    fn next_nonce(&mut self) -> String {
        self.nonce += 1;
        self.unanswered = Some(self.nonce.to_string());
        self.nonce.to_string()
    }
}

#[derive(Default)]
struct SotwServer {
    sent: Sent,
    /// The names changed since the last response.
    changed: bool,
}

impl Server for SotwServer {
    type Variant = Sotw;

    fn take(&mut self, request: DiscoveryRequest) {
        let stale = self.sent.nonce > 0 && request.response_nonce != self.sent.nonce.to_string();
        assert!(!stale, "the client answers only what came last");
        assert_eq!(request.node.is_some(), !self.sent.asked, "only the first request has the node");
        let names: BTreeSet<String> = request.resource_names.into_iter().collect();
        self.sent.wildcard |= !self.sent.asked && names.is_empty();
        self.changed |= !self.sent.asked || names != self.sent.names;
        self.sent.asked = true;
        self.sent.names = names;
        self.sent.unanswered = None;
    }

    fn response(&mut self, resources: &Versions) -> Option<DiscoveryResponse> {
        let wanted = self.sent.wanted(resources);
        let news = self.changed || wanted != self.sent.versions;
        if !self.sent.asked || !news || self.sent.unanswered.is_some() {
            return None;
        }
        self.changed = false;
        let all = wanted.iter().map(|(name, version)| testing::any(name, *version)).collect();
        self.sent.versions = wanted;
        let nonce = self.sent.next_nonce();
        Some(testing::sotw(&format!("v{nonce}"), &nonce, all))
    }
}

#[derive(Default)]
struct DeltaServer(Sent);

impl Server for DeltaServer {
    type Variant = Delta;

    fn take(&mut self, request: DeltaDiscoveryRequest) {
        let Sent { asked, wildcard, names, versions, unanswered, .. } = &mut self.0;
        assert_eq!(request.node.is_some(), !*asked, "only the first request has the node");
        if !*asked {
            *wildcard = request.resource_names_subscribe.is_empty();
            let in_hand = request.initial_resource_versions.into_iter();
            // A name without a version is there in none that a server has.
            *versions = in_hand.map(|(name, version)| (name, version.parse().unwrap_or(0))).collect();
        }
        *asked = true;
        for name in request.resource_names_unsubscribe {
            assert!(names.remove(&name), "{name} was not subscribed to");
            versions.remove(&name);
        }
        names.extend(request.resource_names_subscribe);
        if !request.response_nonce.is_empty() {
            assert_eq!(unanswered.take(), Some(request.response_nonce));
        }
    }

    fn response(&mut self, resources: &Versions) -> Option<DeltaDiscoveryResponse> {
        if !self.0.asked || self.0.unanswered.is_some() {
            return None;
        }
        let wanted = self.0.wanted(resources);
        let sent = &self.0.versions;
        let news = wanted.iter().filter(|(name, version)| sent.get(*name) != Some(version));
        let news: Vec<_> = news.map(|(name, version)| testing::wrapped(name, &version.to_string())).collect();
        let gone: Vec<&str> =
            sent.keys().filter(|name| !wanted.contains_key(*name)).map(|name| &name[..]).collect();
        if news.is_empty() && gone.is_empty() {
            return None;
        }
        let response = testing::delta("", news, &gone);
        self.0.versions = wanted;
        Some(DeltaDiscoveryResponse { nonce: self.0.next_nonce(), ..response })
    }
}

/// One run: a server, a client, and the subscriber that holds what it accepted.
struct World<S: Server> {
    rng: Rng,
    resources: Versions,
    server: S,
    client: Ads<S::Variant>,
    connected: bool,
    interest: Interest,
    unsettled: VecDeque<Response>,
    held: Versions,
    version: u32,
}

impl<S: Server> World<S> {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::seeded(seed);
        let interest = match rng.below(2) {
            0 => Interest::Wildcard,
            _ => testing::names(&["a", "b"]),
        };
        let mut client = Ads::new(Node::default(), true);
        client.subscribe(ID, CLUSTER, interest.clone(), std::time::Duration::ZERO, Instant::now());
        World {
            rng,
            resources: Versions::new(),
            server: S::default(),
            client,
            connected: false,
            interest,
            unsettled: VecDeque::new(),
            held: Versions::new(),
            version: 0,
        }
    }

    fn name(&mut self) -> String {
        NAMES[self.rng.below(NAMES.len() as u64) as usize].to_owned()
    }

    fn step(&mut self) {
        match self.rng.below(12) {
            0..=2 => {
                self.version += 1;
                let name = self.name();
                self.resources.insert(name, self.version);
            }
            3 => drop({
                let name = self.name();
                self.resources.remove(&name)
            }),
            4 => self.set_names(),
            5 if self.connected => self.disconnect(),
            5 => self.connect(),
            6..=8 => drop(self.push()),
            _ => drop(self.settle()),
        }
        self.deliver_requests();
    }

    fn connect(&mut self) {
        self.connected = true;
        self.server = S::default();
        self.client.connect();
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.client.disconnect();
    }

    fn set_names(&mut self) {
        let Interest::Names(names) = &mut self.interest else { return };
        let chosen = NAMES.iter().filter(|_| self.rng.below(2) == 0).map(|name| (*name).to_owned());
        *names = chosen.collect();
        self.held.retain(|name, _| names.contains(name));
        self.client.set_names(ID, names.clone(), Instant::now());
    }

    fn deliver_requests(&mut self) {
        while let Some(request) = self.client.next_request() {
            assert!(self.connected, "nothing is sent without a stream");
            self.server.take(request);
        }
    }

    /// Lets the server send something, if it has something.
    fn push(&mut self) -> bool {
        let response = self.connected.then(|| self.server.response(&self.resources)).flatten();
        let Some(response) = response else { return false };
        let Some(notice) = self.client.receive(response, Instant::now()) else { panic!("nobody wanted it") };
        let Event::Response(response) = notice.event else { panic!("rejected: {notice:?}") };
        self.unsettled.push_back(response);
        true
    }

    /// Lets the subscriber answer what came first.
    fn settle(&mut self) -> bool {
        let Some(response) = self.unsettled.pop_front() else { return false };
        let bad = |version: u32| version.is_multiple_of(BAD);
        let mut rejected = Vec::new();
        let mut mentioned = BTreeSet::new();
        for resource in &response.resources {
            let version = content(&resource.value);
            mentioned.insert(resource.name.clone());
            if bad(version) {
                rejected.push(resource.name.clone());
            } else if self.interest.wants(&resource.name) {
                self.held.insert(resource.name.clone(), version);
            }
        }
        for name in &response.removed {
            self.held.remove(name);
        }
        if response.full {
            self.held.retain(|name, _| mentioned.contains(name));
        }
        let verdict = match rejected.is_empty() {
            true => Verdict::Ack,
            false => Verdict::Nack { error: "bad".into(), details: RejectedResources::default(), rejected },
        };
        self.client.settle(ID, response.token, verdict);
        true
    }

    /// Lets everything happen that is due, and compares.
    fn rest(&mut self) {
        if !self.connected {
            self.connect();
        }
        loop {
            self.deliver_requests();
            if !self.push() && !self.settle() {
                break;
            }
        }
        for (name, version) in &self.resources {
            if self.interest.wants(name) && !version.is_multiple_of(BAD) {
                assert_eq!(self.held.get(name), Some(version), "{name}");
            }
        }
        // Removals are told of wildcards, and incrementally.
        if self.interest == Interest::Wildcard || S::Variant::DELTA {
            for name in self.held.keys() {
                assert!(self.resources.contains_key(name), "{name} is gone");
            }
        }
    }
}

/// The content of a resource made by `testing`.
fn content(value: &[u8]) -> u32 {
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    let cluster: Cluster = prost::Message::decode(value).unwrap();
    cluster.connect_timeout.map_or(0, |timeout| timeout.seconds as u32)
}

fn simulate<S: Server>() {
    for seed in 0..300 {
        let mut world = World::<S>::new(seed);
        for _ in 0..6 {
            (0..30).for_each(|_| world.step());
            world.rest();
        }
    }
}

#[test]
fn state_of_the_world_comes_to_rest_with_what_the_server_has() {
    simulate::<SotwServer>();
}

#[test]
fn increments_come_to_rest_with_what_the_server_has() {
    simulate::<DeltaServer>();
}
