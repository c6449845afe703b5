//! What local replies are turned into: `LocalReplyConfig`.

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3;

use crate::config::access_log::AccessLogFilter;
use crate::config::data_source;
use crate::config::field::{Scope, open};
use crate::config::format::BodyFormat;
use crate::config::route::HeaderValueOption;

/// `envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalReplyConfig {
    /// The first whose filter lets the reply through changes it.
    pub mappers: Vec<ResponseMapper>,
    /// How every reply's body looks whose mapper has no format of its own; `None` leaves bodies as they are.
    pub body_format: Option<BodyFormat>,
}

/// `envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper`
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseMapper {
    /// Which replies it changes.
    pub filter: AccessLogFilter,
    /// The new status, 200 to 599; `None` leaves the reply's own.
    pub status_code: Option<u16>,
    /// The new body, before it is formatted; `None` leaves the reply's own.
    pub body: Option<Bytes>,
    /// In place of [`LocalReplyConfig::body_format`]: `body_format_override`.
    pub body_format: Option<BodyFormat>,
    /// `headers_to_add`
    pub headers_to_add: Vec<HeaderValueOption>,
}

impl LocalReplyConfig {
    /// From its proto.
    pub(super) fn from_proto(message: v3::LocalReplyConfig, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::LocalReplyConfig = message; implemented { mappers, body_format } }
        Some(LocalReplyConfig {
            mappers: at.list("mappers", mappers, ResponseMapper::from_proto),
            body_format: at.message("body_format", body_format, BodyFormat::from_proto),
        })
    }
}

impl ResponseMapper {
    fn from_proto(message: v3::ResponseMapper, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::ResponseMapper = message;
            implemented { filter, status_code, body, body_format_override, headers_to_add }
        }
        let filter = at.required("filter", filter);
        let filter = at.message("filter", filter, AccessLogFilter::from_proto);
        let status_code = status_code.and_then(|status| {
            let status = u16::try_from(status.value).ok().filter(|status| (200..600).contains(status));
            if status.is_none() {
                at.field("status_code").violation("value must be inside range [200, 600)");
            }
            status
        });
        Some(ResponseMapper {
            status_code,
            body: at.message("body", body, |source, at| data_source::read(source, None, at)).map(Bytes::from),
            body_format: at.message("body_format_override", body_format_override, BodyFormat::from_proto),
            headers_to_add: at.list("headers_to_add", headers_to_add, HeaderValueOption::from_proto),
            filter: filter?,
        })
    }
}
