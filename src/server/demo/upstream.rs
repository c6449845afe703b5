//! A small HTTP server that says its name.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Answers every request on `listener` with the upstream's name and the request line. Does not end by itself.
pub(super) async fn serve(name: &'static str, listener: TcpListener) {
    let mut connections = JoinSet::new();
    // A listener that fails on loopback has no more to give.
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let answer =
                service_fn(move |request| async move { Ok::<_, Infallible>(answer(name, &request)) });
            // How a connection ends is the proxy's business.
            http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.unwrap_or_default();
        });
    }
}

fn answer(name: &str, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let text = format!("{name} answers {} {}\n", request.method(), request.uri().path());
    Response::new(Full::new(Bytes::from(text)))
}
