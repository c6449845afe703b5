//! How a cluster's hosts are found, and how one of them is chosen: two choices that have to fit each other.

use envoy_types::pb::google::protobuf as pb;

use super::dns::Resolving;
use super::{CommonLb, Discovery, LbPolicy, discovery, dynamic_forward_proxy, hashing, lb, original_dst};
use crate::config::field::Scope;

/// Both.
pub(super) struct Hosts {
    /// `None` where it is wrong.
    pub(super) discovery: Option<Discovery>,
    pub(super) lb_policy: LbPolicy,
    pub(super) lb: CommonLb,
}

/// The fields of a cluster as they came.
pub(super) struct Given {
    pub(super) found: discovery::Given,
    pub(super) dns: Resolving,
    pub(super) cleanup_interval: Option<pb::Duration>,
    pub(super) named: dynamic_forward_proxy::Given,
    pub(super) balancing: lb::Given,
}

impl Given {
    /// Of the cluster of this name.
    pub(super) fn read(self, name: &str, at: &mut Scope<'_>) -> Option<Hosts> {
        let Given { found, dns, cleanup_interval, named, balancing } = self;
        let specifier = found.cluster_discovery_type.as_ref();
        let policy_fits = original_dst::check_policy(specifier, balancing.lb_policy, at);
        let lb_config = lb::original_dst(balancing.lb_config.as_ref());
        let original_dst = original_dst::Given { lb_config, cleanup_interval };
        let discovery = found.read(name, dns, original_dst, named, at);
        hashing::check_names(balancing.common_lb_config.as_ref(), discovery.as_ref(), at);
        let (lb_policy, lb) = lb::from_proto(name, balancing, at)?;
        if policy_fits {
            discovery::check_provided(name, discovery.as_ref(), &lb_policy, at);
        }
        Some(Hosts { discovery, lb_policy, lb })
    }
}
