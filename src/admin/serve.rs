//! HTTP for the admin interface.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::debug;

use super::{Admin, Body, Ends, Reply};
use crate::base::metered::Metered;

/// Longest form that is read from a request's body.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The time that a request's head has, and then its form. A connection that asks nothing for so long is closed.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Serves a connection to its end.
pub async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, ends: Ends, admin: Rc<Admin>) {
    let traffic = admin.traffic.clone();
    let service = service_fn(move |request| {
        let admin = Rc::clone(&admin);
        async move { Ok::<_, Infallible>(respond(&admin, ends, request).await) }
    });
    let stream = Metered::new(stream, traffic.connection());
    let connection = http1::Builder::new()
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(target: "admin", %error, "connection ended early");
    }
}

async fn respond(admin: &Admin, ends: Ends, request: Request<Incoming>) -> Response<Body> {
    let active = admin.traffic.request();
    let method = request.method().clone();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let mut line = admin.logs.line(ends, &method, &target, request.version(), request.headers());
    let mut form = None;
    if is_form {
        // A form that is too long, too slow or breaks off is none.
        let body = Limited::new(request.into_body(), MAX_FORM_BYTES).collect();
        let body = tokio::time::timeout(REQUEST_TIME, body).await.ok().and_then(Result::ok);
        let body = body.map(http_body_util::Collected::to_bytes);
        if let (Some(line), Some(body)) = (&mut line, &body) {
            line.received(body.len());
        }
        form = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    }
    debug!(target: "admin", "request complete: path: {target}");
    let mut reply = admin.answer(method.as_str(), &target, form.as_deref());
    admin.traffic.response(reply.status);
    if let Some(line) = &mut line {
        line.answered(reply.status, reply.content_type);
    }
    reply.body.hold(active, line);
    response(reply)
}

/// Puts Envoy's headers to an answer, in Envoy's order.
fn response(reply: Reply) -> Response<Body> {
    let options = (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    let mut response = Response::new(reply.body);
    // Statuses come from this module's tables.
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
    let headers = response.headers_mut();
    if reply.doubled_options {
        headers.append(options.0.clone(), options.1.clone());
    }
    headers.append(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.append("cache-control", HeaderValue::from_static("no-cache, max-age=0"));
    headers.append(options.0, options.1);
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.append("date", date);
    }
    headers.append("server", HeaderValue::from_static("envoy"));
    response
}
