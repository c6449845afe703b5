//! Random clients and random changes against the state machines, with rules that hold after every step.
//!
//! The client subscribes as Envoy does (everything of CDS and LDS, endpoints and routes by the names that
//! clusters and listeners give), takes responses in their order, and is slow at random. Each seed is one story;
//! a failure names it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status;

use crate::kind::{CLUSTER, ENDPOINTS, LISTENER, ROUTE};
use crate::references;
use crate::sequence::Sequence;
use crate::snapshot::Snapshot;
use crate::testing::{cluster, eds_cluster, endpoints, listener, routes};
use crate::variant::{Delta, Sotw, Variant};

const SEEDS: u64 = 300;
const STEPS: usize = 120;
const PATIENCE: Duration = Duration::from_secs(5);

/// xorshift64*: enough to be different each time and the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

/// A snapshot in which nothing refers to nothing.
fn snapshot(random: &mut Random) -> Snapshot {
    let mut resources = Vec::new();
    let names: Vec<String> = (0..5).filter(|_| !random.one_in(3)).map(|index| format!("c{index}")).collect();
    for name in &names {
        let revision = random.below(3) as u32;
        if random.one_in(3) {
            resources.push(cluster(name, revision));
        } else {
            resources.extend([eds_cluster(name, revision), endpoints(name, random.below(3) as u32)]);
        }
    }
    for route in ["r0", "r1"] {
        let used: Vec<&str> = names.iter().filter(|_| random.one_in(2)).map(String::as_str).collect();
        resources.push(routes(route, &used));
    }
    for name in ["l0", "l1", "l2"] {
        if !random.one_in(3) {
            resources.push(listener(name, if random.one_in(2) { "r0" } else { "r1" }));
        }
    }
    Snapshot::new(resources)
}

/// A response in the words of neither variant.
struct Told {
    type_url: String,
    nonce: String,
    resources: Vec<Any>,
    /// Names that are gone; `None`: all that are not in `resources`.
    removed: Option<Vec<String>>,
}

/// What the simulation has to know of a variant.
trait Spoken: Variant {
    fn request(type_url: &str, names: &Names<'_>, nonce: &str, error: Option<Status>) -> Self::Request;
    fn told(response: Self::Response) -> Told;
}

/// A subscription as both variants need it: as a whole, and as a difference.
struct Names<'a> {
    all: &'a BTreeSet<String>,
    more: Vec<String>,
    fewer: Vec<String>,
}

impl Spoken for Sotw {
    fn request(
        type_url: &str,
        names: &Names<'_>,
        nonce: &str,
        error_detail: Option<Status>,
    ) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: type_url.into(),
            resource_names: names.all.iter().cloned().collect(),
            response_nonce: nonce.into(),
            error_detail,
            ..Default::default()
        }
    }

    fn told(response: DiscoveryResponse) -> Told {
        let full_state = [CLUSTER, LISTENER].contains(&response.type_url.as_str());
        Told {
            type_url: response.type_url,
            nonce: response.nonce,
            resources: response.resources,
            removed: if full_state { None } else { Some(Vec::new()) },
        }
    }
}

impl Spoken for Delta {
    fn request(
        type_url: &str,
        names: &Names<'_>,
        nonce: &str,
        error_detail: Option<Status>,
    ) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: type_url.into(),
            resource_names_subscribe: names.more.clone(),
            resource_names_unsubscribe: names.fewer.clone(),
            response_nonce: nonce.into(),
            error_detail,
            ..Default::default()
        }
    }

    fn told(response: DeltaDiscoveryResponse) -> Told {
        Told {
            type_url: response.type_url,
            nonce: response.nonce,
            resources: response.resources.into_iter().filter_map(|one| one.resource).collect(),
            removed: Some(response.removed_resources),
        }
    }
}

/// One client and the server's end of its stream.
struct Story<V> {
    sequence: Sequence,
    now: Instant,
    random: Random,
    on_the_way: VecDeque<Told>,
    unanswered: VecDeque<(String, String, bool)>,
    /// Whether it rejects some routes.
    picky: bool,
    wanted: BTreeMap<&'static str, BTreeSet<String>>,
    last_nonce: BTreeMap<String, String>,
    has: BTreeMap<(String, String), Any>,
    variant: std::marker::PhantomData<V>,
}

impl<V: Spoken> Story<V> {
    fn begin(seed: u64, picky: bool) -> Self {
        let mut story = Self {
            sequence: Sequence::new(true, PATIENCE),
            now: Instant::now(),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            on_the_way: VecDeque::new(),
            unanswered: VecDeque::new(),
            picky,
            wanted: BTreeMap::new(),
            last_nonce: BTreeMap::new(),
            has: BTreeMap::new(),
            variant: std::marker::PhantomData,
        };
        story.change();
        for type_url in [CLUSTER, LISTENER] {
            story.say(type_url, BTreeSet::new(), "", false);
        }
        story
    }

    fn change(&mut self) {
        let generation = self.sequence.generation() + 1;
        self.sequence.serve(Arc::new(snapshot(&mut self.random)), generation);
    }

    fn step(&mut self) {
        // Whether anything came of it does not matter here.
        let _happened = match self.random.below(10) {
            0 => {
                self.change();
                true
            }
            1..=3 => self.server_speaks(),
            4..=6 => self.client_listens(),
            7 | 8 => self.client_answers(),
            // Now and then for so long that the server gives up waiting.
            _ => {
                self.now += if self.random.one_in(8) { PATIENCE } else { Duration::from_millis(1) };
                true
            }
        };
    }

    fn server_speaks(&mut self) -> bool {
        let Some(response) = V::next(&mut self.sequence, self.now) else { return false };
        self.on_the_way.push_back(V::told(response));
        true
    }

    fn client_listens(&mut self) -> bool {
        let Some(told) = self.on_the_way.pop_front() else { return false };
        let names: Vec<String> = told.resources.iter().map(name_of).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name twice in {names:?}");
        self.last_nonce.insert(told.type_url.clone(), told.nonce.clone());
        if self.picky && told.type_url == ROUTE && self.random.one_in(3) {
            self.unanswered.push_back((told.type_url, told.nonce, true));
            return true;
        }
        let gone = |name: &String| match &told.removed {
            None => !names.contains(name),
            Some(removed) => removed.contains(name),
        };
        self.has.retain(|(type_url, name), _| *type_url != told.type_url || !gone(name));
        for (name, body) in names.into_iter().zip(told.resources) {
            // What was not asked for, or is not any more, is passed over.
            if self.wants(&told.type_url, &name) {
                self.has.insert((told.type_url.clone(), name), body);
            }
        }
        self.unanswered.push_back((told.type_url, told.nonce, false));
        self.follow_references();
        self.nothing_used_is_missing();
        true
    }

    fn client_answers(&mut self) -> bool {
        let Some((type_url, nonce, rejected)) = self.unanswered.pop_front() else { return false };
        let type_url = [CLUSTER, ENDPOINTS, LISTENER, ROUTE].into_iter().find(|one| *one == type_url);
        let type_url = type_url.expect("one of the types that were asked for");
        let wanted = self.wanted.get(type_url).cloned().unwrap_or_default();
        self.say(type_url, wanted, &nonce, rejected);
        true
    }

    /// Asks for what the clusters and listeners refer to, and for nothing else.
    fn follow_references(&mut self) {
        for (from, to) in [(CLUSTER, ENDPOINTS), (LISTENER, ROUTE)] {
            let names = self.referred(from, to);
            if self.wanted.get(to).is_none_or(|wanted| *wanted != names) {
                self.has.retain(|(type_url, name), _| type_url != to || names.contains(name));
                let nonce = self.last_nonce.get(to).cloned().unwrap_or_default();
                // In delta a nonce would answer a response that is answered elsewhere.
                let nonce = if V::NAME == Delta::NAME { String::new() } else { nonce };
                self.say(to, names, &nonce, false);
            }
        }
    }

    fn referred(&self, from: &str, to: &str) -> BTreeSet<String> {
        let bodies = self.has.iter().filter(|((type_url, _), _)| type_url == from);
        let references = bodies.flat_map(|(_, body)| references::of(body));
        references.filter(|one| one.type_url == to).map(|one| one.name.to_string()).collect()
    }

    fn say(&mut self, type_url: &'static str, names: BTreeSet<String>, nonce: &str, rejected: bool) {
        let error = rejected.then(|| Status { message: "no".into(), ..Default::default() });
        let before = self.wanted.insert(type_url, names.clone()).unwrap_or_default();
        let more = names.difference(&before).cloned().collect();
        let fewer = before.difference(&names).cloned().collect();
        let request = V::request(type_url, &Names { all: &names, more, fewer }, nonce, error);
        V::receive(&mut self.sequence, &request, self.now);
    }

    /// The rule that the order is for: no route that a listener uses leads to a cluster that is not there.
    fn nothing_used_is_missing(&self) {
        for route in self.referred(LISTENER, ROUTE) {
            let Some(body) = self.has.get(&(ROUTE.to_owned(), route.clone())) else { continue };
            for reference in references::of(body) {
                let there = self.has.contains_key(&(CLUSTER.to_owned(), reference.name.to_string()));
                assert!(there, "route {route} leads to {}, which is not there", reference.name);
            }
        }
    }

    /// Once all has been said and answered, the client has what is served and nothing else.
    fn settle(&mut self) {
        while self.server_speaks() || self.client_listens() || self.client_answers() {}
        assert!(self.sequence.is_settled() || self.picky);
        assert!(self.sequence.has_told_all());
        if self.picky {
            return;
        }
        let snapshot = self.sequence.snapshot();
        let served: BTreeMap<_, _> = snapshot
            .iter()
            .filter(|one| self.wants(one.type_url(), &one.name))
            .map(|one| ((one.type_url().to_owned(), one.name.to_string()), one.body.clone()))
            .collect();
        let differ = |has: &BTreeMap<_, _>, of: &BTreeMap<(String, String), Any>| {
            of.iter().find(|(key, body)| has.get(*key) != Some(*body)).map(|(key, _)| key.clone())
        };
        assert_eq!(differ(&self.has, &served), None, "is served and not there as it is served");
        assert_eq!(differ(&served, &self.has), None, "is there and not served");
    }

    fn wants(&self, type_url: &str, name: &str) -> bool {
        match type_url {
            CLUSTER | LISTENER => true,
            other => self.wanted.get(other).is_some_and(|names| names.contains(name)),
        }
    }
}

fn name_of(body: &Any) -> String {
    use prost::Message as _;
    /// All types that occur have their name in the first field.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Named {
        #[prost(string, tag = "1")]
        name: String,
    }
    Named::decode(body.value.as_slice()).expect("a resource").name
}

fn tell<V: Spoken>(picky: bool) {
    for seed in 0..SEEDS {
        let told = std::panic::catch_unwind(|| {
            let mut story = Story::<V>::begin(seed, picky);
            for _ in 0..STEPS {
                story.step();
            }
            story.settle();
        });
        assert!(told.is_ok(), "{} story {seed} went wrong", V::NAME);
    }
}

#[test]
fn state_of_the_world_clients_end_up_with_what_is_served_and_never_miss_what_they_use() {
    tell::<Sotw>(false);
}

#[test]
fn delta_clients_end_up_with_what_is_served_and_never_miss_what_they_use() {
    tell::<Delta>(false);
}

#[test]
fn clients_that_reject_routes_never_miss_what_the_routes_before_use() {
    tell::<Sotw>(true);
    tell::<Delta>(true);
}
