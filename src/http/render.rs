//! What format strings can tell of a request: in headers and in access logs.

use std::sync::OnceLock;

use crate::base::headers::Headers;
use crate::config::format::Format;
use crate::observability::format::{self, Absent, Context, LogType};
use crate::observability::stream_info::StreamInfo;

/// What is known of a stream whose headers are these.
pub(super) fn context<'a>(info: &'a StreamInfo, request: &'a Headers, response: &'a Headers) -> Context<'a> {
    Context {
        info,
        request,
        response,
        response_trailers: no_headers(),
        local_reply_body: &[],
        log_type: LogType::NotSet,
    }
}

/// Renders a header's value: what is not there leaves nothing.
pub(super) fn render(
    info: &StreamInfo,
    request: &Headers,
    response: &Headers,
    format: &Format,
    out: &mut Vec<u8>,
) {
    format::render(format, &context(info, request, response), Absent::Omit, out);
}

/// The headers of what is not there.
pub(super) fn no_headers() -> &'static Headers {
    static NONE: OnceLock<Headers> = OnceLock::new();
    NONE.get_or_init(Headers::new)
}
