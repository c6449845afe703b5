//! `HttpConnectionManager.ProxyStatusConfig`

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager as v3;

use crate::config::field::{Scope, open};

/// What `proxy-status` says (RFC 9209).
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyStatus {
    /// Who says it.
    pub proxy_name: ProxyName,
    /// Say nothing of the details of the response code.
    pub remove_details: bool,
    /// Say nothing of why the connection ended.
    pub remove_connection_termination_details: bool,
    /// Say nothing of response flags.
    pub remove_response_flags: bool,
    /// Answer with the status that RFC 9209 recommends for the error.
    pub set_recommended_response_code: bool,
}

/// The name that a `proxy-status` begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum ProxyName {
    /// `server_name` of the connection manager.
    Server,
    /// The id of the node.
    NodeId,
    /// This one.
    Literal(String),
}

impl ProxyStatus {
    pub(super) fn from_proto(message: v3::ProxyStatusConfig, at: &mut Scope<'_>) -> Option<Self> {
        use v3::proxy_status_config::ProxyName as Message;
        open! { at, v3::ProxyStatusConfig = message;
            implemented {
                remove_details, remove_connection_termination_details, remove_response_flags,
                set_recommended_response_code, proxy_name,
            }
        }
        Some(ProxyStatus {
            proxy_name: match proxy_name {
                None => ProxyName::Server,
                // As in Envoy, where it counts that the field is set.
                Some(Message::UseNodeId(_)) => ProxyName::NodeId,
                Some(Message::LiteralProxyName(name)) => ProxyName::Literal(name),
            },
            remove_details,
            remove_connection_termination_details,
            remove_response_flags,
            set_recommended_response_code,
        })
    }
}
