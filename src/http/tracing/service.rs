//! Collectors that are told over HTTP, by an address and with headers of their own: `envoy.config.core.v3.HttpService`.

use crate::base::headers::{Headers, Name};
use crate::config::http_service::HttpService;
use crate::http::render::render_or_dash;
use crate::observability::stream_info::StreamInfo;

/// Adds the headers that each call of the service has, in place of those of their names.
pub(super) fn add_headers(service: &HttpService, headers: &mut Headers) {
    let (info, none) = (StreamInfo::of_nobody(), Headers::new());
    for option in &service.request_headers_to_add {
        let mut value = Vec::new();
        render_or_dash(&info, &none, &none, &option.value, &mut value);
        let name = Name::new(option.name.as_bytes());
        headers.remove(name);
        headers.append(name, &value);
    }
}
