//! What the actions of a rate limit add to its descriptor.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;

use super::{Asked, Entry, LimitOverride};
use crate::base::headers::{Known, cookie};
use crate::base::percent;
use crate::config::bootstrap::DESCRIPTOR_FORMATS;
use crate::config::cel::Expression;
use crate::config::format::Format;
use crate::config::match_tree::Given;
use crate::config::matcher::{CidrRange, QueryParameterMatcher, QueryParameterTest};
use crate::config::route::{
    DescriptorValue, Label, MetadataPath, MetadataSource, RateLimitAction as Action, RateLimitOverride,
    TokenSource,
};
use crate::observability::attributes::StreamAttributes;
use crate::observability::format::{self, Absent};
use crate::route::matcher::split_query;

use super::token;

/// The most that a request counts for.
const MAX_HITS_ADDEND: f64 = 1_000_000_000.0;

/// What an action adds.
pub(super) enum Added<'a> {
    Entry(Entry<'a>),
    Nothing,
    /// Without it there is no descriptor.
    NoDescriptor,
}

impl<'a> Added<'a> {
    fn new(key: &'a str, value: Option<Cow<'a, [u8]>>, skip_if_absent: bool) -> Self {
        match value {
            Some(value) => Added::Entry(Entry { key, value }),
            None if skip_if_absent => Added::Nothing,
            None => Added::NoDescriptor,
        }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn entry(&self, action: &'a Action) -> Added<'a> {
        let text = |text: String| Cow::Owned(text.into_bytes());
        let (key, value) = match action {
            Action::SourceCluster => ("source_cluster", Some(Cow::Borrowed(self.source_cluster.as_bytes()))),
            Action::DestinationCluster => ("destination_cluster", self.destination()),
            Action::RequestHeader { name, key, skip_if_absent } => {
                let value = self.context.request.get_by_name(name.as_bytes()).map(Cow::Borrowed);
                return Added::new(key, value, *skip_if_absent);
            }
            Action::QueryParameter { name, key, skip_if_absent } => {
                let value = decoded_parameter(self.query(), name.as_bytes()).map(Cow::Owned);
                return Added::new(key, value, *skip_if_absent);
            }
            Action::RemoteAddress => {
                ("remote_address", self.remote().map(|address| text(address.to_string())))
            }
            Action::MaskedRemoteAddress { v4, v6 } => {
                let masked = self.remote().map(|address| {
                    let bits = if address.is_ipv4() { *v4 } else { *v6 };
                    text(format!("{}/{bits}", CidrRange::of(address, bits).address))
                });
                ("masked_remote_address", masked)
            }
            Action::GenericKey(label) => return self.label(label, true),
            Action::HeaderValueMatch(label, expected, headers) => {
                let matches = headers.iter().all(|header| header.matches(self.context.request));
                return self.label(label, matches == *expected);
            }
            Action::QueryParameterValueMatch(label, expected, parameters) => {
                let query = self.query();
                let matches = parameters.iter().all(|parameter| parameter_matches(parameter, query));
                return self.label(label, matches == *expected);
            }
            Action::RemoteAddressMatch(label, expected, ranges) => {
                let Some(address) = self.remote() else { return Added::NoDescriptor };
                let matches = ranges.iter().any(|range| range.contains(address));
                return self.label(label, matches == *expected);
            }
            Action::Metadata { source, path, key, default_value, skip_if_absent } => {
                let value = self.metadata(*source, path).or(default_value.as_deref());
                let value = value.map(|value| Cow::Borrowed(value.as_bytes()));
                return Added::new(key, value, *skip_if_absent);
            }
            Action::Expression { key, expression, skip_if_error } => {
                return Added::new(key, self.expression(expression).map(Cow::Owned), *skip_if_error);
            }
            Action::JwtClaim { key, source, prefix, claim, default_value, skip_if_absent } => {
                let text = self.token(source, prefix).and_then(|token| token::claim(token, claim));
                let value = text.map(|text| Cow::Owned(text.into_bytes()));
                let value = value.or(default_value.as_ref().map(|text| Cow::Borrowed(text.as_bytes())));
                return Added::new(key, value, *skip_if_absent);
            }
            Action::Input { key, input } => match input.value(&self.subject) {
                // As in Envoy a value that is empty adds nothing.
                Given::Text(value) if value.is_empty() => return Added::Nothing,
                Given::Text(value) => (key.as_str(), Some(value)),
                // As in Envoy what is no text counts as absent.
                Given::Metadata(_) | Given::Attributes | Given::Nothing | Given::NotYet => {
                    return Added::NoDescriptor;
                }
            },
        };
        Added::new(key, value, false)
    }

    fn label(&self, label: &'a Label, applies: bool) -> Added<'a> {
        let value = applies.then(|| self.value(&label.value)).flatten();
        Added::new(&label.key, value, false)
    }

    /// What is configured, or what it shows as a format.
    fn value(&self, value: &'a DescriptorValue) -> Option<Cow<'a, [u8]>> {
        let DescriptorValue { text, format, by_runtime, default_value } = value;
        let format =
            format.as_ref().filter(|_| !by_runtime || self.runtime.boolean(DESCRIPTOR_FORMATS, false));
        let Some(format) = format else { return Some(Cow::Borrowed(text.as_bytes())) };
        let shown = self.render(format);
        match (shown.is_empty(), default_value.is_empty()) {
            (false, _) => Some(Cow::Owned(shown)),
            (true, false) => Some(Cow::Borrowed(default_value.as_bytes())),
            (true, true) => None,
        }
    }

    fn render(&self, format: &Format) -> Vec<u8> {
        let mut shown = Vec::new();
        format::render(format, &self.context, Absent::Omit, &mut shown);
        shown
    }

    /// What a command shows, where that is a number that a request can count for.
    pub(super) fn number(&self, format: &Format) -> Option<u64> {
        let shown = self.render(format);
        let number: f64 = std::str::from_utf8(&shown).ok()?.trim().parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
        (0.0..=MAX_HITS_ADDEND).contains(&number).then_some(number as u64)
    }

    /// The limit that is configured, or that the request's metadata holds.
    pub(super) fn limit(&self, limit: &'a RateLimitOverride) -> Option<LimitOverride<'a>> {
        let path = match limit {
            RateLimitOverride::Metadata(path) => path,
            RateLimitOverride::Fixed { requests_per_unit, unit } => {
                return Some(LimitOverride { requests_per_unit: *requests_per_unit, unit });
            }
        };
        let fields = self.metadata_of(MetadataSource::Dynamic, path)?.as_object()?;
        let requests = fields.get("requests_per_unit")?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let requests_per_unit = requests as u32;
        Some(LimitOverride { requests_per_unit, unit: fields.get("unit")?.as_str()? })
    }

    fn remote(&self) -> Option<IpAddr> {
        self.subject.peers.source.map(|address| address.ip())
    }

    fn destination(&self) -> Option<Cow<'a, [u8]>> {
        let upstream = self.context.info.upstream.as_ref()?;
        Some(Cow::Borrowed(upstream.cluster.name.as_bytes()))
    }

    fn query(&self) -> &'a [u8] {
        split_query(self.context.request.get(Known::Path).unwrap_or_default()).1
    }

    /// A text that is not empty.
    fn metadata(&self, source: MetadataSource, path: &MetadataPath) -> Option<&'a str> {
        match self.metadata_of(source, path)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn metadata_of(&self, source: MetadataSource, path: &MetadataPath) -> Option<&'a Value> {
        let info = self.context.info;
        let name = std::slice::from_ref(&path.name);
        let whole = match source {
            MetadataSource::Dynamic => info.notes()?.metadata(name)?,
            MetadataSource::Route => info.route_metadata.as_ref()?.find(name)?,
            MetadataSource::Locality => info.upstream.as_ref()?.locality_metadata.as_ref()?.find(name)?,
            MetadataSource::Cluster => info.upstream.as_ref()?.cluster.metadata.as_ref()?.find(name)?,
        };
        path.follow(whole)
    }

    /// The token behind a prefix in a header or in a cookie.
    fn token(&self, source: &TokenSource, prefix: &str) -> Option<&[u8]> {
        let request = self.context.request;
        let value = match source {
            TokenSource::Header(name) => request.get_by_name(name.as_bytes()),
            TokenSource::Cookie(name) => cookie(request, name.as_bytes()),
        };
        value?.strip_prefix(prefix.as_bytes())
    }

    /// What an expression gives, as a text.
    fn expression(&self, expression: &Expression) -> Option<Vec<u8>> {
        let attributes = StreamAttributes::of(&self.context);
        let mut text = Vec::new();
        expression.evaluate(&attributes).ok()?.print(&mut text);
        Some(text)
    }
}

/// The value of a query parameter, of several the first; names and values are decoded.
fn decoded_parameter(query: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    query.split(|byte| *byte == b'&').find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=');
        let (known, value) = match at {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &[][..]),
        };
        decoded.clear();
        percent::decode(known, &mut decoded);
        (decoded == name).then(|| {
            let mut decoded = Vec::new();
            percent::decode(value, &mut decoded);
            decoded
        })
    })
}

fn parameter_matches(parameter: &QueryParameterMatcher, query: &[u8]) -> bool {
    let value = decoded_parameter(query, parameter.name.as_bytes());
    match &parameter.test {
        QueryParameterTest::Present(present) => value.is_some() == *present,
        QueryParameterTest::String(matcher) => value.is_some_and(|value| matcher.matches(&value)),
    }
}
