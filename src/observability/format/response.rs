//! What became of a request.

use crate::config::format::ResponsePart;
use crate::observability::stream_info::{ResponseFlags, StreamInfo};

use super::Given;
use super::command::{details, display, list, number, text};

pub(super) fn write(part: ResponsePart, info: &StreamInfo, out: &mut Vec<u8>) -> Given {
    match part {
        ResponsePart::Code => number(info.response_code.into(), out),
        // There are details, and they are empty.
        ResponsePart::CodeDetails { .. } if info.response_flags.intersects(ResponseFlags::NFCF) => {
            text(Some(info.response_code_details.as_bytes()), out)
        }
        ResponsePart::CodeDetails { white_space } => details(&info.response_code_details, !white_space, out),
        ResponsePart::Flags => display(info.response_flags, out),
        ResponsePart::FlagsLong if info.response_flags.is_empty() => text(Some(b"-"), out),
        ResponsePart::FlagsLong => list(info.response_flags.long_names(), out, |name, out| {
            out.extend_from_slice(name.as_bytes());
        }),
    }
}
