//! The status over HTTP/1.1: `/` for people, `/status.json` for programs, `/ready` for health checks.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;

use super::Status;
use crate::address::{Connection, Listener};
use crate::hub::Hub;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers on one socket until the hub stops.
pub(crate) async fn serve(hub: Arc<Hub>, listener: Listener) {
    let mut connections = JoinSet::new();
    let stopped = hub.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            Some(_) = connections.join_next() => {}
            connection = listener.accept() => {
                connections.spawn(answer(hub.clone(), connection));
            }
        }
    }
}

async fn answer(hub: Arc<Hub>, connection: Connection) {
    let service = service_fn(|request: Request<_>| {
        let response = respond(&hub, request.method(), request.uri().path());
        async { Ok::<_, Infallible>(response) }
    });
    let mut server = http1::Builder::new();
    let served = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(connection), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the status endpoint broke");
    }
}

fn respond(hub: &Hub, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/" => plain(StatusCode::OK, Status::of(hub).to_string()),
        "/ready" => plain(StatusCode::OK, "ready\n"),
        "/status.json" => match serde_json::to_vec_pretty(&Status::of(hub)) {
            Ok(json) => body(StatusCode::OK, JSON, json),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => plain(StatusCode::NOT_FOUND, "there are /, /status.json and /ready\n"),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    body(status, TEXT, text)
}

fn body(status: StatusCode, content_type: HeaderValue, content: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
