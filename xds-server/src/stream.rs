//! Drives one stream: carries requests, responses and changes between the transport and the state machine.
//! It decides nothing itself.

use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::core::v3::node::UserAgentVersionType;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::{broadcast, watch};
use tonic::{Status, Streaming};

use crate::hub::{ConnectedStream, Fault, Hub, NodeId, Published};
use crate::subscription::Sent;
use crate::variant::{Injection, Variant};

/// What a tonic service returns for a stream.
pub(crate) type Responses<V> = BoxStream<'static, Result<<V as Variant>::Response, Status>>;

/// Serves a client. `type_url`: the type of a service that has but one, `None` for the aggregated one.
/// The work is done as the transport asks for responses, so it ends when the transport drops the stream.
pub(crate) fn serve<V: Variant>(
    hub: &Arc<Hub>,
    type_url: Option<&'static str>,
    peer: String,
    requests: Streaming<V::Request>,
) -> Responses<V> {
    tracing::info!(peer, variant = V::NAME, "a stream opened");
    let driver = Driver::<V> {
        faults: hub.faults(),
        published: hub.published(),
        connected: hub.connect(V::NAME, type_url, peer),
        hub: hub.clone(),
        requests,
        over: false,
    };
    stream::unfold(driver, |mut driver| async move { Some((driver.next().await?, driver)) }).boxed()
}

struct Driver<V: Variant> {
    hub: Arc<Hub>,
    connected: ConnectedStream,
    requests: Streaming<V::Request>,
    published: watch::Receiver<Published>,
    faults: broadcast::Receiver<Fault>,
    over: bool,
}

/// What happened while nothing was due.
enum Event<V: Variant> {
    Stop,
    Fault(Fault),
    Request(Box<V::Request>),
    /// The client has ended the stream or is gone.
    Gone,
    /// The catalog changed, or a wait is over.
    Look,
}

impl<V: Variant> Driver<V> {
    /// The next response; `None` when the stream is over.
    async fn next(&mut self) -> Option<Result<V::Response, Status>> {
        while !self.over {
            self.look_at_the_catalog();
            if let Some(response) = self.due() {
                return Some(Ok(self.delayed(response).await));
            }
            match self.event().await {
                Event::Stop => return self.end("the server is shutting down"),
                Event::Fault(Fault::Drop) => return self.end("the stream was dropped on request"),
                Event::Fault(Fault::Inject(injection)) => {
                    if let Some(response) = self.inject(&injection) {
                        return Some(Ok(self.delayed(response).await));
                    }
                }
                Event::Request(request) => {
                    if let Err(status) = self.receive(*request) {
                        self.over = true;
                        return Some(Err(status));
                    }
                }
                Event::Gone => self.over = true,
                Event::Look => {}
            }
        }
        None
    }

    fn end(&mut self, reason: &str) -> Option<Result<V::Response, Status>> {
        self.over = true;
        Some(Err(Status::unavailable(reason)))
    }

    /// Waits for whatever happens first.
    async fn event(&mut self) -> Event<V> {
        let deadline = self.connected.stream.lock().sequence.deadline(Instant::now());
        let wait = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.hub.stopped() => Event::Stop,
            fault = self.faults.recv() => fault.map_or(Event::Look, Event::Fault),
            request = self.requests.message() => match request {
                Ok(Some(request)) => Event::Request(Box::new(request)),
                Ok(None) => Event::Gone,
                Err(status) => {
                    tracing::info!(peer = self.connected.stream.peer, %status, "a stream broke");
                    Event::Gone
                }
            },
            // The hub, which sends, is held by this driver, so the channel is open.
            _ = self.published.changed() => Event::Look,
            () = wait => Event::Look,
        }
    }

    /// Serves the newest catalog, once it is known to whom.
    fn look_at_the_catalog(&mut self) {
        let published = self.published.borrow_and_update().clone();
        let mut state = self.connected.stream.lock();
        if let Some(node) = &state.node
            && state.sequence.generation() != published.generation
        {
            let snapshot = published.catalog.for_node(&node.id, &node.cluster);
            state.sequence.serve(Arc::new(snapshot), published.generation);
        }
    }

    /// The response that is due now, if one is.
    fn due(&mut self) -> Option<V::Response> {
        let mut state = self.connected.stream.lock();
        let response = V::next(&mut state.sequence, Instant::now());
        if response.is_none() {
            state.note_told();
        }
        drop(state);
        self.hub.note_change();
        response
    }

    fn receive(&mut self, mut request: V::Request) -> Result<(), Status> {
        self.check_type(&mut request)?;
        let head = V::head(&request);
        if let Some(error) = head.error {
            let peer = &self.connected.stream.peer;
            tracing::warn!(peer, type_url = head.type_url, error, "a response was rejected");
        }
        self.meet(head.node);
        self.look_at_the_catalog();
        let mut state = self.connected.stream.lock();
        V::receive(&mut state.sequence, &request, Instant::now());
        Ok(())
    }

    /// A service that has but one type knows it; the aggregated one has to be told.
    fn check_type(&self, request: &mut V::Request) -> Result<(), Status> {
        let asked = V::head(request).type_url;
        match (self.connected.stream.type_url, asked) {
            (None, "") => Err(Status::invalid_argument("a request without type_url on an aggregated stream")),
            (Some(served), "") => {
                V::set_type_url(request, served);
                Ok(())
            }
            (Some(served), asked) if asked != served => {
                Err(Status::invalid_argument(format!("{asked} was asked for where only {served} is served")))
            }
            _ => Ok(()),
        }
    }

    /// Takes down who the client is. It says so at least in its first request; what it says later is the same.
    fn meet(&mut self, node: Option<&Node>) {
        let mut state = self.connected.stream.lock();
        if state.node.is_none() {
            state.node = Some(node.map(identify).unwrap_or_default());
        }
    }

    /// Sends what a test wants sent, and notes it so that its verdict is seen, if the client may give one.
    fn inject(&mut self, injection: &Injection) -> Option<V::Response> {
        let response = V::injected(injection)?;
        let (type_url, nonce, version) = injection.identity();
        let mut state = self.connected.stream.lock();
        if let Some(subscription) = state.sequence.existing(type_url) {
            subscription.sent(Sent {
                nonce: nonce.to_owned(),
                version: version.to_owned(),
                // It is no part of what the client is meant to have, and of no catalog.
                names: Vec::new(),
                generation: 0,
                at: Instant::now(),
            });
        }
        Some(response)
    }

    async fn delayed(&self, response: V::Response) -> V::Response {
        let delay = self.hub.delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        response
    }
}

fn identify(node: &Node) -> NodeId {
    let version = match &node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentVersion(version)) => version.clone(),
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => {
            build.version.as_ref().map_or_else(String::new, |version| {
                format!("{}.{}.{}", version.major_number, version.minor_number, version.patch)
            })
        }
        None => String::new(),
    };
    let user_agent = format!("{} {version}", node.user_agent_name).trim().to_owned();
    NodeId { id: node.id.clone(), cluster: node.cluster.clone(), user_agent }
}
