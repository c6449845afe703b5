//! What takes the place of a filter when conditions lead there, be they its own, those around it or those of a route.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::config::extension::{ExtensionConfig, find as find_extension};
use crate::http::filter::{self, Context, Passing, Stream, WHOLE_BUFFER};
use crate::http::filters::{MissingConfig, UPSTREAM_EXTENSIONS, factory};
use crate::http::subject::subject;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stats::http::CompositeStats;
use crate::observability::stats::{Registry, matching};
use crate::observability::stream_info::StateObject;
use crate::route::mutation::Levels;

use super::execute::{Action, Conditions, Execution, Filters};
use super::{Config, RouteConfig};

/// The object of the filter state that says which filters took whose place.
const MATCHED_ACTIONS: &str = "envoy.extensions.filters.http.composite.matched_actions";

/// What the statistics of filters begin with that conditions of routes lead to: their connection manager is not known.
const ROUTE_PREFIX: &str = "http..";

type Factories = Box<[Arc<dyn filter::Factory>]>;

/// Where a composite filter stands.
#[derive(Debug)]
pub(in crate::http::filters) struct Place {
    name: Box<str>,
    registry: Registry,
    upstream: bool,
    stats: CompositeStats,
    named: BTreeMap<String, Factories>,
    /// What answers where a route leads to filters that cannot be there.
    refusal: MissingConfig,
}

/// What the actions of a tree lead to, by their numbers.
#[derive(Debug)]
pub(in crate::http::filters) struct Executions(Box<[Compiled]>);

#[derive(Debug)]
struct Compiled {
    execution: Execution,
    /// None where they are those of a name.
    factories: Factories,
}

impl Executions {
    /// Those of these conditions.
    pub(in crate::http::filters) fn new(conditions: Option<&Conditions>, context: &Context<'_>) -> Self {
        let compile = |execution: &Execution| {
            let filters: &[ExtensionConfig] = match &execution.filters {
                Filters::One(filter) => std::slice::from_ref(filter),
                Filters::Several(filters) => filters,
                Filters::Named(_) => &[],
            };
            Compiled { execution: execution.clone(), factories: factories(filters, context) }
        };
        let executions = conditions.map_or(&[][..], |conditions| conditions.executions.as_slice());
        Executions(executions.iter().map(compile).collect())
    }
}

/// The filters of a list, compiled. All of them were found when the configuration was read.
fn factories(filters: &[ExtensionConfig], context: &Context<'_>) -> Factories {
    filters.iter().filter_map(|filter| factory(filter, context)).collect()
}

impl Place {
    /// That of a composite filter, alone or within another.
    pub(in crate::http::filters) fn new(config: &Config, context: &Context<'_>) -> Self {
        let compile = |(name, filters): (&String, &Vec<ExtensionConfig>)| {
            (name.clone(), factories(filters, context))
        };
        // As in Envoy none has a name before a host.
        let named = config.named.iter().filter(|_| !config.upstream).map(compile);
        Place {
            name: context.name.into(),
            registry: context.registry.clone(),
            upstream: config.upstream,
            stats: CompositeStats::new(context.registry, &format!("{}composite.", context.stat_prefix)),
            named: named.collect(),
            refusal: MissingConfig::new(context.name),
        }
    }

    /// The filters of an action; none where chance leaves the request out, or nothing has the name that it gives.
    pub(in crate::http::filters) fn begin<'c>(
        &'c self,
        executions: &'c Executions,
        number: usize,
        stream: &mut Stream<'_>,
    ) -> Passing<'c> {
        let Some(Compiled { execution, factories }) = executions.0.get(number) else {
            return Passing::new();
        };
        let factories = match &execution.filters {
            Filters::One(_) | Filters::Several(_) => factories,
            Filters::Named(name) => match self.named.get(&**name) {
                Some(factories) => factories,
                None => return Passing::new(),
            },
        };
        if execution.sample_percent.as_ref().is_some_and(|share| !stream.draws(share)) {
            return Passing::new();
        }
        self.stats.filter_delegation_success().inc();
        if !self.upstream {
            self.note(execution, stream);
        }
        factories.iter().map(|factory| factory.create()).collect()
    }

    /// What the route puts in the place of the filter; `None` where it has no conditions for it.
    pub(in crate::http::filters) fn of_route<'c>(
        &'c self,
        stream: &mut Stream<'_>,
        levels: Option<Levels<'c>>,
    ) -> Option<Passing<'c>> {
        let RouteConfig(route) = stream.route_config(&self.name)?;
        let conditions = route.conditions(&self.name, &self.registry);
        let action = conditions.and_then(|conditions| find(conditions, stream));
        let Some(Action::Execute(number)) = action else { return Some(Passing::new()) };
        let of_route = levels.and_then(|levels| levels.filter_config::<RouteConfig>(&self.name));
        Some(self.routed(of_route.map(|RouteConfig(route)| route), number, stream))
    }

    /// The filters of an action of a route; an answer where one of them cannot stand here.
    pub(in crate::http::filters) fn routed<'c>(
        &'c self,
        route: Option<&'c RouteConditions>,
        number: usize,
        stream: &mut Stream<'_>,
    ) -> Passing<'c> {
        match route {
            Some(route) if !self.upstream || route.suits_hosts(number) => {
                self.begin(route.executions(&self.name, &self.registry), number, stream)
            }
            _ => [filter::Factory::create(&self.refusal)].into_iter().collect(),
        }
    }

    /// Notes in the filter state what takes the place of this filter.
    fn note(&self, execution: &Execution, stream: &mut Stream<'_>) {
        let action: &str = match &execution.filters {
            Filters::One(filter) => &filter.name,
            Filters::Several(_) => "filter_chain",
            Filters::Named(name) => name,
        };
        let notes = stream.info.notes_mut();
        let known = notes.state(MATCHED_ACTIONS).map(StateObject::text);
        let mut actions: BTreeMap<String, String> =
            known.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
        actions.insert(self.name.to_string(), action.to_owned());
        // Texts by texts are always JSON.
        let json = serde_json::to_vec(&actions).unwrap_or_default();
        notes.set_state(MATCHED_ACTIONS, StateObject::Value(json.into()));
    }
}

/// Conditions of a route in place of those of a filter, and what they lead to.
#[derive(Debug)]
pub(in crate::http::filters) struct RouteConditions {
    conditions: Option<Conditions>,
    /// Made, and counted with, when a request first comes to them: tables know no statistics when they are read.
    executions: OnceLock<Executions>,
}

impl PartialEq for RouteConditions {
    fn eq(&self, other: &Self) -> bool {
        self.conditions == other.conditions
    }
}

impl RouteConditions {
    /// From what was read.
    pub(in crate::http::filters) fn new(conditions: Option<Conditions>) -> Self {
        RouteConditions { conditions, executions: OnceLock::new() }
    }

    /// The conditions, which count from the first time on that they are asked for.
    pub(in crate::http::filters) fn conditions(
        &self,
        name: &str,
        registry: &Registry,
    ) -> Option<&Conditions> {
        self.executions(name, registry);
        self.conditions.as_ref()
    }

    /// Whether the filters of an action may stand between the router and a host. Those of a name do: they are the
    /// composite filter's.
    fn suits_hosts(&self, number: usize) -> bool {
        let execution = self.conditions.as_ref().and_then(|conditions| conditions.executions.get(number));
        let suits = |filter: &ExtensionConfig| find_extension(filter.type_name, UPSTREAM_EXTENSIONS).is_some();
        match execution.map(|execution| &execution.filters) {
            Some(Filters::One(filter)) => suits(filter),
            Some(Filters::Several(filters)) => filters.iter().all(suits),
            Some(Filters::Named(_)) | None => true,
        }
    }

    fn executions(&self, name: &str, registry: &Registry) -> &Executions {
        self.executions.get_or_init(|| {
            let conditions = self.conditions.as_ref();
            count(conditions, registry);
            let (stat_prefix, buffer_limit) = (ROUTE_PREFIX, WHOLE_BUFFER);
            Executions::new(conditions, &Context { name, registry, stat_prefix, buffer_limit })
        })
    }
}

/// Lets conditions count what they count.
pub(in crate::http::filters) fn count(conditions: Option<&Conditions>, registry: &Registry) {
    if let Some(conditions) = conditions {
        conditions.tree.count_with(&matching::counters(registry));
    }
}

/// Where conditions lead a request to.
pub(in crate::http::filters) fn find(conditions: &Conditions, stream: &Stream<'_>) -> Option<Action> {
    let snapshot = stream.worker.snapshot();
    let attributes = StreamAttributes::of_request(stream.request, stream.info);
    let request = subject(stream.request, stream.info, Some(&attributes), &snapshot.runtime);
    conditions.tree.find(&request).copied()
}
