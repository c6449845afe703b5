//! `TcpProxy.tunneling_config`: connections that go on as streams of HTTP, and how those are asked for.

use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::TunnelingConfig;
use serde_json::{Map, Value};

use crate::base::headers::{Headers, Known, Name};
use crate::config::field::{Scope, open};
use crate::config::format::{Format, Formatters};
use crate::config::http_connection_manager::UuidRequestId;
use crate::config::route::HeaderValueOption;
use crate::observability::format::{self, Absent, Context};
use crate::observability::stream_info::StreamInfo;
use crate::route::mutation::change_request;

/// Headers that may be added at most.
const MAX_HEADERS_TO_ADD: usize = 1000;
/// The path of a POST where none is configured.
const DEFAULT_PATH: &str = "/";
/// The header and the key of the metadata that tell the id of a request where no other is configured.
const REQUEST_ID: (&str, &str) = ("x-request-id", "tunnel_request_id");

/// The name of the metadata in which ids of requests are noted.
pub(super) const METADATA: &str = "envoy.filters.network.tcp_proxy";

/// `TunnelingConfig`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tunneling {
    hostname: Format,
    /// The path of a POST, which is asked for in place of a CONNECT.
    post_path: Option<String>,
    headers_to_add: Vec<HeaderValueOption>,
    /// Whether headers of answers are noted in the filter state.
    pub(super) propagates_headers: bool,
    /// Whether trailers are, likewise.
    pub(super) propagates_trailers: bool,
    /// Where the id of a request is told: in a header, and under a key of the metadata.
    request_id: Option<(String, String)>,
}

impl Tunneling {
    pub(super) fn from_proto(message: TunnelingConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, TunnelingConfig = message;
            implemented {
                hostname, use_post, headers_to_add, propagate_response_headers, post_path,
                propagate_response_trailers, request_id_extension, request_id_header, request_id_metadata_key,
                formatters,
            }
        }
        if headers_to_add.len() > MAX_HEADERS_TO_ADD {
            let problem = format!("value must contain no more than {MAX_HEADERS_TO_ADD} item(s)");
            at.field("headers_to_add").violation(problem);
        }
        if !use_post && !post_path.is_empty() {
            at.error("Can't set a post path when POST method isn't used");
        }
        let hostname = at.required_string("hostname", hostname);
        let hostname = Format::parse(&hostname).map_err(|problem| problem.tell(&mut at.field("hostname")));
        let formatters = Formatters::from_protos(formatters, at);
        let has_id = request_id_extension.is_some();
        at.message("request_id_extension", request_id_extension, UuidRequestId::from_proto);
        let header = header_name(or(request_id_header, REQUEST_ID.0), &mut at.field("request_id_header"));
        let key = or(request_id_metadata_key, REQUEST_ID.1);
        Some(Tunneling {
            hostname: hostname.ok()?,
            post_path: use_post.then(|| or(post_path, DEFAULT_PATH)),
            headers_to_add: at.list("headers_to_add", headers_to_add, |message, at| {
                HeaderValueOption::with(&formatters, message, at)
            }),
            propagates_headers: propagate_response_headers,
            propagates_trailers: propagate_response_trailers,
            request_id: if has_id { Some((header?, key)) } else { None },
        })
    }

    /// Gives the request an id where it is to have one, and notes that.
    pub(super) fn note_id(&self, id: &[u8], info: &StreamInfo) {
        let Some((_, key)) = &self.request_id else { return };
        let id = String::from_utf8_lossy(id).into_owned();
        let fields = Map::from_iter([(key.clone(), Value::String(id))]);
        info.connection.note(|notes| notes.set_metadata(METADATA, fields));
    }

    /// The head of the request; `None` where what was made of `hostname` is the name of no host.
    pub(super) fn request(&self, id: &[u8], encrypted: bool, info: &StreamInfo) -> Option<Headers> {
        let context = Context::without_headers(info);
        let mut authority = Vec::new();
        format::render(&self.hostname, &context, Absent::Dash, &mut authority);
        if authority.is_empty() || !authority.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut headers = Headers::new();
        headers.append(Known::Method, if self.post_path.is_some() { b"POST" } else { b"CONNECT" });
        headers.append(Known::Authority, &authority);
        if let Some(path) = &self.post_path {
            headers.append(Known::Path, path.as_bytes());
            headers.append(Known::Scheme, if encrypted { b"https" } else { b"http" });
        }
        if let Some((header, _)) = &self.request_id {
            headers.append(Name::new(header.as_bytes()), id);
        }
        change_request(&mut headers, &[], &self.headers_to_add, &mut |format, _, out| {
            format::render(format, &context, Absent::Omit, out);
        });
        Some(headers)
    }
}

/// A name in lower case, if it is one that HTTP allows (RFC 9110 §5.1).
fn header_name(name: String, at: &mut Scope<'_>) -> Option<String> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        at.violation(format!("not the name of a header: {name:?}"));
        return None;
    }
    Some(name.to_ascii_lowercase())
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}
