//! Who is connected, what each client wants and has, and what it said last.

pub(crate) mod http;
mod text;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::hub::{Hub, NodeId, Stream};
use crate::load_reports::NodeLoad;
use crate::snapshot::Problem;
use crate::subscription::{Acked, Nacked, Subscription};

/// Everything there is to see of a server at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Counts up with each change that was put in force.
    pub generation: u64,
    /// Seconds since the Unix epoch at which what is served was read last.
    pub published_at: Option<u64>,
    /// What is served to a node that has no overrides.
    pub resources: Vec<ResourceStatus>,
    /// For which nodes and clusters there are overrides.
    pub overrides: Vec<String>,
    /// Why the newest content of the directory is not in force; empty when it is.
    pub problems: Vec<String>,
    /// What clients told of their load, by `node.id`: the sums of their reports.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub load: BTreeMap<String, NodeLoad>,
    /// The connected streams, oldest first. A client has one, or one for each type.
    pub streams: Vec<StreamStatus>,
}

/// What is served of one type.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceStatus {
    /// The type.
    pub type_url: String,
    /// How many resources there are.
    pub count: usize,
    /// The hash of all of them.
    pub version: String,
}

/// One connected stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamStatus {
    /// A number that no other stream of this server has.
    pub id: u64,
    /// Who the client says it is; `None` before its first request.
    pub node: Option<NodeStatus>,
    /// The other end of the connection.
    pub peer: String,
    /// `sotw` or `delta`.
    pub variant: &'static str,
    /// The type of the service; `None` for the aggregated one.
    pub service: Option<&'static str>,
    /// For how long it is connected.
    pub connected_seconds: f64,
    /// The newest generation of which everything was sent.
    pub generation: u64,
    /// What the client subscribed to, in the order of pushes.
    pub subscriptions: Vec<SubscriptionStatus>,
}

/// Who a client says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// `node.id`.
    pub id: String,
    /// `node.cluster`.
    pub cluster: String,
    /// `node.user_agent_name` and its version.
    pub user_agent: String,
}

/// A client's subscription to one type.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionStatus {
    /// The type.
    pub type_url: String,
    /// Whether it asks for everything.
    pub wildcard: bool,
    /// The names that it asks for.
    pub names: Vec<String>,
    /// How many resources it has, or said that it had.
    pub resources: usize,
    /// The version of the newest response that is not answered.
    pub unanswered: Option<String>,
    /// The last response that was accepted.
    pub last_ack: Option<VerdictStatus>,
    /// The last response that was rejected. It is in the past if the last ACK is younger.
    pub last_nack: Option<VerdictStatus>,
    /// Whether the last verdict was a NACK.
    pub rejected: bool,
}

/// A client's verdict on a response.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictStatus {
    /// The response's version.
    pub version: String,
    /// The response's nonce.
    pub nonce: String,
    /// How long ago the verdict came.
    pub seconds_ago: f64,
    /// The client's words, in a NACK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same by resource and field, from clients that tell it: a `dragoman.xds.v1.RejectedResources`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

impl Status {
    pub(crate) fn of(hub: &Hub) -> Self {
        let published = hub.published().borrow().clone();
        let source = hub.source();
        let resources =
            published.catalog.common().collections().map(|(type_url, collection)| ResourceStatus {
                type_url: type_url.to_owned(),
                count: collection.len(),
                version: collection.version().to_owned(),
            });
        let now = Instant::now();
        Self {
            generation: published.generation,
            published_at: source.published_at.and_then(seconds_since_the_epoch),
            resources: resources.collect(),
            overrides: published.catalog.overrides().map(|(audience, _)| audience.to_string()).collect(),
            problems: source.problems.iter().map(Problem::to_string).collect(),
            load: hub.load_reports().all(),
            streams: hub.streams().iter().map(|(id, stream)| StreamStatus::of(*id, stream, now)).collect(),
        }
    }
}

impl StreamStatus {
    fn of(id: u64, stream: &Stream, now: Instant) -> Self {
        let state = stream.lock();
        Self {
            id,
            node: state.node.as_ref().map(NodeStatus::of),
            peer: stream.peer.clone(),
            variant: stream.variant,
            service: stream.type_url,
            connected_seconds: seconds(now.saturating_duration_since(stream.since)),
            generation: state.told_generation,
            subscriptions: state.sequence.iter().map(|one| SubscriptionStatus::of(one, now)).collect(),
        }
    }
}

impl NodeStatus {
    fn of(node: &NodeId) -> Self {
        let NodeId { id, cluster, user_agent } = node.clone();
        Self { id, cluster, user_agent }
    }
}

impl SubscriptionStatus {
    fn of(subscription: &Subscription, now: Instant) -> Self {
        Self {
            type_url: subscription.type_url().to_owned(),
            wildcard: subscription.is_wildcard(),
            names: subscription.names().iter().cloned().collect(),
            resources: subscription.len(),
            unanswered: subscription.outstanding().map(|sent| sent.version.clone()),
            last_ack: subscription.acked().map(|acked| VerdictStatus::ack(acked, now)),
            last_nack: subscription.nacked().map(|nacked| VerdictStatus::nack(nacked, now)),
            rejected: subscription.is_rejected(),
        }
    }
}

impl VerdictStatus {
    fn ack(acked: &Acked, now: Instant) -> Self {
        Self {
            version: acked.sent.version.clone(),
            nonce: acked.sent.nonce.clone(),
            seconds_ago: seconds(now.saturating_duration_since(acked.at)),
            error: None,
            details: None,
        }
    }

    fn nack(nacked: &Nacked, now: Instant) -> Self {
        Self {
            version: nacked.sent.version.clone(),
            nonce: nacked.sent.nonce.clone(),
            seconds_ago: seconds(now.saturating_duration_since(nacked.at)),
            error: Some(nacked.refusal.error.clone()),
            details: nacked.refusal.details.clone(),
        }
    }
}

/// Seconds to the millisecond; more digits would only hide the ones that matter.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

fn seconds_since_the_epoch(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs())
}
