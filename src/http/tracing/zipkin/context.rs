//! What headers tell of a trace: B3 in one header or in several, W3C's `traceparent`.

use crate::base::headers::{Headers, Name};

const B3: &[u8] = b"b3";
const TRACE_ID: &[u8] = b"x-b3-traceid";
const SPAN_ID: &[u8] = b"x-b3-spanid";
const PARENT_ID: &[u8] = b"x-b3-parentspanid";
const SAMPLED: &[u8] = b"x-b3-sampled";
const TRACEPARENT: &[u8] = b"traceparent";

/// The numbers of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanContext {
    /// The upper half of the trace's number; 0 where that has 64 bits.
    pub(super) trace_high: u64,
    pub(super) trace: u64,
    pub(super) id: u64,
    /// 0 where it has none.
    pub(super) parent: u64,
    pub(super) sampled: bool,
}

/// What a request tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether it is traced, where it says so.
    pub(super) sampled: Option<bool>,
    /// The span that it comes from.
    pub(super) context: Option<SpanContext>,
    /// Whether B3 is one header.
    pub(super) single: bool,
}

/// The headers cannot be read: nothing is told of the request, and they pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads what a request tells.
pub(super) fn find(headers: &Headers, uses_w3c: bool) -> Result<Found, Unreadable> {
    if let Some(b3) = headers.get_by_name(B3) {
        let context = of_single(b3)?;
        return Ok(Found { sampled: sampled_of_single(b3), context, single: true });
    }
    let told = headers.get_by_name(SAMPLED).map(|told| told == b"1" || told == b"true");
    let context = of_several(headers)?;
    let parent = match (uses_w3c, context) {
        (true, None) => headers.get_by_name(TRACEPARENT).map(of_traceparent).transpose()?,
        _ => None,
    };
    let sampled = told.or(parent.map(|parent| parent.sampled));
    Ok(Found { sampled, context: context.or(parent), single: false })
}

/// Whether a trace is recorded, by the place of that in a header of this length.
fn sampled_of_single(b3: &[u8]) -> Option<bool> {
    let place = match b3.len() {
        1 => 0,
        35 | 52 => 34,
        51 | 68 => 50,
        _ => return None,
    };
    flag(b3[place])
}

fn flag(flag: u8) -> Option<bool> {
    match flag {
        b'1' | b'd' => Some(true),
        b'0' => Some(false),
        _ => None,
    }
}

/// `trace-span-sampled-parent`, the last two of which may be missing; or a flag alone.
fn of_single(b3: &[u8]) -> Result<Option<SpanContext>, Unreadable> {
    if let [only] = b3 {
        return flag(*only).map(|_| None).ok_or(Unreadable);
    }
    let mut parts = b3.split(|byte| *byte == b'-');
    let mut next = || parts.next();
    let (trace, id) = (next().ok_or(Unreadable)?, next().ok_or(Unreadable)?);
    let (sampled, parent, rest) = (next(), next(), next());
    if rest.is_some() || id.len() != 16 {
        return Err(Unreadable);
    }
    if sampled.is_some_and(|sampled| sampled.len() != 1 || flag(sampled[0]).is_none()) {
        return Err(Unreadable);
    }
    let (trace_high, trace) = match trace.len() {
        16 => (0, number(trace)?),
        32 => (number(&trace[..16])?, number(&trace[16..])?),
        _ => return Err(Unreadable),
    };
    let parent = match parent {
        None => 0,
        Some(parent) if parent.len() == 16 => number(parent)?,
        Some(_) => return Err(Unreadable),
    };
    Ok(Some(SpanContext { trace_high, trace, id: number(id)?, parent, sampled: false }))
}

/// One header for each number.
fn of_several(headers: &Headers) -> Result<Option<SpanContext>, Unreadable> {
    let (Some(trace), Some(id)) = (headers.get_by_name(TRACE_ID), headers.get_by_name(SPAN_ID)) else {
        return Ok(None);
    };
    let (trace_high, trace) = match trace.len() {
        32 => (number(&trace[..16])?, number(&trace[16..])?),
        _ => (0, number(trace)?),
    };
    let parent = headers.get_by_name(PARENT_ID).filter(|parent| !parent.is_empty());
    let parent = parent.map(number).transpose()?.unwrap_or(0);
    Ok(Some(SpanContext { trace_high, trace, id: number(id)?, parent, sampled: false }))
}

/// `version-trace-span-flags` (W3C Trace Context §3.2).
fn of_traceparent(value: &[u8]) -> Result<SpanContext, Unreadable> {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let [version, trace, id, flags] = parts[..] else { return Err(Unreadable) };
    if (version.len(), trace.len(), id.len(), flags.len()) != (2, 32, 16, 2) {
        return Err(Unreadable);
    }
    Ok(SpanContext {
        trace_high: number(&trace[..16])?,
        trace: number(&trace[16..])?,
        id: number(id)?,
        parent: 0,
        sampled: number(flags)? & 1 == 1,
    })
}

fn number(digits: &[u8]) -> Result<u64, Unreadable> {
    let digits = std::str::from_utf8(digits).map_err(|_| Unreadable)?;
    let are_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| are_digits).ok_or(Unreadable)
}

impl SpanContext {
    /// The trace's number, in 16 or 32 digits.
    pub(super) fn trace_id(&self) -> String {
        match self.trace_high {
            0 => format!("{:016x}", self.trace),
            high => format!("{high:016x}{:016x}", self.trace),
        }
    }

    /// Writes it into the headers of a request.
    pub(super) fn write(&self, headers: &mut Headers, single: bool, uses_w3c: bool) {
        let (trace, id) = (self.trace_id(), format!("{:016x}", self.id));
        let sampled = u8::from(self.sampled);
        // At the end, as in Envoy, whether the request had them or not.
        let mut set = |name: &'static [u8], value: &str| {
            headers.remove(Name::new(name));
            headers.append(Name::new(name), value.as_bytes());
        };
        if single {
            let parent = if self.parent == 0 { String::new() } else { format!("-{:016x}", self.parent) };
            set(B3, &format!("{trace}-{id}-{sampled}{parent}"));
        } else {
            set(TRACE_ID, &trace);
            set(SPAN_ID, &id);
            if self.parent != 0 {
                set(PARENT_ID, &format!("{:016x}", self.parent));
            }
            set(SAMPLED, if self.sampled { "1" } else { "0" });
        }
        if uses_w3c {
            set(TRACEPARENT, &format!("00-{trace:0>32}-{id}-0{sampled}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        all.iter().for_each(|(name, value)| headers.append(Name::new(name.as_bytes()), value.as_bytes()));
        headers
    }

    #[test]
    fn what_is_written_can_be_read() {
        let context = SpanContext { trace_high: 7, trace: 1, id: 2, parent: 3, sampled: true };
        for single in [true, false] {
            let mut written = Headers::new();
            context.write(&mut written, single, false);
            let found = find(&written, false).expect("readable");
            assert_eq!(found, Found {
                sampled: Some(true),
                context: Some(SpanContext { sampled: false, ..context }),
                single
            });
        }
    }

    #[test]
    fn one_header_that_is_none_is_unreadable() {
        for b3 in ["", "x", "zz", "0-1", "00000000000000a1", "00000000000000a1-00000000000000a2-x"] {
            assert_eq!(find(&headers(&[("b3", b3)]), false), Err(Unreadable), "{b3}");
        }
        let alone = find(&headers(&[("b3", "0")]), false).expect("readable");
        assert_eq!((alone.sampled, alone.context), (Some(false), None));
    }

    #[test]
    fn traceparent_is_read_where_there_is_no_b3() {
        let parent = ("traceparent", "00-000102030405060708090a0b0c0d0e0f-0102030405060708-01");
        let found = find(&headers(&[parent]), true).expect("readable");
        assert_eq!(found.sampled, Some(true));
        assert_eq!(found.context.map(|context| context.id), Some(0x0102_0304_0506_0708));
        assert_eq!(find(&headers(&[parent]), false).expect("readable").context, None);
    }
}
