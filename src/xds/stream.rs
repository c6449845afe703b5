//! The task that serves the subscriptions of one source: it keeps a stream open and passes on what [`Ads`]
//! decides.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codec::Streaming;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::ads::Ads;
use super::connect::{Target, causes};
use super::handle::Order;
use super::message::{Event, Notice};
use super::variant::Variant;
use crate::base::back_off::BackOff;
use crate::base::random::Rng;
use crate::observability::stats::control_plane::ControlPlaneStats;

/// Bounds of the pauses between streams, as in Envoy.
const BASE_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a task is made of.
pub(super) struct Parts<V: Variant> {
    pub(super) ads: Ads<V>,
    /// Where the servers are; not empty.
    pub(super) targets: Vec<Target>,
    /// The gRPC method.
    pub(super) method: &'static str,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) stats: ControlPlaneStats,
    pub(super) rng: Rng,
}

/// Serves until all who give orders are gone.
pub(super) async fn run<V: Variant>(parts: Parts<V>) {
    let back_off = BackOff::new(BASE_PAUSE, LONGEST_PAUSE);
    // `None` is the end of orders: nothing is left to be done.
    if (Task { parts, requests: None, back_off, target: 0, answered: false }).serve().await.is_none() {
        tracing::debug!("no subscriptions are left");
    }
}

struct Task<V: Variant> {
    parts: Parts<V>,
    /// Requests of the current stream.
    requests: Option<mpsc::UnboundedSender<V::Request>>,
    back_off: BackOff,
    /// Which target is next: another one after a stream on which nothing came.
    target: usize,
    answered: bool,
}

impl<V: Variant> Task<V> {
    async fn serve(mut self) -> Option<()> {
        loop {
            let reason = self.stream().await?;
            self.lost(reason).await;
            let pause = self.back_off.next_pause(&mut self.parts.rng);
            self.meanwhile(tokio::time::sleep(pause)).await?;
        }
    }

    /// One stream from its beginning to its end, which it tells.
    async fn stream(&mut self) -> Option<String> {
        self.answered = false;
        let target = self.parts.targets[self.target % self.parts.targets.len()].clone();
        target.traffic.wanted();
        let channel = match self.meanwhile(async { target.connect().await }).await? {
            Ok(channel) => channel,
            Err(error) => {
                target.traffic.refused();
                return Some(error.to_string());
            }
        };
        let (sender, requests) = mpsc::unbounded_channel();
        self.parts.ads.connect();
        self.requests = Some(sender);
        self.parts.stats.connected_state().set(1);
        self.tell_all(&Event::Connected).await;
        let call = call(channel, &target, self.parts.method, UnboundedReceiverStream::new(requests));
        let _active = target.traffic.begin();
        let mut stream = match self.meanwhile(call).await? {
            Ok(stream) => {
                target.traffic.answered(200);
                stream
            }
            Err(status) => return Some(reason(&status)),
        };
        loop {
            match self.meanwhile(stream.message()).await? {
                Ok(Some(response)) => self.received(response).await,
                Ok(None) => return Some("the server ended the stream".to_owned()),
                Err(status) => return Some(reason(&status)),
            }
        }
    }

    async fn received(&mut self, response: V::Response) {
        self.back_off.reset();
        self.answered = true;
        if let Some(identifier) = V::control_plane(&response) {
            self.parts.stats.identifier().set(identifier);
        }
        if let Some(notice) = self.parts.ads.receive(response, now()) {
            if let Event::Rejected { version, error } = &notice.event {
                tracing::warn!(version, error, "a response breaks the protocol");
            }
            self.tell(notice).await;
        }
    }

    async fn lost(&mut self, reason: String) {
        tracing::warn!(method = self.parts.method, reason, "the stream is gone");
        self.parts.ads.disconnect();
        self.requests = None;
        self.target += usize::from(!self.answered);
        self.parts.stats.connected_state().set(0);
        self.tell_all(&Event::Disconnected { reason }).await;
    }

    /// Does what is to be done besides, until the future is ready. `None` when nobody gives orders any more.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            self.send();
            let deadline = self.parts.ads.next_deadline().map(Instant::from_std);
            tokio::select! {
                biased;
                order = self.parts.orders.recv() => self.obey(order?),
                () = until(deadline) => {
                    for notice in self.parts.ads.expire(now()) {
                        self.tell(notice).await;
                    }
                }
                ready = &mut future => return Some(ready),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let ads = &mut self.parts.ads;
        match order {
            Order::Subscribe { id, type_url, interest, fetch_timeout } => {
                ads.subscribe(id, &type_url, interest, fetch_timeout, now());
            }
            Order::SetNames { id, names } => ads.set_names(id, names, now()),
            Order::Settle { id, token, verdict } => ads.settle(id, token, verdict),
            Order::Unsubscribe { id } => ads.unsubscribe(id),
        }
    }

    fn send(&mut self) {
        let Some(requests) = &self.requests else { return };
        while let Some(request) = self.parts.ads.next_request() {
            // A stream that takes no more is about to say so itself.
            drop(requests.send(request));
        }
    }

    async fn tell_all(&mut self, event: &Event) {
        let subscriptions: Vec<_> = self.parts.ads.subscriptions().collect();
        for subscription in subscriptions {
            self.tell(Notice { subscription, event: event.clone() }).await;
        }
    }

    async fn tell(&mut self, notice: Notice) {
        // Whoever does not listen does not want to know.
        drop(self.parts.notices.send(notice).await);
    }
}

/// Calls the method. The requests are read from the first moment: a server may answer only when one is there.
pub(super) async fn call<V: prost::Message + Default + Send + Sync + 'static, R, S>(
    channel: Channel,
    target: &Target,
    method: &'static str,
    requests: S,
) -> Result<Streaming<V>, Status>
where
    R: prost::Message + Default + Send + Sync + 'static,
    S: Stream<Item = R> + Send + 'static,
{
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(causes(&error)))?;
    let mut request = Request::new(requests);
    for (name, value) in &target.service.initial_metadata {
        let name = MetadataKey::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, MetadataValue::try_from(value)) {
            request.metadata_mut().append(name, value);
        }
    }
    let codec: ProstCodec<R, V> = ProstCodec::default();
    Ok(grpc.streaming(request, PathAndQuery::from_static(method), codec).await?.into_inner())
}

fn reason(status: &Status) -> String {
    format!("{}, {}", i32::from(status.code()), causes(status))
}

/// Waits until a moment; for ever where there is none.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The time, which tests may have stopped.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
