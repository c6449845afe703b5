//! `/stats` and `/stats/prometheus`.

mod histogram;
mod json;
mod number;
mod params;
mod prometheus;
mod text;

use std::iter::once;

use bytes::Bytes;

use super::{Reply, Request};
use params::{Buckets, Format, Params};

/// Bytes of a piece of the answer.
const PIECE: usize = 64 * 1024;

/// `/stats`: in text, JSON or Prometheus' format.
pub(super) fn stats(request: &Request<'_>) -> Reply {
    merge_histograms(request);
    match Params::parse(&request.query, None) {
        Ok(params) => match params.format {
            Format::Text => Reply::text_pieces(text::Pieces::new(request.admin.registry.clone(), params)),
            Format::Html => {
                Reply::html_pieces(page(text::Pieces::new(request.admin.registry.clone(), params)))
            }
            Format::Json => Reply::json_pieces(json::Pieces::new(request.admin.registry.clone(), params)),
            Format::Prometheus => prometheus_reply(request, params),
        },
        Err(error) => Reply::text(400, error),
    }
}

/// `/stats/prometheus`
pub(super) fn prometheus(request: &Request<'_>) -> Reply {
    merge_histograms(request);
    match Params::parse(&request.query, Some(Format::Prometheus)) {
        Ok(params) => prometheus_reply(request, params),
        Err(error) => Reply::text(400, error),
    }
}

/// Where no interval does it.
fn merge_histograms(request: &Request<'_>) {
    if request.admin.merges_histograms {
        request.admin.registry.latch_histograms();
    }
}

/// The lines in a page. Envoy's has a form and scripts, too.
fn page(lines: text::Pieces) -> impl Iterator<Item = Bytes> {
    let start =
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n  <title>Envoy Admin</title>\n</head>\n<body>\n  <pre>\n";
    let escaped = |piece: Bytes| {
        let text = String::from_utf8_lossy(&piece);
        Bytes::from(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
    };
    let end = "  </pre>\n</body>\n</html>\n";
    once(Bytes::from(start)).chain(lines.map(escaped)).chain(once(Bytes::from(end)))
}

fn prometheus_reply(request: &Request<'_>, params: Params) -> Reply {
    match params.buckets {
        Buckets::Detailed | Buckets::Disjoint => {
            return Reply::text(400, "unsupported prometheus histogram bucket mode");
        }
        Buckets::Native => {
            let text =
                "unsupported prometheusnative histogram type when not using protobuf exposition format";
            return Reply::text(400, text);
        }
        Buckets::Unset | Buckets::Summary | Buckets::Cumulative => {}
    }
    Reply::text_pieces(prometheus::Pieces::new(&request.admin.registry, params))
}
