//! Requests that go to another cluster as well: `envoy.config.route.v3.RouteAction.RequestMirrorPolicy`.

use envoy_types::pb::envoy::config::route::v3::route_action;

use super::HeaderMutation;
use super::headers::Header;
use crate::config::field::{Scope, open};
use crate::config::runtime::RuntimeFraction;

/// Where a copy of a request goes, and of which requests.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestMirrorPolicy {
    /// To which cluster.
    pub cluster: MirrorCluster,
    /// The share of requests that is mirrored; `None` means all.
    pub runtime_fraction: Option<RuntimeFraction>,
    /// Whether the host keeps its name; else `-shadow` is appended to it. It has none where it is rewritten.
    pub disable_shadow_host_suffix_append: bool,
    /// Changes of the copy's headers, before its host is made.
    pub request_headers_mutations: Vec<HeaderMutation>,
    /// The copy's host; `None` leaves that of the request.
    pub host_rewrite_literal: Option<String>,
}

/// What says to which cluster a copy goes.
#[derive(Clone, Debug, PartialEq)]
pub enum MirrorCluster {
    /// This one.
    Name(String),
    /// The one that this request header names; nothing is mirrored where it is missing.
    Header(String),
}

/// From its proto.
pub(in crate::config) fn mirror_policy(
    message: route_action::RequestMirrorPolicy,
    at: &mut Scope<'_>,
) -> Option<RequestMirrorPolicy> {
    use route_action::RequestMirrorPolicy as Message;
    open! { at, Message = message;
        implemented {
            cluster, cluster_header, runtime_fraction, disable_shadow_host_suffix_append, host_rewrite_literal,
            request_headers_mutations,
        }
        ignored { trace_sampled: "copies have no spans of their own" }
    }
    let runtime_fraction = at.message("runtime_fraction", runtime_fraction, RuntimeFraction::from_proto);
    let cluster = match (cluster.is_empty(), cluster_header.is_empty()) {
        (false, true) => MirrorCluster::Name(cluster),
        (true, false) => {
            MirrorCluster::Header(Header::name(cluster_header, &mut at.field("cluster_header"))?)
        }
        (true, true) => {
            at.error(
                "Exactly one of cluster or cluster_header need to be specified in request mirror policy",
            );
            return None;
        }
        (false, false) => {
            at.error(format!(
                "Only one of cluster '{cluster}' or cluster_header '{cluster_header}' in request mirror policy can be \
                 specified"
            ));
            return None;
        }
    };
    Some(RequestMirrorPolicy {
        cluster,
        runtime_fraction,
        disable_shadow_host_suffix_append,
        request_headers_mutations: at.list(
            "request_headers_mutations",
            request_headers_mutations,
            HeaderMutation::from_proto,
        ),
        host_rewrite_literal: Some(host_rewrite_literal).filter(|host| !host.is_empty()),
    })
}
