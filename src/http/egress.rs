//! What is done to a response's headers before they go out.

use std::time::SystemTime;

use crate::base::headers::{Headers, Known};
use crate::config::HttpConnectionManager;
use crate::config::http_connection_manager::ServerHeaderTransformation;

use super::date::DateCache;
use super::ingress::append_via;

/// Changes a response's headers as `ConnectionManagerUtility::mutateResponseHeaders` and the encoding of headers
/// around it do.
pub(super) fn finish(
    response: &mut Headers,
    request: &Headers,
    options: &HttpConnectionManager,
    date: &DateCache,
    upgrade: bool,
) {
    if !response.contains(Known::Date) {
        date.with(SystemTime::now(), |value| response.append(Known::Date, value));
    }
    let overwrite = match options.server_header_transformation {
        ServerHeaderTransformation::Overwrite => true,
        ServerHeaderTransformation::AppendIfAbsent => !response.contains(Known::Server),
        ServerHeaderTransformation::PassThrough => false,
    };
    if overwrite {
        response.set(Known::Server, options.server_name.as_bytes());
    }
    if !upgrade {
        response.remove(Known::Connection);
        response.remove(Known::Upgrade);
    }
    response.remove(Known::TransferEncoding);
    response.remove(Known::ProxyConnection);
    if (options.request_ids.always_set_request_id_in_response || request.contains(Known::XEnvoyForceTrace))
        && let Some(id) = request.get(Known::XRequestId)
    {
        response.set(Known::XRequestId, id);
    }
    append_via(response, options);
}
