//! Waiting for what clients say to what they were sent.

use std::sync::Arc;

use crate::hub::{Hub, Stream};
use crate::resource::short_name;
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
    fn new(stream: &Stream, type_url: &str, nacked: &Nacked) -> Self {
        Self {
            node: stream.lock().node.as_ref().map_or_else(String::new, |node| node.id.clone()),
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
            match verdict(stream, generation) {
                Verdict::Rejected(nack) => return Some(Err(nack)),
                Verdict::Pending => pending = true,
                Verdict::Accepted => {}
            }
        }
        (!pending).then_some(Ok(()))
    })
    .await
}

fn verdict(stream: &Stream, generation: u64) -> Verdict {
    let nacked = find(stream, |one| one.nacked().filter(|nacked| nacked.sent.generation >= generation));
    if let Some((type_url, nacked)) = nacked {
        return Verdict::Rejected(Nack::new(stream, &type_url, &nacked));
    }
    let state = stream.lock();
    match state.told_generation >= generation && state.sequence.is_settled() {
        true => Verdict::Accepted,
        false => Verdict::Pending,
    }
}

/// Waits for the verdict on the response with this nonce, whichever client gives it first.
pub(crate) async fn nonce(hub: &Hub, nonce: &str) -> Result<(), Nack> {
    let is_it = |sent: &Sent| sent.nonce == nonce;
    until(hub, |streams| {
        streams.iter().find_map(|stream| {
            let nacked = find(stream, |one| one.nacked().filter(|nacked| is_it(&nacked.sent)));
            if let Some((type_url, nacked)) = nacked {
                return Some(Err(Nack::new(stream, &type_url, &nacked)));
            }
            find(stream, |one| one.acked().filter(|acked| is_it(&acked.sent))).map(|_| Ok(()))
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

/// The first subscription of a stream of which something can be told.
fn find<T: Clone>(stream: &Stream, tell: impl Fn(&Subscription) -> Option<&T>) -> Option<(String, T)> {
    let state = stream.lock();
    state.sequence.iter().find_map(|one| Some((one.type_url().to_owned(), tell(one)?.clone())))
}
