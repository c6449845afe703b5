//! Sending an answer of the proxy's own, to HTTP and to gRPC clients.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::time::Instant;

use crate::base::headers::{Headers, Known, Name};
use crate::codec::{Frame, INTERNAL_ERROR};
use crate::observability::stream_info::ResponseFlags;
use crate::route::grpc_timeout::is_grpc;
use crate::route::mutation::Levels;

use crate::http::deadlines::Interrupt;
use crate::http::downstream::Downstream;
use crate::http::local_reply::{LocalReply, Marker};
use crate::http::render::render;
use crate::http::worker::HeaderPair;

use super::mapping::Draft;
use super::{Exchange, Failure, Held};

impl<D: Downstream> Exchange<'_, D> {
    /// Sends an answer of the proxy's own; `levels` are its route's changes.
    pub(in crate::http) async fn send_reply(&mut self, reply: LocalReply, levels: Option<Levels<'_>>) {
        self.deadlines.reply_begun(Instant::now());
        let (mut status, mut end) = self.prepare_reply(&reply, levels);
        match self.filter_response(levels, end, |_, _| Poll::Ready(Ok(None))).await {
            // No filter redirects, or discovers, what has an answer.
            Ok(()) | Err(Failure::Redirected | Failure::GaveWay | Failure::Discovered) => {}
            Err(Failure::Reply(other)) => (status, end) = self.prepare_reply(&other, levels),
            Err(Failure::Abort(flags, _)) => {
                self.info.response_flags.insert(flags);
                self.close = true;
                return;
            }
        }
        self.start_response(status, end, false);
        if !end {
            while let Some(frame) = self.response_body.pop() {
                if let Frame::Data(data) = frame {
                    self.info.bytes_sent += data.len() as u64;
                    self.down.send_data(data);
                }
            }
            self.down.send_end(None);
        }
        self.flush_reply().await;
    }

    /// Waits until the client has taken an answer.
    async fn flush_reply(&mut self) {
        if D::MULTIPLEXED {
            let timeout = self.connection.manager.options.timeouts.stream_flush_timeout;
            self.deadlines.flush_begun(Instant::now(), timeout);
        }
        match self.until(|this, cx| this.down.poll_flush(cx)).await {
            Ok(Ok(())) => return,
            Err(Interrupt::Flush) => {
                self.connection.manager.codec_stats.http2().tx_flush_timeout().inc();
                self.down.abort(INTERNAL_ERROR);
            }
            Ok(Err(_)) | Err(_) => self.info.response_flags.insert(ResponseFlags::DC),
        }
        self.close = true;
    }

    /// Puts an answer in the place of the response. Gives its status, and whether it has no body.
    fn prepare_reply(&mut self, reply: &LocalReply, levels: Option<Levels<'_>>) -> (u16, bool) {
        self.info.response_flags.insert(reply.flags);
        self.info.response_code_details = reply.details.clone();
        if !D::MULTIPLEXED && reply.close && reply.is_for_excess() {
            // As in Envoy its end is not read any more, even if it has come with the rest.
            self.admitted = false;
        }
        // As in Envoy 400 means a malformed message, whoever says it.
        let malformed =
            reply.status == 400 && !self.connection.manager.options.keeps_http1_after_bad_request();
        self.close |= reply.close || (!D::MULTIPLEXED && (malformed || !self.down.request_is_complete()));
        let is_head = self.headers.request.get(Known::Method) == Some(b"HEAD");
        let (status, body) = self.compose(reply, levels, is_head);
        // RFC 9110 §15.3.5 and §15.4.5: whatever it was mapped to, such a status has no content; what came behind it would be
        // taken for the next response.
        let end = body.is_empty() || is_head || matches!(status, 204 | 304);
        if status == 204 {
            self.headers.response.remove(Known::ContentLength);
        }
        self.response_body = Held::whole(if end { Bytes::new() } else { body });
        (status, end)
    }

    /// Makes the headers of an answer, in Envoy's order: what is known of it, the route's changes, the connection
    /// manager's, and what tells of the body last. Gives its status and its body.
    fn compose(&mut self, reply: &LocalReply, levels: Option<Levels<'_>>, is_head: bool) -> (u16, Bytes) {
        self.info.downstream_wire = self.down.wire();
        if self.down.request_is_complete() {
            let now = self.started.elapsed();
            self.info.timing.downstream_rx_end.get_or_insert(now);
        }
        let HeaderPair { request, response } = &mut *self.headers;
        let suppressed = self.router.suppress_envoy_headers;
        begin(response, reply, reply.marker.filter(|_| !suppressed));
        if reply.as_it_is {
            add_own(response, reply);
            return (reply.status, reply.body.clone());
        }
        if let Some(levels) = levels {
            let info = &self.info;
            levels.mutate_response(response, &mut |format, response, out| {
                render(info, request, response, format, out);
            });
            levels.tell_attempts(response, info.upstream_attempts);
        }
        add_own(response, reply);
        if let Some(content_type) = &reply.content_type {
            // Not in the place of another, as in Envoy.
            response.remove(Known::ContentType);
            response.append(Known::ContentType, content_type.as_bytes());
        }
        let grpc = is_grpc(request);
        // The route's changes do not know the code yet, as in Envoy.
        self.info.response_code = reply.status;
        let mut draft = Draft::new(reply.status, reply.body.clone());
        let manager = Arc::clone(&self.connection.manager);
        if let Some(config) = &manager.options.local_reply_config {
            self.map_reply(config, &mut draft);
        }
        let response = &mut self.headers.response;
        if grpc {
            end_grpc(response, &draft, reply.grpc_status, is_head);
            return (200, Bytes::new());
        }
        end_http(response, &draft);
        (draft.status, draft.body)
    }
}

/// The headers that an answer begins with.
fn begin(response: &mut Headers, reply: &LocalReply, marker: Option<Marker>) {
    response.clear();
    response.append(Known::Status, itoa::Buffer::new().format(reply.status).as_bytes());
    if let Some(marker) = marker {
        response.append(Name::new(marker.name()), b"true");
    }
    if let Some(location) = &reply.location {
        response.append(Known::Location, location);
    }
}

/// Adds the headers that an answer has of itself. The route's changes do not see them, as in Envoy.
fn add_own(response: &mut Headers, reply: &LocalReply) {
    for (name, value) in reply.headers.iter().flat_map(|headers| headers.iter()) {
        response.append(name, value);
    }
}

/// Tells of the body of an answer. One that has none says nothing of it.
fn end_http(response: &mut Headers, draft: &Draft<'_>) {
    if draft.body.is_empty() {
        response.remove(Known::ContentLength);
        response.remove(Known::ContentType);
        return;
    }
    response.set(Known::ContentLength, itoa::Buffer::new().format(draft.body.len()).as_bytes());
    let replaced = draft.body_changed && !draft.has_own_type;
    if replaced || !response.contains(Known::ContentType) {
        response.set(Known::ContentType, draft.content_type.as_bytes());
    }
}

/// Makes a gRPC status in headers alone of an answer: the one it has, or what stands for its HTTP status.
fn end_grpc(response: &mut Headers, draft: &Draft<'_>, told: Option<u64>, is_head: bool) {
    response.set(Known::Status, b"200");
    response.set(Known::ContentType, b"application/grpc");
    if response.get(Known::GrpcStatus).is_none_or(|status| status.is_empty()) {
        let status = told.unwrap_or(grpc_status(draft.status));
        response.set(Known::GrpcStatus, itoa::Buffer::new().format(status).as_bytes());
    }
    if !draft.body.is_empty() && !is_head {
        // The line break after a JSON document is none of the message.
        let json = draft.content_type == "application/json";
        let text = draft.body.strip_suffix(b"\n").filter(|_| json).unwrap_or(&draft.body);
        response.set(Known::GrpcMessage, &percent_encode(text));
    }
    response.remove(Known::ContentLength);
}

/// The gRPC status that stands for an HTTP status (gRPC over HTTP2, `HTTP to gRPC Status Code Mapping`).
pub(in crate::http) fn grpc_status(status: u16) -> u64 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
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
