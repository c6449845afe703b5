//! What expressions can ask about: Envoy's attributes.

use std::fmt;

use super::{Failure, Value};

/// Where attributes are, by the names of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `request`
    Request,
    /// `response`
    Response,
    /// `connection`
    Connection,
    /// `upstream`
    Upstream,
    /// `source`
    Source,
    /// `destination`
    Destination,
    /// `filter_state`
    FilterState,
    /// `upstream_filter_state`
    UpstreamFilterState,
    /// `xds`
    Xds,
}

impl Root {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "request" => Root::Request,
            "response" => Root::Response,
            "connection" => Root::Connection,
            "upstream" => Root::Upstream,
            "source" => Root::Source,
            "destination" => Root::Destination,
            "filter_state" => Root::FilterState,
            "upstream_filter_state" => Root::UpstreamFilterState,
            "xds" => Root::Xds,
            _ => return None,
        })
    }
}

/// What can be asked about a request.
pub trait Attributes: fmt::Debug {
    /// An attribute.
    ///
    /// # Errors
    /// There is none of the name, or it has no value.
    fn attribute(&self, of: Root, name: &str) -> Result<Value<'_>, Failure>;

    /// Whether there is anything of these at all.
    fn has(&self, of: Root) -> bool;

    /// `metadata`: the request's dynamic metadata, a [`Value::Metadata`].
    fn metadata(&self) -> Value<'_>;
}
