//! The name of the host that a request is for, where that is what requests say.

use std::str;

use crate::base::headers::{Headers, Known};
use crate::observability::stream_info::{ConnectionInfo, Notes, StateObject};
use crate::upstream::dns_cache::normalise;

/// The filter state that says it in place of the request.
pub(super) const HOST: &str = "envoy.upstream.dynamic_host";
/// The filter state that says the port of a name that has none.
pub(crate) const PORT: &str = "envoy.upstream.dynamic_port";

/// The name with its port, as caches of names have it; `None` where there is none. `notes` are asked first, if any are
/// given; `default_port` is that of a name where nothing says it.
pub(crate) fn name(headers: &Headers, notes: Option<&Notes>, default_port: u16) -> Option<String> {
    of(|| str::from_utf8(headers.get(Known::Authority)?).ok(), notes, default_port)
}

/// The same of a connection, whose client has asked for the name (SNI).
pub(crate) fn of_connection(
    info: &ConnectionInfo,
    notes: Option<&Notes>,
    default_port: u16,
) -> Option<String> {
    let asked = &*info.requested_server_name;
    of(|| Some(asked).filter(|asked| !asked.is_empty()), notes, default_port)
}

fn of<'h>(
    said: impl FnOnce() -> Option<&'h str>,
    notes: Option<&'h Notes>,
    default_port: u16,
) -> Option<String> {
    let state = |key: &str| str::from_utf8(notes?.state(key).map(StateObject::text)?).ok();
    let host = match state(HOST) {
        Some(host) => host,
        None => said()?,
    };
    let port = state(PORT).and_then(|port| port.parse().ok()).filter(|port| *port > 0);
    normalise(host, port.unwrap_or(default_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_state_comes_before_the_request() {
        let mut headers = Headers::default();
        headers.append(Known::Authority, b"a.test");
        let mut notes = Notes::default();
        assert_eq!(name(&headers, Some(&notes), 80).as_deref(), Some("a.test:80"));
        notes.set_state(PORT, StateObject::Text(b"81".as_slice().into()));
        assert_eq!(name(&headers, Some(&notes), 80).as_deref(), Some("a.test:81"));
        notes.set_state(HOST, StateObject::Text(b"b.test:82".as_slice().into()));
        assert_eq!(name(&headers, Some(&notes), 80).as_deref(), Some("b.test:82"));
        assert_eq!(name(&headers, None, 443).as_deref(), Some("a.test:443"));
        assert_eq!(name(&Headers::default(), None, 80), None);
    }
}
