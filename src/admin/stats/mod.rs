//! `/stats` and `/stats/prometheus`.

mod histogram;
mod json;
mod number;
mod params;
mod prometheus;
mod text;

use super::{Reply, Request};
use params::{Format, Params};

/// Bytes of a piece of the answer.
const PIECE: usize = 64 * 1024;

/// `/stats`: in text, JSON or Prometheus' format.
pub(super) fn stats(request: &Request<'_>) -> Reply {
    match Params::parse(&request.query) {
        Ok(params) => match params.format {
            Format::Text => Reply::text_pieces(text::Pieces::new(request.admin.registry.clone(), params)),
            Format::Json => Reply::json_pieces(json::Pieces::new(request.admin.registry.clone(), params)),
            Format::Prometheus => prometheus_reply(request, params),
        },
        Err(error) => Reply::text(400, error),
    }
}

/// `/stats/prometheus`
pub(super) fn prometheus(request: &Request<'_>) -> Reply {
    match Params::parse(&request.query) {
        Ok(params) => prometheus_reply(request, params),
        Err(error) => Reply::text(400, error),
    }
}

fn prometheus_reply(request: &Request<'_>, params: Params) -> Reply {
    Reply::text_pieces(prometheus::Pieces::new(&request.admin.registry, params))
}
