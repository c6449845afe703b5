//! Well-formed requests and responses as bytes.

use crate::case::client::Request;
use crate::case::host::Response;
use crate::common::text::wire;

/// The HTTP/1 bytes of `request`.
pub(crate) fn request(request: &Request) -> Vec<u8> {
    let Request { version, method, path, host, headers, body, chunks, trailers, admin: _ } = request;
    let mut head = format!("{method} {path} HTTP/{version}\r\nhost: {host}\r\n");
    headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
    finish(head, body.as_deref(), chunks, trailers)
}

/// The HTTP/1 bytes of `response`.
pub(crate) fn response(response: &Response) -> Vec<u8> {
    let Response { status, headers, body, chunks, trailers, grpc: _ } = response;
    let status = if *status == 0 { 200 } else { *status };
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
    finish(head, Some(body), chunks, trailers)
}

fn finish(mut head: String, body: Option<&str>, chunks: &[String], trailers: &[String]) -> Vec<u8> {
    if chunks.is_empty() && trailers.is_empty() {
        let Some(body) = body else { return wire(&(head + "\r\n")) };
        let body = wire(body);
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        return [wire(&head), body].concat();
    }
    head.push_str("transfer-encoding: chunked\r\n\r\n");
    let mut bytes = wire(&head);
    for chunk in chunks {
        let chunk = wire(chunk);
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(&chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n");
    trailers.iter().for_each(|trailer| bytes.extend_from_slice(&wire(&format!("{trailer}\r\n"))));
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Reason",
    }
}

/// The fields of `request` as HTTP/2 carries them.
pub(crate) fn request_fields(request: &Request) -> Vec<String> {
    let mut fields = vec![
        format!(":method: {}", request.method),
        ":scheme: http".to_owned(),
        format!(":authority: {}", request.host),
        format!(":path: {}", request.path),
    ];
    fields.extend(request.headers.iter().cloned());
    fields
}

/// The fields of `response` as HTTP/2 carries them.
pub(crate) fn response_fields(response: &Response) -> Vec<String> {
    let status = if response.status == 0 { 200 } else { response.status };
    let mut fields = vec![format!(":status: {status}")];
    fields.extend(response.headers.iter().cloned());
    fields
}
