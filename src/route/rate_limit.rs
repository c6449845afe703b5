//! Descriptors of a request, by which filters look up its limits: `envoy.config.route.v3.RateLimit`.
//!
//! Pure: everything that a descriptor can tell is handed in with [`Asked`].

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;
use smallvec::SmallVec;

use super::matcher::split_query;
use crate::base::headers::Known;
use crate::base::percent;
use crate::config::bootstrap::DESCRIPTOR_FORMATS;
use crate::config::cel::Expression;
use crate::config::format::Format;
use crate::config::match_tree::{Given, Subject};
use crate::config::matcher::{CidrRange, QueryParameterMatcher, QueryParameterTest};
use crate::config::route::{
    DescriptorValue, Hits, HitsAddend, Label, MetadataPath, MetadataSource, RateLimit,
    RateLimitAction as Action, RateLimitOverride, VhRateLimits, XRateLimitOption,
};
use crate::config::runtime::Values;
use crate::observability::attributes::StreamAttributes;
use crate::observability::format::{self, Absent, Context};

/// The most that a request counts for.
const MAX_HITS_ADDEND: f64 = 1_000_000_000.0;

/// By what a request is limited, as its route has it.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits<'t> {
    /// What the route says.
    pub of_route: &'t [RateLimit],
    /// What its virtual host says.
    pub of_virtual_host: &'t [RateLimit],
    /// Whether the virtual host's count in any case.
    pub include_virtual_host: bool,
}

impl<'t> RateLimits<'t> {
    /// Those of a stage, the route's first.
    pub fn of_stage(self, stage: u32, vh_rate_limits: VhRateLimits) -> impl Iterator<Item = &'t RateLimit> {
        let included = match vh_rate_limits {
            _ if self.include_virtual_host => true,
            VhRateLimits::Include => true,
            VhRateLimits::Override => self.of_route.is_empty(),
            VhRateLimits::Ignore => false,
        };
        let of_virtual_host = if included { self.of_virtual_host } else { &[] };
        self.of_route.iter().chain(of_virtual_host).filter(move |limit| limit.stage == stage)
    }
}

/// What descriptors can tell of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request and what is known of it.
    pub context: Context<'a>,
    /// The request and the ends of its connection.
    pub subject: Subject<'a>,
    /// The cluster that the proxy belongs to.
    pub source_cluster: &'a str,
    /// The runtime's values.
    pub runtime: &'a Values,
}

/// What limits are looked up by.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor<'a> {
    /// In the order of the actions.
    pub entries: SmallVec<[Entry<'a>; 2]>,
    /// What the request counts for, where the rate limit says something of it; else one.
    pub hits: Option<u64>,
    /// Whether it is given back instead of taken.
    pub gives_back: bool,
    /// The limit that holds in place of what the service has.
    pub limit: Option<LimitOverride<'a>>,
    /// Whether the response tells of the limit.
    pub x_ratelimit_option: XRateLimitOption,
}

/// A limit in place of what a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverride<'a> {
    /// How many requests in a unit of time.
    pub requests_per_unit: u32,
    /// The name of the unit: `envoy.type.v3.RateLimitUnit`.
    pub unit: &'a str,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: Cow<'a, [u8]>,
}

/// The descriptor that a rate limit makes; `None` where one of its actions finds nothing to add.
pub fn descriptor<'a>(limit: &'a RateLimit, asked: &Asked<'a>) -> Option<Descriptor<'a>> {
    let mut entries = SmallVec::new();
    for action in &limit.actions {
        match asked.entry(action) {
            Added::Entry(entry) => entries.push(entry),
            Added::Nothing => {}
            Added::NoDescriptor => return None,
        }
    }
    let (hits, gives_back) = match &limit.hits_addend {
        None => (None, false),
        Some(HitsAddend { hits: Hits::Number(number), gives_back }) => (Some(*number), *gives_back),
        Some(HitsAddend { hits: Hits::Format(format), gives_back }) => {
            (Some(asked.number(format)?), *gives_back)
        }
    };
    let x_ratelimit_option = limit.x_ratelimit_option;
    let limit = limit.limit.as_ref().and_then(|limit| asked.limit(limit));
    Some(Descriptor { entries, hits, gives_back, limit, x_ratelimit_option })
}

/// What an action adds.
enum Added<'a> {
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
    fn entry(&self, action: &'a Action) -> Added<'a> {
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
    fn number(&self, format: &Format) -> Option<u64> {
        let shown = self.render(format);
        let number: f64 = std::str::from_utf8(&shown).ok()?.trim().parse().ok()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
        (0.0..=MAX_HITS_ADDEND).contains(&number).then_some(number as u64)
    }

    /// The limit that is configured, or that the request's metadata holds.
    fn limit(&self, limit: &'a RateLimitOverride) -> Option<LimitOverride<'a>> {
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
            MetadataSource::Cluster => info.upstream.as_ref()?.cluster.metadata.as_ref()?.find(name)?,
        };
        path.follow(whole)
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

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::{Instant, SystemTime};

    use serde_json::json;

    use super::super::testing::request;
    use super::*;
    use crate::base::headers::Headers;
    use crate::config::match_tree::Peers;
    use crate::config::route::Segment;
    use crate::observability::stream_info::{Address, ConnectionInfo, StreamInfo};

    fn info() -> StreamInfo {
        let address = || Address::Pipe("".into());
        let connection = Rc::new(ConnectionInfo::new(1, address(), address()));
        StreamInfo::new(Instant::now(), SystemTime::UNIX_EPOCH, connection)
    }

    fn shown(actions: Vec<Action>, headers: &Headers, info: &StreamInfo, source: &str) -> Option<String> {
        let limit = RateLimit {
            stage: 0,
            disable_key: String::new(),
            actions,
            hits_addend: None,
            limit: None,
            apply_on_stream_done: false,
            x_ratelimit_option: XRateLimitOption::Unspecified,
        };
        let (empty, runtime) = (Headers::new(), Values::default());
        let source = source.parse().ok();
        let asked = Asked {
            context: Context::new(info, headers, &empty),
            subject: Subject {
                peers: Peers { source, ..Peers::default() },
                ..Subject::of_headers(headers, &runtime)
            },
            source_cluster: "here",
            runtime: &runtime,
        };
        let entry = |entry: &Entry<'_>| format!("{}={}", entry.key, String::from_utf8_lossy(&entry.value));
        let descriptor = descriptor(&limit, &asked)?;
        Some(descriptor.entries.iter().map(entry).collect::<Vec<_>>().join(" "))
    }

    fn header(name: &str, skip_if_absent: bool) -> Action {
        Action::RequestHeader { name: name.into(), key: "h".into(), skip_if_absent }
    }

    fn generic(text: &str) -> Action {
        let format = Format::parse(text).ok().filter(|format| format.as_literal().is_none());
        let value =
            DescriptorValue { text: text.into(), format, by_runtime: true, default_value: String::new() };
        Action::GenericKey(Label { key: "generic_key".into(), value })
    }

    #[test]
    fn without_one_of_its_parts_there_is_no_descriptor_unless_that_may_be_absent() {
        let mut headers = request("h", "/");
        headers.append_received(b"a", b"1");
        headers.append_received(b"a", b"2");
        let check = |actions, expected: Option<&str>| {
            assert_eq!(shown(actions, &headers, &info(), "").as_deref(), expected);
        };
        check(vec![header("a", false), Action::SourceCluster], Some("h=1 source_cluster=here"));
        check(vec![header("b", false), Action::SourceCluster], None);
        check(vec![header("b", true), Action::SourceCluster], Some("source_cluster=here"));
        check(vec![header("b", true)], Some(""));
        check(vec![Action::RemoteAddress], None);
        check(vec![Action::DestinationCluster], None);
    }

    #[test]
    fn query_parameters_are_decoded() {
        let headers = request("h", "/?%61=1%202&a=3&b");
        let parameter =
            |name: &str| Action::QueryParameter { name: name.into(), key: "q".into(), skip_if_absent: false };
        for (name, expected) in [("a", Some("q=1 2")), ("b", Some("q=")), ("c", None)] {
            assert_eq!(shown(vec![parameter(name)], &headers, &info(), "").as_deref(), expected);
        }
    }

    #[test]
    fn addresses_are_masked() {
        let masked = Action::MaskedRemoteAddress { v4: 24, v6: 64 };
        for (source, expected) in [
            ("10.1.2.3:80", "remote_address=10.1.2.3 masked_remote_address=10.1.2.0/24"),
            ("[2001:db8::1:2]:80", "remote_address=2001:db8::1:2 masked_remote_address=2001:db8::/64"),
        ] {
            let actions = vec![Action::RemoteAddress, masked.clone()];
            assert_eq!(shown(actions, &request("h", "/"), &info(), source).as_deref(), Some(expected));
        }
    }

    #[test]
    fn metadata_counts_where_it_is_a_text() {
        let mut info = info();
        info.notes_mut().merge_metadata("m", &json!({"text": "t", "number": 1, "empty": ""}));
        let metadata = |key: &str, default_value: Option<&str>| Action::Metadata {
            source: MetadataSource::Dynamic,
            path: MetadataPath { name: "m".into(), segments: vec![Segment::Key(key.into())] },
            key: "k".into(),
            default_value: default_value.map(str::to_owned),
            skip_if_absent: false,
        };
        for (key, default_value, expected) in [
            ("text", None, Some("k=t")),
            ("number", None, None),
            ("number", Some("d"), Some("k=d")),
            ("empty", Some("d"), Some("k=d")),
            ("missing", None, None),
        ] {
            let actions = vec![metadata(key, default_value)];
            assert_eq!(shown(actions, &request("h", "/"), &info, "").as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn a_format_is_a_text_unless_the_runtime_says_otherwise() {
        let shown = shown(vec![generic("%REQ(:method)%")], &request("h", "/"), &info(), "");
        assert_eq!(shown.as_deref(), Some("generic_key=%REQ(:method)%"));
    }
}
