//! The service that load reports (LRS) come to.

use std::sync::Arc;

use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_server::LoadReportingService;
use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use envoy_types::pb::google::protobuf as pb;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::hub::Hub;
use crate::load_reports::LoadReports;

/// The service.
#[derive(Debug)]
pub(crate) struct Service {
    hub: Arc<Hub>,
    asked: LoadReports,
}

impl Service {
    pub(crate) fn new(hub: Arc<Hub>, asked: LoadReports) -> Self {
        Self { hub, asked }
    }

    fn response(&self) -> LoadStatsResponse {
        LoadStatsResponse {
            send_all_clusters: true,
            load_reporting_interval: Some(pb::Duration {
                seconds: i64::try_from(self.asked.interval.as_secs()).unwrap_or(i64::MAX),
                nanos: self.asked.interval.subsec_nanos().cast_signed(),
            }),
            report_endpoint_granularity: self.asked.by_endpoint,
            ..LoadStatsResponse::default()
        }
    }
}

#[tonic::async_trait]
impl LoadReportingService for Service {
    type StreamLoadStatsStream = ReceiverStream<Result<LoadStatsResponse, Status>>;

    async fn stream_load_stats(
        &self,
        request: Request<Streaming<LoadStatsRequest>>,
    ) -> Result<Response<Self::StreamLoadStatsStream>, Status> {
        if self.hub.is_refusing() {
            return Err(Status::unavailable("streams are refused on request"));
        }
        let (sender, responses) = tokio::sync::mpsc::channel(1);
        let (hub, response) = (Arc::clone(&self.hub), self.response());
        tokio::spawn(async move {
            tokio::select! {
                () = receive(&hub, request.into_inner(), response, &sender) => {}
                () = hub.stopped() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}

/// Takes the reports of one stream to its end. The first request says who the client is, and is answered with what it is
/// to report.
async fn receive(
    hub: &Hub,
    mut requests: Streaming<LoadStatsRequest>,
    response: LoadStatsResponse,
    sender: &tokio::sync::mpsc::Sender<Result<LoadStatsResponse, Status>>,
) {
    let mut node = None;
    while let Ok(Some(request)) = requests.message().await {
        if node.is_none() {
            node = Some(request.node.unwrap_or_default().id);
            if sender.send(Ok(response.clone())).await.is_err() {
                return;
            }
        }
        hub.load_reports().take(node.as_deref().unwrap_or_default(), request.cluster_stats);
    }
}
