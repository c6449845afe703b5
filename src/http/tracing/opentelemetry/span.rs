//! One span: from the request that begins it to the message that tells of it.

use std::borrow::Cow;
use std::rc::Rc;

use envoy_types::pb::opentelemetry::proto::common::v1::KeyValue;
use envoy_types::pb::opentelemetry::proto::common::v1::any_value::Value;

use super::context::{SpanId, TraceContext, TraceId};
use super::message::{self, Event, Kind, Status, attribute};

/// Says that it is known whether the span above was another's (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`).
const HAS_IS_REMOTE: u32 = 0x100;

/// Says that it was (`SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`).
const IS_REMOTE: u32 = 0x200;

/// `STATUS_CODE_ERROR`
const ERROR: i32 = 2;

/// A span that goes on.
#[derive(Clone, Debug)]
pub(super) struct Span {
    context: TraceContext,
    /// The span above.
    parent: Option<SpanId>,
    /// Whether that is another's, in the flags of OTLP.
    remote: u32,
    beginning: Beginning,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    /// A status that was told is an error.
    failed: bool,
}

/// What a span begins with.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    /// The operation.
    pub(super) name: Cow<'static, str>,
    /// Which side of the request it is on.
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) at_unix_nano: u64,
    /// What came in `tracestate`; empty where nothing did.
    pub(super) trace_state: Rc<str>,
}

impl Span {
    /// A span of a trace that begins with it.
    pub(super) fn root(beginning: Beginning, trace_id: TraceId, span_id: SpanId, sampled: bool) -> Self {
        Span::new(beginning, TraceContext { trace_id, span_id, sampled }, None, HAS_IS_REMOTE)
    }

    /// A span below one of whom a request tells.
    pub(super) fn continued(
        beginning: Beginning,
        parent: &TraceContext,
        span_id: SpanId,
        sampled: bool,
    ) -> Self {
        let context = TraceContext { trace_id: parent.trace_id, span_id, sampled };
        Span::new(beginning, context, Some(parent.span_id), HAS_IS_REMOTE | IS_REMOTE)
    }

    /// A span below this one: that of an attempt to reach a host. What is decided about this one holds for it.
    pub(super) fn child(&self, name: &str, at_unix_nano: u64, span_id: SpanId) -> Self {
        let trace_state = Rc::clone(&self.beginning.trace_state);
        let name = Cow::Owned(name.to_owned());
        let beginning = Beginning { name, kind: Kind::Client, at_unix_nano, trace_state };
        let context = TraceContext { span_id, ..self.context };
        Span::new(beginning, context, Some(self.context.span_id), HAS_IS_REMOTE)
    }

    fn new(beginning: Beginning, context: TraceContext, parent: Option<SpanId>, remote: u32) -> Self {
        let (attributes, events) = Default::default();
        Span { context, parent, remote, beginning, attributes, events, failed: false }
    }

    /// What a request is told of this span.
    pub(super) fn context(&self) -> &TraceContext {
        &self.context
    }

    /// What a request has in `tracestate`.
    pub(super) fn trace_state(&self) -> &str {
        &self.beginning.trace_state
    }

    /// Whether anybody is told of it.
    pub(super) fn is_sampled(&self) -> bool {
        self.context.sampled
    }

    /// Decides that anew, for it and those below it that begin from here on.
    pub(super) fn set_sampled(&mut self, sampled: bool) {
        self.context.sampled = sampled;
    }

    /// Gives it another name.
    pub(super) fn rename(&mut self, name: &str) {
        self.beginning.name = Cow::Owned(name.to_owned());
    }

    /// Says something of it, in place of what was said by this name; nothing by an empty one. As in Envoy the status that
    /// it tells makes it one that went wrong, and not the tag `error`.
    pub(super) fn tag(&mut self, name: &str, value: &str) {
        self.tag_with(name, value, Value::StringValue(value.to_owned()));
    }

    /// The same of a text that is told as this value.
    pub(super) fn tag_with(&mut self, name: &str, text: &str, value: Value) {
        if name.is_empty() || !self.is_sampled() {
            return;
        }
        self.failed |= name == "http.status_code" && self.is_error(text);
        let said = attribute(name, value);
        match self.attributes.iter_mut().find(|attribute| attribute.key == name) {
            Some(there) => *there = said,
            None => self.attributes.push(said),
        }
    }

    /// Whether a status is an error on this side: for a client those are, too, that it is to blame for.
    fn is_error(&self, status: &str) -> bool {
        let least = match self.beginning.kind {
            Kind::Server => 500,
            Kind::Client => 400,
        };
        status.parse::<u32>().is_ok_and(|status| status >= least)
    }

    /// Notes what happened.
    pub(super) fn event(&mut self, time_unix_nano: u64, name: &str) {
        if self.is_sampled() {
            self.events.push(Event { time_unix_nano, name: name.to_owned() });
        }
    }

    /// Ends it; `None` where nobody is to be told.
    pub(super) fn end(self, at_unix_nano: u64) -> Option<message::Span> {
        let Span { context, parent, remote, beginning, attributes, events, failed } = self;
        let bytes = |id: SpanId| id.0.to_be_bytes().to_vec();
        context.sampled.then(|| message::Span {
            trace_id: context.trace_id.0.to_be_bytes().to_vec(),
            span_id: bytes(context.span_id),
            trace_state: beginning.trace_state.as_ref().to_owned(),
            parent_span_id: parent.map(bytes).unwrap_or_default(),
            name: beginning.name.into_owned(),
            kind: beginning.kind as i32,
            start_time_unix_nano: beginning.at_unix_nano,
            end_time_unix_nano: at_unix_nano,
            attributes,
            events,
            status: failed.then_some(Status { code: ERROR }),
            // A span that is told of is sampled.
            flags: remote | 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning() -> Beginning {
        Beginning { name: "ingress".into(), kind: Kind::Server, at_unix_nano: 5, trace_state: "a=1".into() }
    }

    const PARENT: TraceContext =
        TraceContext { trace_id: TraceId(0x10), span_id: SpanId(0x20), sampled: false };

    fn root() -> Span {
        Span::root(beginning(), TraceId(1), SpanId(2), true)
    }

    #[test]
    fn a_root_has_nothing_above_it() {
        let told = root().end(9).expect("it is sampled");
        assert_eq!(
            (told.trace_id, told.span_id),
            (1u128.to_be_bytes().to_vec(), 2u64.to_be_bytes().to_vec())
        );
        assert_eq!((told.parent_span_id, told.flags, told.kind), (Vec::new(), 0x101, 2));
        assert_eq!((told.start_time_unix_nano, told.end_time_unix_nano), (5, 9));
    }

    #[test]
    fn a_span_below_anothers_says_so() {
        let span = Span::continued(beginning(), &PARENT, SpanId(3), true);
        let context = TraceContext { span_id: SpanId(3), sampled: true, ..PARENT };
        assert_eq!((span.context(), span.trace_state()), (&context, "a=1"));
        let told = span.end(9).expect("it is sampled");
        assert_eq!((told.parent_span_id, told.flags), (0x20u64.to_be_bytes().to_vec(), 0x301));
    }

    #[test]
    fn a_span_below_one_of_ours_is_of_the_same_trace() {
        let told = root().child("router up egress", 6, SpanId(4)).end(8).expect("it is sampled");
        assert_eq!(told.parent_span_id, 2u64.to_be_bytes());
        assert_eq!((told.flags, told.kind, &*told.trace_state), (0x101, 3, "a=1"));
    }

    #[test]
    fn the_last_that_is_said_by_a_name_stays_where_the_first_stood() {
        let mut span = root();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("", "4")] {
            span.tag(name, value);
        }
        let told = span.end(9).expect("it is sampled");
        let text = |name, value: &str| attribute(name, Value::StringValue(value.to_owned()));
        assert_eq!(told.attributes, [text("a", "3"), text("b", "2")]);
        assert_eq!(told.status, None);
    }

    #[test]
    fn a_status_that_is_an_error_on_its_side_is_one_of_the_span() {
        let child = root().child("router up egress", 6, SpanId(4));
        for (span, status, expected) in [
            (root(), "499", None),
            (root(), "500", Some(Status { code: 2 })),
            (child.clone(), "399", None),
            (child.clone(), "400", Some(Status { code: 2 })),
            (child, "0", None),
        ] {
            let mut span = span;
            span.tag("error", "true");
            span.tag("http.status_code", status);
            span.tag("http.status_code", "200");
            assert_eq!(span.end(9).expect("it is sampled").status, expected, "{status}");
        }
    }

    #[test]
    fn nobody_is_told_of_a_span_that_is_not_sampled() {
        let mut span = Span::continued(beginning(), &PARENT, SpanId(3), false);
        span.tag("a", "1");
        span.event(6, "b");
        assert!(span.context().header().ends_with("-00"));
        assert_eq!(span.end(9), None);
    }
}
