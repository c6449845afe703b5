//! What format strings can tell of a request: in headers and in access logs.

use crate::base::headers::Headers;
use crate::config::format::Format;
use crate::observability::format::{self, Absent, Context};
use crate::observability::stream_info::StreamInfo;

/// Renders a header's value: what is not there leaves nothing.
pub(super) fn render(
    info: &StreamInfo,
    request: &Headers,
    response: &Headers,
    format: &Format,
    out: &mut Vec<u8>,
) {
    format::render(format, &Context::new(info, request, response), Absent::Omit, out);
}

/// The same where what is not there leaves a dash.
pub(super) fn render_or_dash(
    info: &StreamInfo,
    request: &Headers,
    response: &Headers,
    format: &Format,
    out: &mut Vec<u8>,
) {
    format::render(format, &Context::new(info, request, response), Absent::Dash, out);
}
