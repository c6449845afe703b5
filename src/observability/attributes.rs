//! What expressions in CEL can ask about a request: Envoy's attributes.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use crate::base::headers::{Headers, Known};
use crate::config::cel::{Attributes, Failure, Map, Root, Value};
use crate::config::endpoint::Locality;
use crate::config::matching::split_query;
use crate::config::metadata::Metadata;
use crate::observability::stream_info::{Address, StateObject, StreamInfo, TlsInfo, UpstreamInfo};

use super::format::{Context, grpc_status};

/// The locality of hosts that do not say where they are.
static NOWHERE: Locality = Locality { region: String::new(), zone: String::new(), sub_zone: String::new() };

/// A request as expressions see it.
#[derive(Clone, Copy, Debug)]
pub struct StreamAttributes<'a> {
    info: &'a StreamInfo,
    request: &'a Headers,
    /// `None` as long as nothing can be said of the response.
    response: Option<Context<'a>>,
}

impl<'a> StreamAttributes<'a> {
    /// A request that has come, and of whose response nothing is known.
    pub fn of_request(request: &'a Headers, info: &'a StreamInfo) -> Self {
        StreamAttributes { info, request, response: None }
    }

    /// A request as logs and headers tell of it; what has not come of the response is empty.
    pub fn of(context: &Context<'a>) -> Self {
        StreamAttributes { info: context.info, request: context.request, response: Some(*context) }
    }
}

impl Attributes for StreamAttributes<'_> {
    fn attribute(&self, of: Root, name: &str) -> Result<Value<'_>, Failure> {
        let found = match of {
            Root::Request => self.request(name),
            Root::Response => self.response(name, self.response.as_ref().ok_or(Failure::NotYet)?),
            Root::Connection => self.connection(name),
            Root::Upstream => self.upstream(name),
            Root::Source => end(self.info.remote(), name),
            Root::Destination => end(&self.info.connection.local, name),
            Root::FilterState => self.info.notes().and_then(|notes| notes.state(name)).map(object),
            Root::UpstreamFilterState => {
                let state = self.info.upstream.as_ref().and_then(|upstream| upstream.state.as_deref());
                state.and_then(|notes| notes.state(name)).map(object)
            }
            Root::Xds => self.xds(name),
        };
        found.ok_or(Failure::Error)
    }

    fn has(&self, of: Root) -> bool {
        of != Root::UpstreamFilterState
            || self.info.upstream.as_ref().is_some_and(|upstream| upstream.connection_id.is_some())
    }

    fn metadata(&self) -> Value<'_> {
        Value::Metadata(self.info.notes().map(|notes| notes.all_metadata()))
    }
}

/// An object of the filter state.
fn object(object: &StateObject) -> Value<'_> {
    match object {
        StateObject::Fields(fields) => Value::Map(Map::Json(fields.values())),
        object => Value::Bytes(Cow::Borrowed(object.text())),
    }
}

impl StreamAttributes<'_> {
    fn request(&self, name: &str) -> Option<Value<'_>> {
        let header = |known| self.request.get(known).map(bytes);
        let target = || self.request.get(Known::Path).unwrap_or_default();
        match name {
            "headers" => Some(Value::Map(Map::Headers(self.request))),
            "headers_bytes" => integer(self.request.byte_size() as u64),
            "time" => {
                let since = self.info.start_time.duration_since(UNIX_EPOCH).ok()?;
                Some(Value::Timestamp(i128::try_from(since.as_nanos()).ok()?))
            }
            "size" => match self.request.get(Known::ContentLength) {
                Some(length) => Some(Value::Int(std::str::from_utf8(length).ok()?.parse().ok()?)),
                None => integer(self.info.bytes_received),
            },
            "total_size" => integer(self.info.bytes_received + self.request.byte_size() as u64),
            "duration" => span(self.info.timing.complete),
            "protocol" => self.info.protocol.map(|protocol| text(protocol.as_str())),
            "path" => header(Known::Path),
            "url_path" => {
                let target = target();
                let end = memchr::memchr(b'?', target).unwrap_or(target.len());
                Some(bytes(&target[..end]))
            }
            "query" => Some(bytes(split_query(target()).1)),
            "host" => header(Known::Authority),
            "scheme" => header(Known::Scheme),
            "method" => header(Known::Method),
            "referer" => self.request.get_by_name(b"referer").map(bytes),
            "id" => header(Known::XRequestId),
            "useragent" => header(Known::UserAgent),
            _ => None,
        }
    }

    fn response<'v>(&'v self, name: &str, context: &'v Context<'_>) -> Option<Value<'v>> {
        let sizes =
            |headers: &[&Headers]| headers.iter().map(|headers| headers.byte_size() as u64).sum::<u64>();
        match name {
            "code" => (self.info.response_code > 0).then(|| Value::Int(self.info.response_code.into())),
            "code_details" => {
                let details = &*self.info.response_code_details;
                (!details.is_empty()).then(|| text(details))
            }
            "size" => integer(self.info.bytes_sent),
            "total_size" => {
                integer(self.info.bytes_sent + sizes(&[context.response, context.response_trailers]))
            }
            "headers" => Some(Value::Map(Map::Headers(context.response))),
            "headers_bytes" => integer(sizes(&[context.response])),
            "trailers" => Some(Value::Map(Map::Headers(context.response_trailers))),
            "flags" => Some(Value::Int(self.info.response_flags.bits().into())),
            "grpc_status" => grpc_status(context).map(Value::Int),
            "backend_latency" => {
                let timing = &self.info.timing;
                span(timing.upstream_rx_end?.checked_sub(timing.upstream_tx_start?))
            }
            _ => None,
        }
    }

    fn connection(&self, name: &str) -> Option<Value<'_>> {
        let connection = &self.info.connection;
        match name {
            "mtls" => {
                let tls = connection.tls.get();
                Some(Value::Bool(tls.is_some_and(|tls| !tls.peer.is_empty())))
            }
            "requested_server_name" => Some(text(&connection.requested_server_name)),
            "id" => Some(Value::Uint(connection.id)),
            "termination_details" => connection.termination_details().map(text),
            "transport_failure_reason" => {
                connection.transport_failure_reason.get().map(|reason| text(reason))
            }
            _ => certificate(connection.tls.get()?, name),
        }
    }

    fn upstream(&self, name: &str) -> Option<Value<'_>> {
        let upstream = self.info.upstream.as_ref();
        match name {
            "address" | "port" => end(upstream?.host.as_ref()?, name),
            "local_address" => end(upstream?.local_address.as_ref()?, "address"),
            "transport_failure_reason" => {
                let chosen = upstream.filter(|upstream| upstream.host.is_some())?;
                Some(text(chosen.transport_failure_reason.as_deref().unwrap_or_default()))
            }
            "locality" => {
                let chosen = upstream.filter(|upstream| upstream.host.is_some())?;
                Some(Value::Locality(chosen.locality.as_deref().unwrap_or(&NOWHERE)))
            }
            "num_endpoints" => {
                Some(Value::Uint(upstream?.cluster.membership.as_ref()?.membership_total().value()))
            }
            "cx_pool_ready_duration" => span(upstream?.pool_ready),
            "request_attempt_count" => Some(Value::Uint(self.info.upstream_attempts.into())),
            _ => certificate(upstream?.tls.as_deref()?, name),
        }
    }

    fn xds(&self, name: &str) -> Option<Value<'_>> {
        let upstream = self.info.upstream.as_ref();
        let info = self.info;
        let chosen = |upstream: &&UpstreamInfo| upstream.host.is_some();
        match name {
            "cluster_name" => upstream.map(|upstream| text(&upstream.cluster.name)),
            "cluster_metadata" => upstream.map(|upstream| metadata(upstream.cluster.metadata.as_deref())),
            "route_name" => info.has_route.then(|| text(info.route_name.as_deref().unwrap_or_default())),
            "route_metadata" => info.has_route.then(|| metadata(info.route_metadata.as_deref())),
            "virtual_host_name" => info.virtual_host_name.as_deref().map(|name| text(name)),
            "virtual_host_metadata" => {
                info.virtual_host_name.as_ref().map(|_| metadata(info.virtual_host_metadata.as_deref()))
            }
            "upstream_host_metadata" => {
                upstream.filter(chosen).map(|upstream| metadata(upstream.host_metadata.as_deref()))
            }
            "upstream_host_locality_metadata" => {
                let of_locality = upstream.filter(chosen)?.locality_metadata.as_deref();
                Some(of_locality.map_or(Value::Null, |of_locality| metadata(Some(of_locality))))
            }
            "filter_chain_name" => {
                Some(text(self.info.connection.filter_chain_name.as_deref().unwrap_or_default()))
            }
            "listener_direction" => Some(Value::Int(info.connection.direction as i64)),
            "node" => info.connection.node.as_deref().map(Value::Node),
            "listener_metadata" => Some(metadata(self.info.connection.listener_metadata.as_deref())),
            _ => None,
        }
    }
}

/// What is known of TLS and its certificates; of several names the first.
fn certificate<'v>(tls: &'v TlsInfo, name: &str) -> Option<Value<'v>> {
    let (local, peer) = (tls.local.as_deref(), tls.peer_certificate());
    let first = |names: &'v [String]| names.first().map(|name| text(name));
    match name {
        "tls_version" => Some(text(tls.version)),
        // As in Envoy there is one without a certificate, too, and it is empty.
        "subject_local_certificate" => Some(text(local.map_or("", |local| &local.subject))),
        "subject_peer_certificate" => Some(text(peer.map_or("", |peer| &peer.subject))),
        "dns_san_local_certificate" => first(&local?.dns_names),
        "dns_san_peer_certificate" => first(&peer?.dns_names),
        "uri_san_local_certificate" => first(&local?.uris),
        "uri_san_peer_certificate" => first(&peer?.uris),
        "sha256_peer_certificate_digest" => Some(text(peer?.sha256())),
        _ => None,
    }
}

/// An end of a connection: its `address`, with the port, and its `port`.
fn end<'v>(address: &Address, name: &str) -> Option<Value<'v>> {
    match (name, address) {
        ("address", address) => Some(Value::String(Cow::Owned(address.to_string().into_bytes()))),
        ("port", Address::Ip(address)) => Some(Value::Int(address.port().into())),
        _ => None,
    }
}

fn bytes(value: &[u8]) -> Value<'_> {
    Value::String(Cow::Borrowed(value))
}

fn text(value: &str) -> Value<'_> {
    bytes(value.as_bytes())
}

fn integer<'v>(number: u64) -> Option<Value<'v>> {
    i64::try_from(number).ok().map(Value::Int)
}

fn span<'v>(span: Option<Duration>) -> Option<Value<'v>> {
    i128::try_from(span?.as_nanos()).ok().map(Value::Duration)
}

fn metadata(metadata: Option<&Metadata>) -> Value<'_> {
    Value::Metadata(metadata.map(|metadata| &metadata.filter_metadata))
}
