//! What of a trace travels with a request: `traceparent` and `tracestate` (W3C Trace Context).
//!
//! As in Envoy a version is two hexadecimal digits, any of them, and has the form of version 00; capital digits are
//! read, and what is written is of version 00.

/// The header that tells of the span above.
pub(super) const TRACEPARENT: &[u8] = b"traceparent";

/// The header in which tracing systems keep what is theirs. It goes on as it came, its lines joined; an empty one is
/// written where there is none.
pub(super) const TRACESTATE: &[u8] = b"tracestate";

/// Bytes of a `traceparent`: version, trace, span and flags with dashes between them.
const LENGTH: usize = 55;

/// The flag of traces that are kept.
const SAMPLED: u8 = 1;

/// What 16 bytes identify: a trace. Never 0 in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TraceId(pub u128);

/// What 8 bytes identify: a span of a trace. Never 0 in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpanId(pub u64);

/// The span that a request belongs to, as the one who sent it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    /// The trace.
    pub(super) trace_id: TraceId,
    /// The span.
    pub(super) span_id: SpanId,
    /// Whether the one who sent it keeps the trace.
    pub(super) sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` for one that is not well formed, whose request has no span at all then.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != LENGTH || [2, 35, 52].iter().any(|at| value[*at] != b'-') {
            return None;
        }
        number(&value[..2])?;
        let trace_id = number(&value[3..35]).filter(|id| *id != 0)?;
        let span_id = number(&value[36..52]).filter(|id| *id != 0)?;
        let flags = number(&value[53..])?;
        Some(TraceContext {
            trace_id: TraceId(trace_id),
            span_id: SpanId(u64::try_from(span_id).ok()?),
            sampled: flags & u128::from(SAMPLED) != 0,
        })
    }

    /// The `traceparent` that tells of it.
    pub(super) fn header(&self) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id.0, self.span_id.0)
    }
}

/// A number of hexadecimal digits alone.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u128::from((*digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: TraceContext = TraceContext {
        trace_id: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        span_id: SpanId(0xb7ad_6b71_6920_3331),
        sampled: true,
    };

    #[test]
    fn what_is_written_is_read_again() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(CONTEXT.header(), text);
        assert_eq!(TraceContext::parse(text.as_bytes()), Some(CONTEXT));
        let dropped = TraceContext { sampled: false, ..CONTEXT };
        assert_eq!(TraceContext::parse(dropped.header().as_bytes()), Some(dropped));
    }

    #[test]
    fn ids_are_written_with_all_their_digits() {
        let context = TraceContext { trace_id: TraceId(1), span_id: SpanId(2), sampled: false };
        assert_eq!(context.header(), "00-00000000000000000000000000000001-0000000000000002-00");
    }

    #[test]
    fn any_version_capital_digits_and_other_flags_are_read() {
        for (version, flags) in [("00", "01"), ("ff", "01"), ("CC", "03"), ("00", "FF")] {
            let text = format!("{version}-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-{flags}");
            assert_eq!(TraceContext::parse(text.as_bytes()), Some(CONTEXT), "{text}");
        }
        let text = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fe";
        assert_eq!(TraceContext::parse(text), Some(TraceContext { sampled: false, ..CONTEXT }));
    }

    #[test]
    fn what_is_not_well_formed_is_no_context() {
        for text in [
            "",
            "bad",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }
}
