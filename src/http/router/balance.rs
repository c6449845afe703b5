//! What a request and its route bring to the choice of its host.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::headers::Headers;
use crate::config::cluster::Discovery;
use crate::config::route::RouteAction;
use crate::http::downstream::Downstream;
use crate::http::dynamic_host;
use crate::http::exchange::Exchange;
use crate::http::worker::Worker;
use crate::route::mutation::Levels;
use crate::upstream::pool::{ClusterPool, HostPool, Members};
use crate::upstream::{Cluster, lb, leading};

use super::call_tries::CallTries;
use super::names;
use super::original_dst;
use super::override_host::{self, Named};
use super::retry::Attempts;
use super::subset::{self, Criteria};

impl<D: Downstream> Exchange<'_, D> {
    /// The host of the cluster's balancer.
    pub(super) fn balance(
        &mut self,
        cluster: &Arc<Cluster>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        if cluster.config.discovery.leads_to_others() {
            return self.balance_others(cluster, action, levels, attempts);
        }
        let hash = self.hash_for(cluster, action);
        let worker = &self.connection.worker;
        let hosts = worker.pools.of(cluster);
        if let Some(members) = members(worker, &hosts) {
            self.aggregate = Some(Arc::clone(cluster));
            return self.balance_members(&members, action, levels, attempts);
        }
        self.aggregate = None;
        if cluster.config.lb.subsets.is_some() {
            return self.balance_subsets(&hosts, hash, levels, attempts);
        }
        let mut rng = worker.rng.borrow_mut();
        let load_without =
            |tried: &[u32]| hosts.load_without(&mut rng, tried, Some(&worker.snapshot().runtime));
        let load = attempts.as_mut().and_then(|attempts| attempts.load(load_without));
        drop(rng);
        let choice = lb::Choice { hash, load: load.as_ref(), ..lb::Choice::default() };
        let chosen = self.balance_within(&hosts, choice, levels, attempts)?;
        if let Some(attempts) = attempts {
            attempts.note_host(&chosen.host, chosen.host.priority());
        }
        Some(chosen)
    }

    /// The host of a subset: which one is meant is for it to say, and so what is left without some priorities.
    fn balance_subsets(
        &mut self,
        hosts: &ClusterPool,
        hash: Option<u64>,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let tried = attempts.as_ref().and_then(|attempts| attempts.tried_priorities());
        let left_out = tried.map(lb::LeftOut::new);
        let choice = lb::Choice { hash, left_out: left_out.as_ref(), ..lb::Choice::default() };
        let chosen = self.balance_within(hosts, choice, levels, attempts)?;
        let are_all = left_out.is_some_and(|left_out| left_out.are_all());
        if let Some(attempts) = attempts {
            if are_all {
                attempts.forget_priorities();
            }
            attempts.note_host(&chosen.host, chosen.host.priority());
        }
        Some(chosen)
    }

    /// The host of the first of those clusters that has one to which this one leads.
    #[cold]
    fn balance_others(
        &mut self,
        cluster: &Arc<Cluster>,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let attempt = self.info.upstream_attempts.saturating_sub(1) as usize;
        let (headers, notes) = (&self.headers.request, self.info.notes());
        let name = || dynamic_host::name(headers, notes, cluster.default_port());
        let others = leading::others(cluster, attempt, &self.connection.worker.snapshot().clusters, name);
        let chosen = others.iter().find_map(|other| self.balance(other, action, levels, attempts));
        self.aggregate = Some(Arc::clone(cluster));
        chosen
    }

    /// The host of the balancer of one of the clusters.
    #[cold]
    fn balance_members(
        &mut self,
        members: &Members,
        action: &RouteAction,
        levels: Levels<'_>,
        attempts: &mut Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let load =
            attempts.as_mut().and_then(|attempts| attempts.load(|tried| members.linear.load_without(tried)));
        let place = members.linear.choose(self.connection.worker.random(), load.as_ref())?;
        let hosts = members.pool(place.member)?;
        let hash = self.hash_for(&hosts.cluster, action);
        let choice = lb::Choice { hash, load: Some(&place.load), ..lb::Choice::default() };
        let chosen = self.balance_within(hosts, choice, levels, attempts)?;
        if let Some(attempts) = attempts {
            attempts.note_host(&chosen.host, place.priority);
        }
        Some(chosen)
    }

    /// A host of a cluster that has hosts of its own, by this hash and this load of its priorities.
    fn balance_within(
        &self,
        hosts: &ClusterPool,
        choice: lb::Choice<'_>,
        levels: Levels<'_>,
        attempts: &Option<Box<Attempts<'_>>>,
    ) -> Option<Rc<HostPool>> {
        let (worker, cluster) = (&self.connection.worker, &hosts.cluster);
        let mut rng = worker.rng.borrow_mut();
        let avoid = attempts.as_ref().and_then(|attempts| attempts.avoid());
        let choice = lb::Choice { avoid, ..choice };
        if cluster.is_plain() {
            return hosts.choose(&mut rng, &choice);
        }
        if let Discovery::OriginalDst(config) = &cluster.config.discovery {
            let (headers, notes) = (&self.headers.request, self.info.notes());
            let named = original_dst::destination(config, cluster, headers, notes);
            return hosts.at(named.or_else(|| original_dst::restored(config, &self.info.connection))?);
        }
        if let Discovery::DynamicForwardProxy(_) = cluster.config.discovery {
            let (headers, notes) = (&self.headers.request, self.info.notes());
            return hosts.named(&dynamic_host::name(headers, notes, cluster.default_port())?);
        }
        let criteria = match cluster.config.lb.subsets {
            None => Criteria::new(),
            Some(_) => subset::criteria(levels.metadata_match(), self.info.notes()),
        };
        let named = match &cluster.config.lb.override_host {
            None => Named::new(),
            Some(config) => override_host::named(config, &self.headers.request, self.info.notes()),
        };
        let snapshot = worker.snapshot();
        let choice = lb::Choice {
            criteria: &criteria,
            runtime: Some(&snapshot.runtime),
            now: cluster.age(),
            named: &named,
            attempts: self.info.upstream_attempts.saturating_sub(1) as usize,
            ..choice
        };
        hosts.choose(&mut rng, &choice)
    }
}

/// The host for a copy of a request, or for an attempt of a call, which have no route.
pub(super) fn balance_copy(
    worker: &Worker,
    cluster: &Arc<Cluster>,
    headers: &Headers,
    mut tries: Option<&mut CallTries<'_>>,
) -> Option<Rc<HostPool>> {
    if cluster.config.discovery.leads_to_others() {
        let name = || dynamic_host::name(headers, None, cluster.default_port());
        let others = leading::others(cluster, 0, &worker.snapshot().clusters, name);
        return others.iter().find_map(|other| balance_copy(worker, other, headers, tries.as_deref_mut()));
    }
    let hosts = worker.pools.of(cluster);
    let (chosen, priority) = match members(worker, &hosts) {
        None => {
            let chosen = copy_within(worker, &hosts, headers, tries.as_deref_mut())?;
            let priority = chosen.host.priority();
            (chosen, priority)
        }
        Some(members) => {
            let load =
                tries.as_deref_mut().and_then(|tries| tries.load(|tried| members.linear.load_without(tried)));
            let place = members.linear.choose(worker.random(), load.as_ref())?;
            let avoid = tries.as_deref().and_then(CallTries::avoid);
            let choice = lb::Choice { load: Some(&place.load), avoid, ..lb::Choice::default() };
            (copy_by(worker, members.pool(place.member)?, headers, &choice)?, place.priority)
        }
    };
    if let Some(tries) = tries {
        tries.note_host(&chosen.host, priority);
    }
    Some(match names::options(cluster, headers, None) {
        None => chosen,
        Some(options) => chosen.varied(&options),
    })
}

/// The same of a cluster that has hosts of its own.
fn copy_within(
    worker: &Worker,
    hosts: &ClusterPool,
    headers: &Headers,
    tries: Option<&mut CallTries<'_>>,
) -> Option<Rc<HostPool>> {
    let Some(tries) = tries else { return copy_by(worker, hosts, headers, &lb::Choice::default()) };
    if hosts.cluster.config.lb.subsets.is_some() {
        let left_out = tries.tried_priorities().map(lb::LeftOut::new);
        let choice =
            lb::Choice { left_out: left_out.as_ref(), avoid: tries.avoid(), ..lb::Choice::default() };
        let chosen = copy_by(worker, hosts, headers, &choice);
        if left_out.is_some_and(|left_out| left_out.are_all()) {
            tries.forget_priorities();
        }
        return chosen;
    }
    let runtime = &worker.snapshot().runtime;
    let load = tries.load(|tried| hosts.load_without(&mut worker.rng.borrow_mut(), tried, Some(runtime)));
    let choice = lb::Choice { load: load.as_ref(), avoid: tries.avoid(), ..lb::Choice::default() };
    copy_by(worker, hosts, headers, &choice)
}

/// The same with what there is to choose by.
fn copy_by(
    worker: &Worker,
    hosts: &ClusterPool,
    headers: &Headers,
    choice: &lb::Choice<'_>,
) -> Option<Rc<HostPool>> {
    let cluster = &hosts.cluster;
    match &cluster.config.discovery {
        Discovery::OriginalDst(config) => {
            hosts.at(original_dst::destination(config, cluster, headers, None)?)
        }
        Discovery::DynamicForwardProxy(_) => {
            hosts.named(&dynamic_host::name(headers, None, cluster.default_port())?)
        }
        _ => hosts.choose(&mut worker.rng.borrow_mut(), choice),
    }
}

/// The clusters whose hosts an aggregate cluster has; `None` where it is none.
#[inline]
fn members(worker: &Worker, hosts: &ClusterPool) -> Option<Rc<Members>> {
    if hosts.cluster.is_plain() {
        return None;
    }
    hosts.members(&worker.pools, &worker.snapshot().clusters)
}
