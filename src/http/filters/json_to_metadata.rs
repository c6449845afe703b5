//! Dynamic metadata from JSON bodies: `envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata`.
//!
//! A body that rules look at is held until all of it is there. What a route says takes the place of what the chain
//! says.

mod rule;

use std::borrow::Cow;

use envoy_types::pb::envoy::extensions::filters::http::json_to_metadata::v3;
use serde_json::Value;
use v3::json_to_metadata::MatchRules;

use crate::base::headers::{Headers, Known};
use crate::config::extension::{Extension, PerRoute};
use crate::config::field::{Scope, open};
use crate::config::matcher::Regex;
use crate::http::exchange::Held;
use crate::http::filter::{self, Context, HttpFilter, Step, Stream};
use crate::observability::stats::http::JsonToMetadataStats;
use crate::observability::stream_info::StreamInfo;

use super::read;
use rule::{Noted, Rule};

/// Full name of the message, which chains and routes share.
const TYPE_NAME: &str = "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata";

/// The type of bodies that rules look at where none is configured.
const JSON: &str = "application/json";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.json_to_metadata",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| read(bytes, at, Config::from_proto),
    per_route: Some(PerRoute { type_name: TYPE_NAME, parse: |bytes, at| read(bytes, at, Config::for_route) }),
};

/// `JsonToMetadata`: the rules of each direction, if any.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    request: Option<Rules>,
    response: Option<Rules>,
}

/// `MatchRules`
#[derive(Clone, Debug, PartialEq)]
struct Rules {
    rules: Vec<Rule>,
    content_types: Vec<String>,
    content_type_regex: Option<Regex>,
    /// Whether a body without a type is looked at.
    allow_empty: bool,
}

impl Config {
    fn from_proto(message: v3::JsonToMetadata, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::JsonToMetadata = message; implemented { request_rules, response_rules } }
        Some(Config {
            request: at.message("request_rules", request_rules, Rules::from_proto),
            response: at.message("response_rules", response_rules, Rules::from_proto),
        })
    }

    /// What a route says.
    fn for_route(message: v3::JsonToMetadata, at: &mut Scope<'_>) -> Option<Self> {
        if message.request_rules.is_none() && message.response_rules.is_none() {
            at.error(
                "json_to_metadata_filter: Per route configs must at least specify one of request_rules or \
                 response_rules.",
            );
        }
        Config::from_proto(message, at)
    }
}

impl Rules {
    fn from_proto(message: MatchRules, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, MatchRules = message;
            implemented { rules, allow_content_types, allow_empty_content_type, allow_content_types_regex }
        }
        if rules.is_empty() {
            at.field("rules").violation("value must contain at least 1 item(s)");
        }
        let content_types =
            if allow_content_types.is_empty() { vec![JSON.to_owned()] } else { allow_content_types };
        Some(Rules {
            rules: at.list("rules", rules, Rule::from_proto),
            content_types,
            content_type_regex: at.message("allow_content_types_regex", allow_content_types_regex, |regex, at| {
                Regex::from_proto(regex, at)
            }),
            allow_empty: allow_empty_content_type,
        })
    }

    /// Whether a body of this message's type is looked at.
    fn allow(&self, headers: &Headers) -> bool {
        let kind = headers.get(Known::ContentType).unwrap_or_default();
        if kind.is_empty() {
            return self.allow_empty;
        }
        self.content_types.iter().any(|known| known.as_bytes() == kind)
            || self.content_type_regex.as_ref().is_some_and(|regex| regex.matches_fully(kind))
    }

    /// What becomes of a message whose headers are these; true if its body is needed.
    fn begin(&self, headers: &Headers, bodiless: bool, noted: &mut Noted, stats: &JsonToMetadataStats) -> bool {
        if !self.allow(headers) {
            stats.mismatched_content_type().inc();
            self.rules.iter().for_each(|rule| rule.error(noted));
        } else if bodiless {
            stats.no_body().inc();
            self.rules.iter().for_each(|rule| rule.missing(noted));
        } else {
            return true;
        }
        false
    }

    /// What becomes of a message with this body.
    fn finish(&self, body: &[u8], noted: &mut Noted, stats: &JsonToMetadataStats) {
        if body.is_empty() {
            stats.no_body().inc();
            return self.rules.iter().for_each(|rule| rule.missing(noted));
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) if rule::fits(&value) => {
                stats.success().inc();
                self.rules.iter().for_each(|rule| rule.apply(&value, noted));
            }
            _ => {
                stats.invalid_json_body().inc();
                self.rules.iter().for_each(|rule| rule.error(noted));
            }
        }
    }
}

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    name: Box<str>,
    config: Config,
    request_stats: JsonToMetadataStats,
    response_stats: JsonToMetadataStats,
    /// Bytes of a body that are held.
    limit: u64,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        Factory {
            name: context.name.into(),
            config: config.clone(),
            request_stats: JsonToMetadataStats::new(context.registry, "json_to_metadata.rq."),
            response_stats: JsonToMetadataStats::new(context.registry, "json_to_metadata.resp."),
            limit: context.buffer_limit,
        }
    }

    fn config<'s>(&'s self, stream: &Stream<'s>) -> &'s Config {
        stream.route_config(&self.name).unwrap_or(&self.config)
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::JsonToMetadata(Filter(self))
    }
}

/// The filter for one request; it keeps nothing.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Some(rules) = &self.0.config(stream).request else { return Step::Continue };
        let mut noted = Noted::default();
        if rules.begin(stream.request, stream.bodiless, &mut noted, &self.0.request_stats) {
            return Step::Hold(self.0.limit);
        }
        note_of_request(noted, stream.info);
        Step::Continue
    }

    fn request_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
        if let Some(rules) = &self.0.config(stream).request {
            let mut noted = Noted::default();
            rules.finish(&whole(body), &mut noted, &self.0.request_stats);
            note_of_request(noted, stream.info);
        }
        Step::Continue
    }

    fn response_headers<'a>(&'a mut self, stream: &'a mut Stream<'_>) -> Step<'a> {
        let Some(rules) = &self.0.config(stream).response else { return Step::Continue };
        let mut noted = Noted::default();
        if rules.begin(stream.response, stream.bodiless, &mut noted, &self.0.response_stats) {
            return Step::Hold(self.0.limit);
        }
        noted.note(stream.info);
        Step::Continue
    }

    fn response_body<'a>(&'a mut self, stream: &'a mut Stream<'_>, body: &'a mut Held) -> Step<'a> {
        if let Some(rules) = &self.0.config(stream).response {
            let mut noted = Noted::default();
            rules.finish(&whole(body), &mut noted, &self.0.response_stats);
            noted.note(stream.info);
        }
        Step::Continue
    }
}

/// What is noted of a request may lead to another route.
fn note_of_request(noted: Noted, info: &mut StreamInfo) {
    if noted.note(info) {
        info.notes_mut().clear_route();
    }
}

/// A body in one piece, which it usually is.
fn whole(body: &Held) -> Cow<'_, [u8]> {
    let mut pieces = body.data();
    match (pieces.next(), pieces.next()) {
        (None, _) => Cow::Borrowed(&[]),
        (Some(only), None) => Cow::Borrowed(only),
        (Some(_), Some(_)) => Cow::Owned(body.data().flat_map(|piece| piece.iter().copied()).collect()),
    }
}
