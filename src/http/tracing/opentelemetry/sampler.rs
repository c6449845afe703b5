//! Which spans a collector is told of: the samplers of `envoy.extensions.tracers.opentelemetry.samplers.v3`.
//!
//! The connection manager has the first word: a request that it does not trace is not sampled, whatever a sampler says.

use crate::config::cel::{Attributes, Expression};
use crate::config::runtime::Fraction;

use super::context::{TraceContext, TraceId};

/// What decides in place of the connection manager and of the one who sent the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sampler {
    /// `AlwaysOnSamplerConfig`: every span.
    AlwaysOn,
    /// `CELSamplerConfig`: those of the requests for which an expression is true.
    Cel(Expression),
    /// `TraceIdRatioBasedSamplerConfig`: a share of the traces, by their ids, so that all who ask so agree about a trace.
    TraceIdRatioBased(Fraction),
    /// `ParentBasedSamplerConfig`: what the one who sent the request decided; its `wrapped_sampler` where nobody did.
    ParentBased(Box<Sampler>),
}

/// A span that is kept or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    /// Its trace.
    pub(super) trace_id: TraceId,
    /// The span above, where that is another's.
    pub(super) parent: Option<&'a TraceContext>,
    /// What is known of its request.
    pub(super) attributes: &'a dyn Attributes,
}

impl Sampler {
    /// Whether it is kept.
    pub(super) fn samples(&self, span: &Candidate<'_>) -> bool {
        match self {
            Sampler::AlwaysOn => true,
            // Nothing is known of the response yet: what depends on it is not true.
            Sampler::Cel(expression) => expression.holds(span.attributes).unwrap_or(false),
            Sampler::TraceIdRatioBased(share) => share.takes(first_half(span.trace_id)),
            Sampler::ParentBased(wrapped) => {
                span.parent.map_or_else(|| wrapped.samples(span), |parent| parent.sampled)
            }
        }
    }

    /// Whether `tracestate` goes on with a span that is not kept: by an expression it does not, as in Envoy.
    pub(super) fn keeps_trace_state(&self) -> bool {
        !matches!(self, Sampler::Cel(_))
    }
}

/// Whether a span is kept: by the sampler, else as the one who sent the request says, else as is drawn here.
///
/// `traced` is what the connection manager decided.
pub(super) fn is_sampled(sampler: Option<&Sampler>, traced: bool, span: &Candidate<'_>) -> bool {
    let of_parent = || span.parent.is_none_or(|parent| parent.sampled);
    traced && sampler.map_or_else(of_parent, |sampler| sampler.samples(span))
}

/// The first eight bytes of an id as Envoy takes them for a number: the first is the least significant.
fn first_half(trace_id: TraceId) -> u64 {
    ((trace_id.0 >> 64) as u64).swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::context::SpanId;
    use super::*;
    use crate::base::headers::{Headers, Known};
    use crate::config::cel::Options;
    use crate::observability::attributes::StreamAttributes;
    use crate::observability::stream_info::StreamInfo;

    const TRACE: TraceId = TraceId(7 << 120);

    fn parent(sampled: bool) -> TraceContext {
        TraceContext { trace_id: TRACE, span_id: SpanId(1), sampled }
    }

    /// Asks about a span of a request for `/a`.
    fn ask<T>(trace_id: TraceId, parent: Option<TraceContext>, ask: impl FnOnce(&Candidate<'_>) -> T) -> T {
        let mut request = Headers::new();
        request.append(Known::Path, b"/a");
        let info = StreamInfo::of_nobody();
        let attributes = StreamAttributes::of_request(&request, &info);
        ask(&Candidate { trace_id, parent: parent.as_ref(), attributes: &attributes })
    }

    fn samples(sampler: &Sampler, trace_id: TraceId, parent: Option<TraceContext>) -> bool {
        ask(trace_id, parent, |span| sampler.samples(span))
    }

    #[test]
    fn an_expression_is_asked_about_the_request() {
        for (text, expected) in [("request.path == '/a'", true), ("request.path == '/b'", false), ("response.code == 200", false), ("request.path", false)] {
            let expression = Expression::parse(text, Options::default()).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(samples(&Sampler::Cel(expression), TRACE, Some(parent(true))), expected, "{text}");
        }
    }

    #[test]
    fn a_share_of_traces_is_found_by_the_first_bytes_of_their_ids() {
        let half = Sampler::TraceIdRatioBased(Fraction::percent(50));
        // As Envoy decided about traces whose ids begin, and whose first halves end, with these bytes.
        let takes = |byte: u128, at: u32| samples(&half, TraceId(byte << at | 0xd844), None);
        let taken = |at| [1, 49, 50, 99, 100, 149, 150, 255].map(|byte| takes(byte, at));
        assert_eq!(taken(120), [true, true, false, false, true, true, false, false]);
        assert_eq!(taken(64), [true, false, true, false, true, false, true, false]);
    }

    #[test]
    fn none_of_a_hundred_is_none_and_a_hundred_is_all() {
        for (share, expected) in [(0, false), (100, true), (200, true)] {
            let sampler = Sampler::TraceIdRatioBased(Fraction::percent(share));
            assert_eq!(samples(&sampler, TRACE, Some(parent(true))), expected, "{share}");
        }
    }

    #[test]
    fn a_parent_decides_where_there_is_one() {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(Fraction::percent(0))));
        assert!(samples(&sampler, TRACE, Some(parent(true))));
        assert!(!samples(&sampler, TRACE, Some(parent(false))));
        assert!(!samples(&sampler, TRACE, None));
        assert!(samples(&Sampler::ParentBased(Box::new(Sampler::AlwaysOn)), TRACE, None));
    }

    #[test]
    fn without_a_sampler_the_parent_decides_and_then_the_connection_manager() {
        assert!(ask(TRACE, Some(parent(true)), |span| is_sampled(None, true, span)));
        assert!(!ask(TRACE, Some(parent(false)), |span| is_sampled(None, true, span)));
        assert!(ask(TRACE, None, |span| is_sampled(None, true, span)));
    }

    #[test]
    fn what_the_connection_manager_does_not_trace_is_not_sampled() {
        assert!(!ask(TRACE, Some(parent(true)), |span| is_sampled(None, false, span)));
        assert!(!ask(TRACE, None, |span| is_sampled(Some(&Sampler::AlwaysOn), false, span)));
        assert!(ask(TRACE, Some(parent(false)), |span| is_sampled(Some(&Sampler::AlwaysOn), true, span)));
    }
}
