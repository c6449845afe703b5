//! The seam of those who make spans.

use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use crate::base::headers::Headers;
use crate::config::tracing::ValueType;
use crate::http::worker::Worker;
use crate::observability::stream_info::{StreamInfo, TraceIds};

/// Who makes spans, compiled from a provider's configuration; all workers share it.
pub(in crate::http) trait Driver: fmt::Debug + Send + Sync {
    /// Begins the span of a request; `None` where nothing is told of it, to nobody.
    ///
    /// What the request says of a trace that it is part of decides before [`Beginning::traced`] does.
    fn start(&self, beginning: &Beginning<'_>, worker: &Rc<Worker>) -> Option<Box<dyn Span>>;
}

/// What is known of a request whose span begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Beginning<'a> {
    /// Its headers, after what the connection manager does to them.
    pub(in crate::http) request: &'a Headers,
    /// When it came, and on which connection.
    pub(in crate::http) info: &'a StreamInfo,
    /// Which way it goes.
    pub(in crate::http) kind: Kind,
    /// Whether requests to hosts have spans of their own, by the connection manager's configuration.
    pub(in crate::http) spawns_upstream_span: bool,
    /// Whether it is traced where it does not say so itself.
    pub(in crate::http) traced: bool,
}

/// Which way requests go: `traffic_direction` of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    /// In, which is also where nothing is said.
    Ingress,
    /// Out.
    Egress,
}

/// A span: of a request, or of one to a host. It is dropped where nobody finishes it, and then not told of.
pub(in crate::http) trait Span: fmt::Debug {
    /// Gives it a name, in place of the one that it has.
    fn set_operation(&mut self, name: &str);

    /// Adds a tag; of one name the last counts. Whether an empty value is one is for who makes spans to say.
    fn set_tag(&mut self, name: &str, value: &str);

    /// Adds a tag whose value is to be told as this, where the text is such a value and there is more than texts.
    fn set_typed_tag(&mut self, name: &str, value: &str, _value_type: ValueType) {
        self.set_tag(name, value);
    }

    /// Notes that something happened.
    fn log(&mut self, at: SystemTime, event: &'static str);

    /// Whether it is told of; what nobody is told need not be found out.
    fn is_sampled(&self) -> bool;

    /// Decides anew whether it is told of.
    fn set_sampled(&mut self, sampled: bool);

    /// Tells a host of it, in the headers of the request there. Runs once for each attempt.
    fn inject(&self, headers: &mut Headers);

    /// Begins the span of a request to a host.
    fn child(&mut self, name: &str, begun: SystemTime) -> Box<dyn Span>;

    /// Its numbers.
    fn ids(&self) -> TraceIds;

    /// Ends it: now it is told of, if it is sampled.
    fn finish(self: Box<Self>, worker: &Rc<Worker>);
}
