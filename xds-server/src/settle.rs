//! Waiting for what clients say to what they were sent.

use std::sync::Arc;

use crate::hub::{Hub, Stream, StreamState};
use crate::kind::short_name;
use crate::subscription::{Nacked, Sent, Subscription};

/// A client's NACK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node:?} rejected {} version {version:?}: {error}", short_name(.type_url))]
pub struct Nack {
    /// The client's `node.id`.
    pub node: String,
    /// The type of the rejected response.
    pub type_url: String,
    /// Its version.
    pub version: String,
    /// The client's words.
    pub error: String,
}

impl Nack {
    fn new(state: &StreamState, type_url: &str, nacked: &Nacked) -> Self {
        Self {
            node: state.node.as_ref().map_or_else(String::new, |node| node.id.clone()),
            type_url: type_url.to_owned(),
            version: nacked.sent.version.clone(),
            error: nacked.refusal.error.clone(),
        }
    }
}

/// What a stream says to a generation of the catalog.
enum Verdict {
    /// It has not answered everything.
    Pending,
    /// Everything is answered, and nothing was rejected.
    Accepted,
    /// A response of this generation or a later one was rejected.
    Rejected(Nack),
}

/// Waits until at least one client is there and all of them have answered everything of a generation.
pub(crate) async fn generation(hub: &Hub, generation: u64) -> Result<(), Nack> {
    until(hub, |streams| {
        let mut pending = streams.is_empty();
        for stream in streams {
            match stream.lock().verdict(generation) {
                Verdict::Rejected(nack) => return Some(Err(nack)),
                Verdict::Pending => pending = true,
                Verdict::Accepted => {}
            }
        }
        (!pending).then_some(Ok(()))
    })
    .await
}

impl StreamState {
    /// Notes that nothing is due: where nothing is held back either, all of this generation was sent.
    pub(crate) fn note_told(&mut self) {
        if self.node.is_some() && self.sequence.has_told_all() {
            self.told_generation = self.sequence.generation();
        }
    }

    /// What the client says to a generation, all of it at one moment: a NACK that came between two looks would be in
    /// neither.
    fn verdict(&self, generation: u64) -> Verdict {
        let nacked = self.find(|one| one.nacked().filter(|nacked| nacked.sent.generation >= generation));
        if let Some((type_url, nacked)) = nacked {
            return Verdict::Rejected(Nack::new(self, type_url, nacked));
        }
        match self.told_generation >= generation && self.sequence.is_settled() {
            true => Verdict::Accepted,
            false => Verdict::Pending,
        }
    }

    /// The first subscription of which something can be told.
    fn find<'s, T>(&'s self, tell: impl Fn(&'s Subscription) -> Option<&'s T>) -> Option<(&'s str, &'s T)> {
        self.sequence.iter().find_map(|one| Some((one.type_url(), tell(one)?)))
    }
}

/// Waits for the verdict on the response with this nonce, whichever client gives it first.
pub(crate) async fn nonce(hub: &Hub, nonce: &str) -> Result<(), Nack> {
    let is_it = |sent: &Sent| sent.nonce == nonce;
    until(hub, |streams| {
        streams.iter().find_map(|stream| {
            let state = stream.lock();
            let nacked = state.find(|one| one.nacked().filter(|nacked| is_it(&nacked.sent)));
            if let Some((type_url, nacked)) = nacked {
                return Some(Err(Nack::new(&state, type_url, nacked)));
            }
            state.find(|one| one.acked().filter(|acked| is_it(&acked.sent))).map(|_| Ok(()))
        })
    })
    .await
}

/// Waits until a question about the connected streams has an answer. Cancel safe.
async fn until<T>(hub: &Hub, mut answer: impl FnMut(&[Arc<Stream>]) -> Option<T>) -> T {
    let mut changes = hub.changes();
    loop {
        changes.borrow_and_update();
        let streams: Vec<_> = hub.streams().into_iter().map(|(_, stream)| stream).collect();
        if let Some(answer) = answer(&streams) {
            return answer;
        }
        // The sender is in the hub, which is borrowed.
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
    use envoy_types::pb::google::rpc::Status;

    use super::*;
    use crate::hub::NodeId;
    use crate::kind::CLUSTER;
    use crate::sequence::Sequence;
    use crate::snapshot::Snapshot;
    use crate::testing::cluster;
    use crate::variant::{Sotw, Variant};

    fn stream() -> StreamState {
        let sequence = Sequence::new(true, Duration::from_secs(5));
        StreamState { node: Some(NodeId::default()), sequence, told_generation: 0 }
    }

    /// Serves a revision of a cluster, as the generation of that number.
    fn serve(state: &mut StreamState, generation: u64) {
        let resources = [cluster("a", generation as u32)];
        state.sequence.serve(Arc::new(Snapshot::new(resources)), generation);
    }

    /// The nonce of what is due, if anything is.
    fn due(state: &mut StreamState, now: Instant) -> Option<String> {
        let response = Sotw::next(&mut state.sequence, now);
        if response.is_none() {
            state.note_told();
        }
        response.map(|response| response.nonce)
    }

    fn say(state: &mut StreamState, nonce: &str, error: Option<&str>, now: Instant) {
        let request = DiscoveryRequest {
            type_url: CLUSTER.into(),
            response_nonce: nonce.into(),
            error_detail: error.map(|message| Status { message: message.into(), ..Default::default() }),
            ..Default::default()
        };
        Sotw::receive(&mut state.sequence, &request, now);
    }

    #[test]
    fn a_generation_that_is_not_sent_yet_is_not_accepted_by_the_answer_to_the_one_before() {
        let (mut state, now) = (stream(), Instant::now());
        serve(&mut state, 1);
        say(&mut state, "", None, now);
        let first = due(&mut state, now).expect("the cluster");
        // The next has to wait for the answer.
        serve(&mut state, 2);
        assert_eq!(due(&mut state, now), None);
        assert!(matches!(state.verdict(2), Verdict::Pending));
        say(&mut state, &first, None, now);
        assert!(matches!(state.verdict(2), Verdict::Pending));
        let second = due(&mut state, now).expect("the cluster anew");
        assert_eq!(due(&mut state, now), None);
        assert!(matches!(state.verdict(2), Verdict::Pending));
        say(&mut state, &second, Some("no"), now);
        assert!(matches!(state.verdict(2), Verdict::Rejected(nack) if nack.error == "no"));
    }
}
