//! What the connection manager's `local_reply_config` makes of an answer of the proxy's own.

use bytes::Bytes;

use crate::base::headers::{Headers, Known};
use crate::config::format::{BodyFormat, SubstitutionFormat};
use crate::config::http_connection_manager::{LocalReplyConfig, ResponseMapper};
use crate::config::runtime::Draw;
use crate::http::downstream::Downstream;
use crate::http::render::render;
use crate::http::worker::HeaderPair;
use crate::observability::access_log::passes;
use crate::observability::format::{Context, render_substitution};
use crate::observability::stream_info::StreamInfo;
use crate::route::mutation;

use super::Exchange;

/// The type of a body that nothing else is said of.
const TEXT: &str = "text/plain";

/// Status and body of an answer, as far as they are decided.
#[derive(Debug)]
pub(super) struct Draft<'m> {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// The type of `body`.
    pub(super) content_type: &'m str,
    /// Whether `body` is another than it was at first.
    pub(super) body_changed: bool,
    /// Whether a mapper has set `content-type` itself.
    pub(super) has_own_type: bool,
}

impl Draft<'_> {
    pub(super) fn new(status: u16, body: Bytes) -> Self {
        Draft { status, body, content_type: TEXT, body_changed: false, has_own_type: false }
    }
}

impl<D: Downstream> Exchange<'_, D> {
    /// Changes the answer as configured. Its headers are there, without what tells of its body.
    pub(super) fn map_reply<'m>(&mut self, config: &'m LocalReplyConfig, draft: &mut Draft<'m>) {
        let before = draft.body.clone();
        let worker = &self.connection.worker;
        let snapshot = worker.snapshot();
        let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
        let HeaderPair { request, response } = &mut *self.headers;
        let mapper = config
            .mappers
            .iter()
            .find(|mapper| passes(&mapper.filter, &Context::new(&self.info, request, response), draw));
        if let Some(mapper) = mapper {
            apply(mapper, &mut self.info, request, response, draft);
        }
        let own_format = mapper.and_then(|mapper| mapper.body_format.as_ref());
        if let Some(format) = own_format.or(config.body_format.as_ref()) {
            let mut body = Vec::new();
            let context =
                Context { local_reply_body: &draft.body, ..Context::new(&self.info, request, response) };
            render_substitution(&format.format, &context, &mut body);
            draft.body = Bytes::from(body);
            draft.content_type = content_type(format).unwrap_or(TEXT);
        }
        draft.body_changed = draft.body != before;
    }

    /// The body of a direct response that has a format, and its type if one is to be told.
    pub(super) fn format_body(&self, format: &BodyFormat, body: &[u8]) -> (Bytes, Option<String>) {
        let HeaderPair { request, response } = &*self.headers;
        let context = Context { local_reply_body: body, ..Context::new(&self.info, request, response) };
        let mut formatted = Vec::new();
        render_substitution(&format.format, &context, &mut formatted);
        (Bytes::from(formatted), content_type(format).map(str::to_owned))
    }
}

/// Body, headers and status, in Envoy's order: the headers see the old status.
fn apply(
    mapper: &ResponseMapper,
    info: &mut StreamInfo,
    request: &Headers,
    response: &mut Headers,
    draft: &mut Draft<'_>,
) {
    if let Some(body) = &mapper.body {
        draft.body = body.clone();
    }
    let type_before = response.get(Known::ContentType).map(|value| value.to_vec());
    mutation::add_to_response(response, &mapper.headers_to_add, &mut |format, response, out| {
        render(info, request, response, format, out);
    });
    draft.has_own_type = response.get(Known::ContentType) != type_before.as_deref();
    if let Some(status) = mapper.status_code {
        draft.status = status;
        info.response_code = status;
        response.set(Known::Status, itoa::Buffer::new().format(status).as_bytes());
    }
}

/// The type of what a format makes, where it is not the usual one.
fn content_type(format: &BodyFormat) -> Option<&str> {
    match (&format.format, format.content_type.as_str()) {
        (SubstitutionFormat::Json(_), "") => Some("application/json"),
        (SubstitutionFormat::Text { .. }, "") => None,
        (_, configured) => Some(configured),
    }
}
