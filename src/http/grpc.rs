//! Calls of gRPC that filters make: a message there, a message back (gRPC over HTTP2, "Requests", "Responses").

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;

use crate::base::headers::{Headers, Known};
use crate::config::format::Format;
use crate::config::grpc_service::GrpcService;
use crate::observability::stream_info::{ConnectionInfo, StreamInfo};
use crate::route::grpc_timeout;
use crate::route::mutation::change_request;
use crate::upstream::Cluster;

use super::exchange::grpc_status;
use super::filter::Stream;
use super::render::render;
use super::router::{Answer, Call as Request, CallError};
use super::worker::Worker;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Bytes of an answer that are read at most. Envoy reads any number where the service has no limit of its own.
const MAX_ANSWER: usize = 16 << 20;

/// Codes that calls end with here, beside those that services send.
mod code {
    pub(super) const UNKNOWN: u64 = 2;
    pub(super) const RESOURCE_EXHAUSTED: u64 = 8;
    pub(super) const INTERNAL: u64 = 13;
    pub(super) const UNAVAILABLE: u64 = 14;
}

/// How a call ended that did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// `grpc-status`, never 0.
    code: u64,
    message: Cow<'static, str>,
}

impl Status {
    fn new(code: u64, message: impl Into<Cow<'static, str>>) -> Self {
        Status { code, message: message.into() }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// A call that is ready to be made. It holds nothing of the request that it is about.
#[derive(Debug)]
pub(crate) struct Call {
    cluster: Option<Arc<Cluster>>,
    request: Request,
}

/// What a call has by who makes it.
#[derive(Clone, Copy)]
struct By<'a> {
    /// `None` means no limit.
    timeout: Option<Duration>,
    /// Value of `user-agent`; `None` where there is none.
    user_agent: Option<&'a [u8]>,
}

impl By<'_> {
    fn filter(timeout: Option<Duration>) -> Self {
        By { timeout, user_agent: None }
    }
}

/// Renders the value of a header that calls have.
type Render<'r> = &'r mut dyn FnMut(&Format, &mut Vec<u8>);

impl Call {
    /// A call of the method with this path, about a request. A timeout of `None` means no limit.
    pub(super) fn new(
        service: &GrpcService,
        path: &'static str,
        message: &impl Message,
        timeout: Option<Duration>,
        stream: &Stream<'_>,
    ) -> Self {
        let Stream { request, response, info, worker, .. } = stream;
        Self::made(service, path, message, By::filter(timeout), worker, &mut |format, out| {
            render(info, request, response, format, out);
        })
    }

    /// The same about a connection.
    pub(crate) fn of_connection(
        service: &GrpcService,
        path: &'static str,
        message: &impl Message,
        timeout: Option<Duration>,
        info: &Rc<ConnectionInfo>,
        worker: &Worker,
    ) -> Self {
        let (none, info) = (Headers::new(), StreamInfo::of_connection(Rc::clone(info)));
        Self::made(service, path, message, By::filter(timeout), worker, &mut |format, out| {
            render(&info, &none, &none, format, out);
        })
    }

    /// The same about nothing, by a part of the program that has a name of its own.
    pub(super) fn of_program(
        service: &GrpcService,
        path: &'static str,
        message: &impl Message,
        user_agent: &[u8],
        worker: &Worker,
    ) -> Self {
        let (none, info) = (Headers::new(), StreamInfo::of_nobody());
        let by = By { timeout: None, user_agent: Some(user_agent) };
        Self::made(service, path, message, by, worker, &mut |format, out| {
            render(&info, &none, &none, format, out);
        })
    }

    fn made(
        service: &GrpcService,
        path: &'static str,
        message: &impl Message,
        by: By<'_>,
        worker: &Worker,
        render: Render<'_>,
    ) -> Self {
        let request = Request {
            headers: headers(service, path, by, worker, render),
            body: frame(message),
            timeout: by.timeout,
            internal: !service.skip_envoy_headers,
            retry_policy: service.retry_policy.clone(),
            per_try: None,
            answer_limit: answer_limit(service),
        };
        Call { cluster: worker.snapshot().clusters.get(&*service.cluster_name).cloned(), request }
    }

    /// Makes it.
    pub(crate) async fn answer<M: Message + Default>(self, worker: &Rc<Worker>) -> Result<M, Status> {
        let Some(cluster) = &self.cluster else {
            return Err(Status::new(code::UNAVAILABLE, "Cluster not available"));
        };
        match self.request.send(worker, cluster).await {
            Ok(answer) => read(&answer),
            Err(CallError::Instead(reply)) => {
                let message = String::from_utf8_lossy(&reply.body).into_owned();
                Err(Status::new(grpc_status(reply.status), message))
            }
            Err(CallError::Broken) => Err(Status::new(code::INTERNAL, "the answer broke off")),
            Err(CallError::TooLong) => Err(Status::new(code::RESOURCE_EXHAUSTED, "the answer is too long")),
        }
    }
}

/// Bytes of an answer with one message.
fn answer_limit(service: &GrpcService) -> usize {
    let configured = service.max_receive_message_length.and_then(|length| usize::try_from(length).ok());
    configured.map_or(MAX_ANSWER, |length| length.saturating_add(PREFIX).min(MAX_ANSWER))
}

/// The headers of a call, in Envoy's order.
fn headers(service: &GrpcService, path: &str, by: By<'_>, worker: &Worker, render: Render<'_>) -> Headers {
    let authority = match service.authority.as_str() {
        "" => &service.cluster_name,
        authority => authority,
    };
    let mut headers = Headers::new();
    headers.append(Known::Method, b"POST");
    headers.append(Known::Path, path.as_bytes());
    headers.append(Known::Authority, authority.as_bytes());
    headers.append(Known::Scheme, b"http");
    headers.append(Known::Te, b"trailers");
    if let Some(timeout) = by.timeout {
        grpc_timeout::write(&mut headers, timeout);
    }
    headers.append(Known::ContentType, b"application/grpc");
    change_request(&mut headers, &[], &service.initial_metadata, &mut |format, _, out| render(format, out));
    if let Some(user_agent) = by.user_agent {
        headers.set(Known::UserAgent, user_agent);
    }
    if !service.skip_envoy_headers {
        headers.set(Known::XEnvoyInternal, b"true");
        headers.append(Known::XForwardedFor, worker.local_ip().to_string().as_bytes());
    }
    headers
}

/// A message with its prefix.
fn frame(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut bytes = BytesMut::with_capacity(PREFIX + encoded.len());
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&encoded);
    bytes.freeze()
}

/// The message of an answer: of several the last, as in Envoy.
fn read<M: Message + Default>(answer: &Answer) -> Result<M, Status> {
    let trailers = match (&answer.trailers, answer.body.is_empty()) {
        (Some(trailers), _) => Some(&**trailers),
        (None, true) => Some(&answer.headers),
        (None, false) => None,
    };
    let told = trailers.and_then(|trailers| trailers.get(Known::GrpcStatus));
    if answer.status != 200 && (told.is_none() || answer.trailers.is_some()) {
        return Err(Status::new(grpc_status(answer.status), ""));
    }
    let message = last_message(&answer.body)?;
    let told = told.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    match told.unwrap_or(code::UNKNOWN) {
        0 => message.ok_or_else(|| Status::new(code::INTERNAL, "there is no message")),
        code => {
            let text = trailers.and_then(|trailers| trailers.get(Known::GrpcMessage)).unwrap_or_default();
            Err(Status::new(code, String::from_utf8_lossy(text).into_owned()))
        }
    }
}

/// The last of the messages that are whole. All have to be messages.
fn last_message<M: Message + Default>(mut body: &[u8]) -> Result<Option<M>, Status> {
    let mut last = None;
    while let Some((prefix, rest)) = body.split_at_checked(PREFIX) {
        if prefix[0] != 0 {
            return Err(Status::new(code::INTERNAL, "the message is compressed"));
        }
        let mut length = &prefix[1..];
        let Some((message, behind)) = rest.split_at_checked(length.get_u32() as usize) else { break };
        last = Some(M::decode(message).map_err(|error| Status::new(code::INTERNAL, error.to_string()))?);
        body = behind;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8], trailers: &[(Known, &str)]) -> Answer {
        let mut came = Headers::new();
        trailers.iter().for_each(|(name, value)| came.append(*name, value.as_bytes()));
        Answer { status, headers: Headers::new(), body: body.into(), trailers: Some(Box::new(came)) }
    }

    /// The code that an answer ends with, or its message, a `google.protobuf.UInt32Value`.
    fn said(answer: &Answer) -> Result<u32, u64> {
        read::<u32>(answer).map_err(|status| status.code)
    }

    const WELL: &[(Known, &str)] = &[(Known::GrpcStatus, "0")];
    const SEVEN: &[u8] = b"\0\0\0\0\x02\x08\x07";

    #[test]
    fn an_answer_is_its_last_message() {
        assert_eq!(said(&answer(200, SEVEN, WELL)), Ok(7));
        assert_eq!(said(&answer(200, b"\0\0\0\0\0", WELL)), Ok(0));
        assert_eq!(said(&answer(200, &[SEVEN, b"\0\0\0\0\x02\x08\x09"].concat(), WELL)), Ok(9));
        assert_eq!(said(&answer(200, &[SEVEN, b"\0\0\0\0\x02\x08"].concat(), WELL)), Ok(7));
    }

    #[test]
    fn an_answer_that_is_none_has_a_code() {
        for (answer, code) in [
            (answer(200, b"", WELL), code::INTERNAL),
            (answer(200, b"\0\0\0\0\x02\x08\xff", WELL), code::INTERNAL),
            (answer(200, b"\x01\0\0\0\x02\x08\x07", WELL), code::INTERNAL),
            (answer(200, SEVEN, &[]), code::UNKNOWN),
            (answer(200, SEVEN, &[(Known::GrpcStatus, "7")]), 7),
            (answer(200, SEVEN, &[(Known::GrpcStatus, "x")]), code::UNKNOWN),
            (answer(503, b"", &[]), code::UNAVAILABLE),
            (answer(404, b"", &[]), 12),
        ] {
            assert_eq!(said(&answer), Err(code));
        }
    }

    #[test]
    fn the_headers_of_an_answer_may_be_all_of_it() {
        let mut headers = Headers::new();
        headers.append(Known::GrpcStatus, b"14");
        headers.append(Known::GrpcMessage, b"away");
        let answer = Answer { status: 200, headers, body: BytesMut::new(), trailers: None };
        assert_eq!(read::<u32>(&answer), Err(Status::new(code::UNAVAILABLE, "away")));
    }

    #[test]
    fn a_message_has_its_length_before_it() {
        assert_eq!(&frame(&7_u32)[..], SEVEN);
    }
}
