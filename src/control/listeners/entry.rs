//! What there is of a listener: what is in force, what warms, and what either becomes with the filter chains that come.

use std::sync::Arc;

use super::Serve;
use crate::config;
use crate::config::listener::FilterChain;
use crate::control::extensions::Extensions;
use crate::control::filter_chains::FilterChains;
use crate::control::references::{
    ExtensionReference, chain_extension_references, extension_references, route_references, scope_references,
};
use crate::control::routes::Routes;
use crate::control::scopes::Scopes;
use crate::control::secrets::Secrets;

/// What listeners may wait for.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// RDS.
    pub routes: &'a Routes,
    /// SRDS.
    pub scopes: &'a Scopes,
    /// ECDS.
    pub extensions: &'a Extensions,
    /// SDS.
    pub secrets: &'a Secrets,
    /// FCDS.
    pub chains: &'a FilterChains,
}

/// Whether what filter chains refer to is there, but for their secrets.
pub fn is_settled<'c>(
    chains: impl Iterator<Item = &'c FilterChain> + Clone,
    routes: &Routes,
    scopes: &Scopes,
    extensions: &Extensions,
) -> bool {
    scope_references(chains.clone()).all(|reference| scopes.is_settled(&reference.scopes.from))
        && route_references(chains.clone(), scopes).iter().all(|reference| routes.is_settled(reference))
        && are_settled(chain_extension_references(chains), extensions, routes)
}

/// Whether configurations of filters are there, and the route tables that they refer to.
fn are_settled(
    mut references: impl Iterator<Item = ExtensionReference>,
    extensions: &Extensions,
    routes: &Routes,
) -> bool {
    references.all(|reference| {
        let route = extensions.route_of(&reference);
        extensions.is_settled(&reference) && route.is_none_or(|route| routes.is_settled(&route))
    })
}

/// What there is under one name.
#[derive(Debug)]
pub(super) struct Entry<P> {
    pub(super) active: Option<Arc<config::Listener>>,
    pub(super) warming: Option<Warming<P>>,
    /// What is in force, with the filter chains that came for it; of which version those are.
    pub(super) composed: Option<(Arc<config::Listener>, u64)>,
    /// Whether it comes from the bootstrap.
    pub(super) fixed: bool,
}

#[derive(Debug)]
pub(super) struct Warming<P> {
    pub(super) config: Arc<config::Listener>,
    /// The same with the filter chains that came for it.
    pub(super) composed: Arc<config::Listener>,
    /// The version of the chains that were last looked at, whether they could be made or not.
    pub(super) version: Option<u64>,
    pub(super) prepared: P,
    /// Whether it is in force already, but for filter chains that came or went.
    pub(super) in_force: bool,
}

impl<P> Entry<P> {
    pub(super) fn newest(&self) -> Option<&Arc<config::Listener>> {
        self.warming.as_ref().map(|warming| &warming.config).or(self.active.as_ref())
    }

    pub(super) fn configs(&self) -> impl Iterator<Item = &Arc<config::Listener>> {
        self.active.iter().chain(self.warming.as_ref().map(|warming| &warming.config))
    }
}

impl<P> Entry<P> {
    /// Prepares what it becomes with the filter chains that are there now. True where these are others than before.
    pub(super) fn compose<S: Serve<Prepared = P>>(&mut self, serve: &mut S, chains: &FilterChains) -> bool {
        let template = match (&self.warming, &self.active) {
            (Some(warming), _) => Arc::clone(&warming.config),
            (None, Some(active)) => Arc::clone(active),
            (None, None) => return false,
        };
        if template.fcds.is_none() || self.version() == Some(chains.version()) {
            return false;
        }
        let composed = Arc::new(template.with_chains(|source, name| chains.find(source, name)));
        let newest = self.warming.as_ref().map(|warming| &warming.composed);
        let newest = newest.or(self.composed.as_ref().map(|(composed, _)| composed));
        if newest == Some(&composed) {
            self.note(chains.version());
            return false;
        }
        let warming = self.warming.as_ref().map(|warming| &warming.prepared);
        match serve.compose(Arc::clone(&composed), warming) {
            Ok(prepared) => {
                let in_force = self.warming.as_ref().is_none_or(|warming| warming.in_force);
                let version = Some(chains.version());
                self.warming = Some(Warming { config: template, composed, version, prepared, in_force });
            }
            Err(problem) => {
                tracing::error!(target: "config", listener = template.name, problem, "filter chains cannot be served");
                // It is not tried again until others come.
                match &mut self.warming {
                    Some(warming) => warming.version = Some(chains.version()),
                    None => self.composed.get_or_insert((template, 0)).1 = chains.version(),
                }
            }
        }
        true
    }

    /// The version of the chains that were last looked at for what is newest.
    fn version(&self) -> Option<u64> {
        match &self.warming {
            Some(warming) => warming.version,
            None => self.composed.as_ref().map(|(_, version)| *version),
        }
    }

    fn note(&mut self, looked_at: u64) {
        match (&mut self.warming, &mut self.composed) {
            (Some(warming), _) => warming.version = Some(looked_at),
            (None, Some((_, version))) => *version = looked_at,
            (None, None) => (),
        }
    }
}

impl<P> Warming<P> {
    pub(super) fn is_ready(&self, settled: &Settled<'_>) -> bool {
        let Settled { routes, scopes, extensions, secrets, chains } = settled;
        self.config.awaited_chains().all(|(name, source)| chains.is_settled(source, name))
            && are_settled(extension_references(&self.config), extensions, routes)
            && is_settled(self.config.chains(), routes, scopes, extensions)
            && self.composed.secrets().all(|reference| secrets.is_settled(reference))
            && route_references(self.composed.chains(), scopes)
                .iter()
                .flat_map(|reference| routes.secrets(reference))
                .all(|reference| secrets.is_settled(reference))
    }
}
