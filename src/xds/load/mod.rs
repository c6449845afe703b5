//! Load reporting (LRS): how many requests went where, told to a management server that asks for it.
//!
//! The server says about which clusters and how often; [`reporter`] makes the reports, without I/O. Here is the stream
//! that carries them: it is opened anew five seconds after it ended, as in Envoy.

mod reporter;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::connect::Target;
use super::stream::{call, now, until};
use crate::observability::stats::control_plane::LoadReporterStats;
use crate::snapshot::Published;
use reporter::Reporter;

/// The method.
const METHOD: &str = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats";

/// Says that `send_all_clusters` is understood.
const CLIENT_FEATURE: &str = "envoy.lrs.supports_send_all_clusters";

/// Time between the end of a stream and the next one.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The least time between two reports: a server that asks for 0 must not keep the control thread busy.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// Time between reports at most, whatever the server says: a year.
const MAX_INTERVAL: Duration = Duration::from_secs(365 * 86_400);

/// Reports that wait for a server that does not read: while there are so many no more are made, and what happens is
/// told in the first one after them.
const MAX_WAITING: usize = 4;

/// What reports are made of, and where they go.
pub(super) struct Parts {
    pub(super) node: Node,
    /// Where the servers are; not empty.
    pub(super) targets: Vec<Target>,
    pub(super) published: Arc<Published>,
    pub(super) stats: LoadReporterStats,
}

/// Reports for as long as the program runs.
pub(super) async fn run(mut parts: Parts) {
    parts.node.client_features.push(CLIENT_FEATURE.to_owned());
    let mut task = Task { parts, reporter: Reporter::default(), due: None };
    for target in 0.. {
        let target = &task.parts.targets[target % task.parts.targets.len()];
        let target = target.clone();
        if let Err(reason) = task.stream(&target).await {
            tracing::warn!(target: "upstream", reason, "the stream of load reports is gone");
            task.parts.stats.errors().inc();
        }
        tokio::time::sleep(RETRY_DELAY).await;
        task.parts.stats.retries().inc();
    }
}

struct Task {
    parts: Parts,
    reporter: Reporter,
    /// When the next report is due, once the server has asked for any.
    due: Option<Instant>,
}

impl Task {
    /// One stream from its beginning to its end, which is an error where the server does not end it in order.
    async fn stream(&mut self, target: &Target) -> Result<(), String> {
        target.traffic.wanted();
        let channel = target.connect().await.map_err(|error| {
            target.traffic.refused();
            error.to_string()
        })?;
        let (requests, receiver) = mpsc::channel(MAX_WAITING);
        self.send(&requests);
        let calling = call::<LoadStatsResponse, LoadStatsRequest, _>(
            channel,
            target,
            METHOD,
            ReceiverStream::new(receiver),
        );
        let _active = target.traffic.begin();
        let mut responses = calling.await.map_err(|status| status.to_string())?;
        target.traffic.answered(200);
        loop {
            tokio::select! {
                response = responses.message() => match response {
                    Ok(Some(response)) => self.receive(response),
                    Ok(None) => return Ok(()),
                    Err(status) if status.code() == Code::Ok => return Ok(()),
                    Err(status) => return Err(status.to_string()),
                },
                () = until(self.due) => self.send(&requests),
            }
        }
    }

    fn receive(&mut self, response: LoadStatsResponse) {
        self.parts.stats.requests().inc();
        let snapshot = self.parts.published.load();
        self.reporter.ask(response, &snapshot.clusters, now());
        self.plan();
    }

    /// Sends what there is to tell; the first time nothing but who tells it.
    fn send(&mut self, requests: &mpsc::Sender<LoadStatsRequest>) {
        self.plan();
        // A stream that takes no more is about to say so itself.
        let Ok(place) = requests.try_reserve() else { return };
        let snapshot = self.parts.published.load();
        let cluster_stats = self.reporter.report(&snapshot.clusters, now());
        let request = LoadStatsRequest { node: Some(self.parts.node.clone()), cluster_stats };
        place.send(request);
        self.parts.stats.responses().inc();
    }

    fn plan(&mut self) {
        self.due = self
            .reporter
            .interval()
            .map(|interval| Instant::now() + interval.clamp(MIN_INTERVAL, MAX_INTERVAL));
    }
}
