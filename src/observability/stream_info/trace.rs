//! Why a request is traced, and by which numbers.

/// Why a request is traced: Envoy's `Tracing::Reason`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TraceReason {
    /// It is not.
    #[default]
    NotTraceable,
    /// It is of the share of those that nobody asked for.
    Sampling,
    /// `x-envoy-force-trace`
    ServiceForced,
    /// `x-client-trace-id`
    ClientForced,
}

impl TraceReason {
    /// Whether it is one.
    pub fn is_traced(self) -> bool {
        self != TraceReason::NotTraceable
    }
}

/// The numbers of a span, as access logs write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceIds {
    /// `%TRACE_ID%`
    pub trace: Box<str>,
    /// `%SPAN_ID%`; `None` where nobody tells it.
    pub span: Option<Box<str>>,
}
