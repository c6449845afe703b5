//! What is done to a request's headers before it is routed: who it is from is found out, what only this hop is
//! meant to see is taken off, and what outsiders must not say is not believed.

use crate::base::headers::{Headers, Known, Name};
use crate::config::HttpConnectionManager;
use crate::config::http_connection_manager::RequestIds;
use crate::config::matcher::StringMatcher;

use crate::observability::stream_info::Address;

use super::local_reply::LocalReply;
use super::manager::Connection;
use super::origin::{self, Origin};

/// What an outsider must not say (`x-envoy-*` of retries, timeouts and tracing).
const INTERNAL_ONLY: &[Known] = &[
    Known::XEnvoyRetriableStatusCodes,
    Known::XEnvoyRetriableHeaderNames,
    Known::XEnvoyRetryOn,
    Known::XEnvoyRetryGrpcOn,
    Known::XEnvoyMaxRetries,
    Known::XEnvoyUpstreamAltStatName,
    Known::XEnvoyUpstreamRqTimeoutMs,
    Known::XEnvoyUpstreamRqPerTryTimeoutMs,
    Known::XEnvoyUpstreamRqTimeoutAltResponse,
    Known::XEnvoyExpectedRqTimeoutMs,
    Known::XEnvoyForceTrace,
    Known::XEnvoyIpTags,
    Known::XEnvoyHedgeOnPerTryTimeout,
];

/// What an edge proxy takes off beside that.
const EDGE_ONLY: &[Known] = &[
    Known::XEnvoyDecoratorOperation,
    Known::XEnvoyDownstreamServiceCluster,
    Known::XEnvoyDownstreamServiceNode,
    Known::XEnvoyOriginalPath,
    Known::XEnvoyOriginalHost,
];

/// Changes a request's headers as `ConnectionManagerUtility::mutateRequestHeaders` does.
///
/// `upgrade` keeps the headers that ask for one. `make_request_id` gives a new id.
///
/// # Errors
/// The answer to a request that does not say who it is from, where that is asked for.
pub(super) fn prepare(
    headers: &mut Headers,
    connection: &Connection,
    upgrade: bool,
    make_request_id: impl FnOnce() -> [u8; 36],
) -> Result<Origin, LocalReply> {
    let options = &connection.manager.options;
    remove_hop_by_hop(headers, upgrade);
    headers.remove(Known::XEnvoyInternal);
    let scheme = forwarded_scheme(connection);
    let origin = origin::find(headers, &options.client_address, connection.peer, scheme)?;
    let edge = !origin.internal && options.client_address.use_remote_address;
    if !headers.contains(Known::XForwardedProto) {
        headers.append(Known::XForwardedProto, scheme);
    }
    if !headers.contains(Known::XForwardedPort) {
        origin::set_forwarded_port(headers, &options.client_address, connection.peer);
    }
    set_scheme(headers, options);
    if origin.internal {
        headers.set(Known::XEnvoyInternal, b"true");
    } else {
        remove_all(headers, if edge { EDGE_ONLY } else { &[] });
        remove_all(headers, INTERNAL_ONLY);
    }
    if options.add_user_agent {
        connection.manager.user_agent.introduce(headers);
    }
    append_via(headers, options);
    if edge && let Some(remote) = origin.remote {
        headers.set(Known::XEnvoyExternalAddress, remote.to_string().as_bytes());
    }
    set_request_id(headers, &options.request_ids, edge, make_request_id);
    Ok(origin)
}

/// What the client spoke: by the port that it connected to, where somebody passed its connection on and told of that.
fn forwarded_scheme(connection: &Connection) -> &'static [u8] {
    let info = &connection.info;
    let told = match &info.local {
        Address::Ip(local) if info.local_restored => {
            connection.manager.options.forward_proto.scheme(local.port())
        }
        _ => None,
    };
    told.unwrap_or_else(|| info.scheme())
}

/// Whether a request asks for another protocol: `Connection: upgrade` with an `Upgrade` header.
pub(super) fn asks_upgrade(headers: &Headers) -> bool {
    // RFC 9113 §3.1: an upgrade to h2c is no more; the request is served as it is.
    headers.get(Known::Upgrade).is_some_and(|wanted| !wanted.eq_ignore_ascii_case(b"h2c"))
        && nominates(headers, b"upgrade")
}

/// Whether a request asks for HTTP/2 in plain text, which nobody upgrades to.
fn asks_h2c(headers: &Headers) -> bool {
    headers.get(Known::Upgrade).is_some_and(|wanted| wanted.eq_ignore_ascii_case(b"h2c"))
        && nominates(headers, b"upgrade")
}

/// Takes the protocols off that a request cannot ask for; one that asks for no other asks for none.
pub(super) fn forget_upgrades(headers: &mut Headers, ignored: &[StringMatcher]) {
    let Some(wanted) = headers.get(Known::Upgrade).filter(|_| !ignored.is_empty()) else { return };
    let tokens = wanted.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> =
        tokens.filter(|token| !ignored.iter().any(|matcher| matcher.matches(token))).collect();
    if kept.is_empty() {
        headers.remove(Known::Upgrade);
    } else {
        let kept = kept.join(&b',');
        headers.set(Known::Upgrade, &kept);
    }
}

/// Whether `Connection` has this token.
pub(super) fn nominates(headers: &Headers, token: &[u8]) -> bool {
    lists(headers, Known::Connection, token)
}

/// Whether this header has this token in its list.
pub(super) fn lists(headers: &Headers, header: Known, token: &[u8]) -> bool {
    headers
        .get_all(header.into())
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|value| value.trim_ascii().eq_ignore_ascii_case(token))
}

/// From so many headers named in `Connection` on a request is refused, as in Envoy.
const TOO_MANY_NOMINATED: usize = 10;

/// Whether `Connection` names only what a client may take away, not who the request is from or for, and not too much.
pub(super) fn nominates_fairly(headers: &Headers) -> bool {
    const UNFAIR: [&[u8]; 3] = [b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"];
    let mut tokens = headers
        .get_all(Known::Connection.into())
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
        .enumerate();
    tokens.all(|(count, token)| {
        count + 1 < TOO_MANY_NOMINATED
            && !token.contains(&b':')
            && !UNFAIR.iter().any(|name| token.eq_ignore_ascii_case(name))
    })
}

fn remove_hop_by_hop(headers: &mut Headers, upgrade: bool) {
    if upgrade {
        headers.remove(Known::KeepAlive);
        headers.remove(Known::ProxyConnection);
        headers.remove(Known::TransferEncoding);
        return;
    }
    if headers.contains(Known::Connection) {
        if asks_h2c(headers) {
            headers.remove(Known::Http2Settings);
        }
        remove_nominated(headers);
        headers.remove(Known::Connection);
    }
    for known in [Known::Upgrade, Known::KeepAlive, Known::ProxyConnection, Known::TransferEncoding] {
        headers.remove(known);
    }
    settle_te(headers);
}

/// Of what a client accepts only that it takes trailers goes on, once.
fn settle_te(headers: &mut Headers) {
    let is_fine = |value: &[u8]| value.is_empty() || value == b"trailers";
    let goes_on = {
        let mut accepted = headers.get_all(Known::Te.into());
        accepted.next().is_none_or(is_fine) && accepted.next().is_none()
    };
    if goes_on {
        return;
    }
    if headers.get_all(Known::Te.into()).any(accepts_trailers) {
        headers.set(Known::Te, b"trailers");
    } else {
        headers.remove(Known::Te);
    }
}

fn accepts_trailers(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|token| token.trim_ascii() == b"trailers")
}

/// RFC 9110 §7.6.1: what `Connection` names is meant for this hop alone. Never the headers that requests are
/// routed and framed by: those nobody can take away.
fn remove_nominated(headers: &mut Headers) {
    let mut nominated: Vec<Vec<u8>> = Vec::new();
    for value in headers.get_all(Known::Connection.into()) {
        for token in value.split(|byte| *byte == b',') {
            let token = token.trim_ascii().to_ascii_lowercase();
            let generic = matches!(token.as_slice(), b"" | b"close" | b"keep-alive" | b"upgrade" | b"te");
            if !generic && !is_protected(&token) {
                nominated.push(token);
            }
        }
    }
    if !nominated.is_empty() {
        headers.retain(|name, _| !nominated.iter().any(|token| token == name.as_bytes()));
    }
}

fn is_protected(name: &[u8]) -> bool {
    match Name::new(name) {
        Name::Known(known) => {
            known.is_pseudo()
                || matches!(
                    known,
                    Known::Host
                        | Known::TransferEncoding
                        | Known::XForwardedFor
                        | Known::XForwardedHost
                        | Known::XForwardedProto
                )
        }
        Name::Other(_) => false,
    }
}

fn set_scheme(headers: &mut Headers, options: &HttpConnectionManager) {
    if let Some(scheme) = &options.scheme_header_transformation.scheme_to_overwrite {
        headers.set(Known::Scheme, scheme.as_bytes());
        headers.set(Known::XForwardedProto, scheme.as_bytes());
        return;
    }
    if !headers.contains(Known::Scheme) {
        let https =
            headers.get(Known::XForwardedProto).is_some_and(|proto| proto.eq_ignore_ascii_case(b"https"));
        headers.append(Known::Scheme, if https { b"https" } else { b"http" });
    }
}

fn set_request_id(headers: &mut Headers, options: &RequestIds, edge: bool, make: impl FnOnce() -> [u8; 36]) {
    if !options.generate_request_id {
        return;
    }
    let replace = edge && !options.preserve_external_request_id;
    match headers.get(Known::XRequestId) {
        Some(id) if !id.is_empty() && !replace => {
            if edge && options.extension.pack_trace_reason {
                forget_trace_reason(headers);
            }
        }
        _ => headers.set(Known::XRequestId, &make()),
    }
}

/// What an outsider says of why its request is traced is not believed: its id becomes that of no traced one.
fn forget_trace_reason(headers: &mut Headers) {
    /// The digit that tells the reason: 4, as in every random UUID, where there is none.
    const REASON: usize = 14;
    let Some(id) = headers.get(Known::XRequestId) else { return };
    if id.len() == 36 && id[REASON] != b'4' {
        let mut id = id.to_vec();
        id[REASON] = b'4';
        headers.set(Known::XRequestId, &id);
    }
}

/// Adds this proxy's name to `via`.
pub(super) fn append_via(headers: &mut Headers, options: &HttpConnectionManager) {
    if options.via.is_empty() {
        return;
    }
    match headers.get(Known::Via) {
        None => headers.append(Known::Via, options.via.as_bytes()),
        Some(value) => {
            let joined = [value, b", ", options.via.as_bytes()].concat();
            headers.set(Known::Via, &joined);
        }
    }
}

fn remove_all(headers: &mut Headers, names: &[Known]) {
    for name in names {
        headers.remove(*name);
    }
}
