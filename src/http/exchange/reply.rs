//! Sending an answer of the proxy's own, to HTTP and to gRPC clients.

use crate::base::headers::{Headers, Known};
use crate::observability::stream_info::ResponseFlags;
use crate::route::mutation::Levels;

use crate::http::downstream::Downstream;
use crate::http::local_reply::LocalReply;
use crate::http::worker::HeaderPair;

use super::Exchange;

impl<D: Downstream> Exchange<'_, D> {
    /// Sends an answer of the proxy's own.
    pub(in crate::http) async fn send_reply(
        &mut self,
        reply: LocalReply,
        levels: Option<Levels<'_>>,
        location: Option<&[u8]>,
    ) {
        self.info.response_flags.insert(reply.flags);
        self.info.response_code_details = reply.details.clone();
        let grpc = is_grpc(&self.headers.request);
        let is_head = self.headers.request.get(Known::Method) == Some(b"HEAD");
        self.close |= reply.close || (!D::MULTIPLEXED && !self.down.request_is_complete());
        let HeaderPair { request, response } = &mut *self.headers;
        response.clear();
        let body = if grpc { Default::default() } else { reply.body.clone() };
        fill_reply(response, &reply, grpc);
        if let Some(location) = location {
            response.append(Known::Location, location);
        }
        self.info.response_code = reply.status;
        if let Some(levels) = levels {
            let info = &self.info;
            levels.mutate_response(response, &mut |format, response, out| {
                Self::render(info, request, response, format, out);
            });
        }
        let end = body.is_empty() || is_head;
        let status = if grpc { 200 } else { reply.status };
        self.start_response(status, end, false);
        if !end {
            self.info.bytes_sent += body.len() as u64;
            self.down.send_data(body);
            self.down.send_end(None);
        }
        let sent = self.until(|this, cx| this.down.poll_flush(cx)).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.info.response_flags.insert(ResponseFlags::DC);
            self.close = true;
        }
    }
}

fn is_grpc(request: &Headers) -> bool {
    request.get(Known::ContentType).is_some_and(|value| {
        value.strip_prefix(b"application/grpc").is_some_and(|rest| rest.is_empty() || rest[0] == b'+')
    })
}

/// The headers of an answer of the proxy's own; to gRPC it is a status in headers alone.
fn fill_reply(response: &mut Headers, reply: &LocalReply, grpc: bool) {
    let mut buffer = itoa::Buffer::new();
    if grpc {
        response.append(Known::Status, b"200");
        response.append(Known::ContentType, b"application/grpc");
        response.append(Known::GrpcStatus, grpc_status(reply.status).as_bytes());
        if !reply.body.is_empty() {
            response.append(Known::GrpcMessage, &percent_encode(&reply.body));
        }
    } else {
        response.append(Known::Status, buffer.format(reply.status).as_bytes());
        if reply.overloaded {
            response.append(Known::XEnvoyOverloaded, b"true");
        }
        if !reply.body.is_empty() {
            response.append(Known::ContentLength, buffer.format(reply.body.len()).as_bytes());
            response.append(Known::ContentType, b"text/plain");
        }
    }
}

/// The gRPC status that stands for an HTTP status (gRPC over HTTP2, `HTTP to gRPC Status Code Mapping`).
fn grpc_status(status: u16) -> &'static str {
    match status {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502 | 503 | 504 => "14",
        _ => "2",
    }
}

/// The encoding of `grpc-message`.
fn percent_encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text {
        if (0x20..0x7f).contains(byte) && *byte != b'%' {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}
