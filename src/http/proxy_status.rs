//! The header `proxy-status` (RFC 9209): what went wrong at this hop.

use crate::base::headers::{Headers, Known, Name};
use crate::config::http_connection_manager::ProxyStatus;
use crate::observability::stream_info::{ResponseFlags as Flags, StreamInfo};

/// The header's name.
const PROXY_STATUS: Name<'static> = Name::Other(b"proxy-status");

/// Errors of RFC 9209 §2.3 with the status that it recommends, if any, by the flags that come to them. The first that
/// fits counts. Flags that stand in no row come to none, in Envoy 1.40 as here.
const ERRORS: &[(Flags, &str, Option<u16>)] = &[
    (Flags::LH, "destination_unavailable", Some(503)),
    (Flags::UH, "destination_unavailable", Some(503)),
    (Flags::UT, "http_response_timeout", Some(504)),
    (Flags::DT, "connection_timeout", Some(504)),
    (Flags::LR, "connection_timeout", Some(504)),
    (Flags::UR, "connection_terminated", Some(502)),
    (Flags::UF, "connection_refused", Some(502)),
    (Flags::UAEX, "connection_refused", Some(502)),
    (Flags::UC, "connection_terminated", Some(502)),
    (Flags::OM, "connection_limit_reached", Some(503)),
    (Flags::DO, "connection_limit_reached", Some(503)),
    (Flags::FI, "http_request_error", None),
    (Flags::DC, "connection_terminated", Some(502)),
    (Flags::DR, "connection_terminated", Some(502)),
    (Flags::UO, "connection_limit_reached", Some(503)),
    (Flags::NR, "destination_not_found", Some(500)),
    (Flags::RL, "connection_limit_reached", Some(503)),
    (Flags::RLSE, "connection_limit_reached", Some(503)),
    (Flags::URX, "destination_unavailable", Some(503)),
    (Flags::SI, "http_response_timeout", Some(504)),
    (Flags::IH, "http_request_error", None),
    (Flags::UMSDR, "http_response_timeout", Some(504)),
    (Flags::NFCF, "proxy_configuration_error", Some(500)),
    (Flags::UPE, "http_protocol_error", Some(502)),
    (Flags::NC, "destination_unavailable", Some(503)),
    (Flags::DF, "dns_error", Some(502)),
];

/// Says in a response what went wrong, if anything did. Gives the status that the response is to have instead of its
/// own, if there is one.
pub(super) fn tell(
    response: &mut Headers,
    info: &StreamInfo,
    config: &ProxyStatus,
    proxy_name: &str,
) -> Option<u16> {
    let (_, error, recommended) = ERRORS.iter().find(|(flag, ..)| info.response_flags.intersects(*flag))?;
    let mut value = format!("{proxy_name}; error={error}");
    if !config.remove_details && !info.response_code_details.is_empty() {
        value.push_str("; details=\"");
        push_escaped(&mut value, &info.response_code_details);
        let termination = info.connection.termination_details();
        if let Some(details) = termination.filter(|_| !config.remove_connection_termination_details) {
            value.push_str("; ");
            push_escaped(&mut value, details);
        }
        if !config.remove_response_flags {
            value.push_str("; ");
            value.push_str(&info.response_flags.to_string());
        }
        value.push('"');
    }
    match response.get_by_name(PROXY_STATUS.as_bytes()) {
        Some(before) => {
            let joined = [before, b", ", value.as_bytes()].concat();
            response.set(PROXY_STATUS, &joined);
        }
        None => response.append(PROXY_STATUS, value.as_bytes()),
    }
    let status = recommended.filter(|_| config.set_recommended_response_code)?;
    response.set(Known::Status, itoa::Buffer::new().format(status).as_bytes());
    Some(status)
}

/// Writes text into a quoted string (RFC 8941 §3.3.3).
fn push_escaped(value: &mut String, text: &str) {
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            value.push('\\');
        }
        value.push(character);
    }
}
