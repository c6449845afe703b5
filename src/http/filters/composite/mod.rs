//! Filters that conditions lead to: `envoy.extensions.filters.http.composite.v3.Composite`.
//!
//! The conditions are its own, or those of the filter `match_delegate` around it. When the request's headers come to the
//! filter, those that they lead to take its place: requests and responses pass them as if they stood in the chain, by the
//! name of this one.

mod execute;

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::http::composite::v3;

use crate::config::extension::{Extension, ExtensionConfig};
use crate::config::field::{Scope, open};
use crate::http::filter::{self, Context, HttpFilter, Passing, Stream};
use crate::http::subject::subject;
use crate::observability::attributes::StreamAttributes;
use crate::observability::stats::http::CompositeStats;
use crate::observability::stats::{Registry, matching};
use crate::observability::stream_info::StateObject;

use super::read;
use execute::{Execution, Filters, filter_chain_from_proto};

pub(super) use execute::{Action, Conditions};

/// Full name of the message.
const TYPE_NAME: &str = "envoy.extensions.filters.http.composite.v3.Composite";

/// The object of the filter state that says which filters took whose place.
const MATCHED_ACTIONS: &str = "envoy.extensions.filters.http.composite.matched_actions";

/// The filter.
pub(super) const EXTENSION: Extension = Extension {
    name: "envoy.filters.http.composite",
    type_name: TYPE_NAME,
    terminal: false,
    parse: |bytes, at| {
        let known = at.extensions().http_filters;
        read(bytes, at, |message, at| Config::from_proto(message, known, false, at))
    },
    per_route: None,
};

/// The same between the router and a host.
pub(super) const UPSTREAM_EXTENSION: Extension = Extension {
    parse: |bytes, at| {
        let known = at.extensions().upstream_http_filters;
        read(bytes, at, |message, at| Config::from_proto(message, known, true, at))
    },
    ..EXTENSION
};

/// `Composite`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    named: BTreeMap<String, Vec<ExtensionConfig>>,
    conditions: Option<Conditions>,
    /// Whether it stands between the router and a host.
    upstream: bool,
}

impl Config {
    fn from_proto(
        message: v3::Composite,
        known: &'static [Extension],
        upstream: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::Composite;
        open! { at, Composite = message; implemented { named_filter_chains, matcher } }
        let mut named = BTreeMap::new();
        // In order, so that errors come in the same order each time.
        for (name, message) in named_filter_chains.into_iter().collect::<BTreeMap<_, _>>() {
            let filters = filter_chain_from_proto(message, known, &mut at.key("named_filter_chains", &name));
            named.extend(filters.map(|filters| (name, filters)));
        }
        let is_given = matcher.is_some();
        let conditions =
            at.message("matcher", matcher, |message, at| Conditions::from_proto(message, known, at));
        (conditions.is_some() == is_given).then_some(Config { named, conditions, upstream })
    }
}

/// What takes the place of the filter when conditions lead there.
#[derive(Debug)]
pub(super) struct Executions {
    name: Box<str>,
    upstream: bool,
    stats: CompositeStats,
    /// By the numbers of their actions; `None` where nothing has the name that one gives.
    all: Box<[Option<Compiled>]>,
}

#[derive(Debug)]
struct Compiled {
    execution: Execution,
    factories: Box<[Arc<dyn filter::Factory>]>,
}

impl Executions {
    /// Those of these conditions, which stand in this composite filter or around it.
    pub(super) fn new(config: &Config, conditions: Option<&Conditions>, context: &Context<'_>) -> Self {
        let compile = |execution: &Execution| {
            let filters: &[ExtensionConfig] = match &execution.filters {
                Filters::One(filter) => std::slice::from_ref(filter),
                Filters::Several(filters) => filters,
                Filters::Named(name) => config.named.get(&**name)?,
            };
            // All of them were found when the configuration was read.
            let factories = filters.iter().filter_map(|filter| super::factory(filter, context));
            Some(Compiled { execution: execution.clone(), factories: factories.collect() })
        };
        let executions = conditions.map_or(&[][..], |conditions| conditions.executions.as_slice());
        Executions {
            name: context.name.into(),
            upstream: config.upstream,
            stats: CompositeStats::new(context.registry, &format!("{}composite.", context.stat_prefix)),
            all: executions.iter().map(compile).collect(),
        }
    }

    /// The filters of an action; none where chance leaves the request out.
    pub(super) fn begin(&self, number: usize, stream: &mut Stream<'_>) -> Passing<'_> {
        let Some(Some(Compiled { execution, factories })) = self.all.get(number) else {
            return Passing::new();
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

/// What the requests of a chain share.
#[derive(Debug)]
pub(super) struct Factory {
    conditions: Option<Conditions>,
    executions: Executions,
}

impl Factory {
    pub(super) fn new(config: &Config, context: &Context<'_>) -> Self {
        let conditions = config.conditions.clone();
        count(conditions.as_ref(), context.registry);
        Factory { executions: Executions::new(config, conditions.as_ref(), context), conditions }
    }
}

/// Lets conditions count what they count.
pub(super) fn count(conditions: Option<&Conditions>, registry: &Registry) {
    if let Some(conditions) = conditions {
        conditions.tree.count_with(&matching::counters(registry));
    }
}

/// Where conditions lead a request to.
pub(super) fn find(conditions: &Conditions, stream: &Stream<'_>) -> Option<Action> {
    let snapshot = stream.worker.snapshot();
    let attributes = StreamAttributes::of_request(stream.request, stream.info);
    let request = subject(stream.request, stream.info, Some(&attributes), &snapshot.runtime);
    conditions.tree.find(&request).copied()
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::Composite(Filter(self))
    }
}

/// The filter for one request, until others take its place.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c>(&'c Factory);

impl<'c> Filter<'c> {
    /// What takes its place.
    pub(super) fn unfold(&self, stream: &mut Stream<'_>) -> Passing<'c> {
        let Factory { conditions, executions } = self.0;
        match conditions.as_ref().and_then(|conditions| find(conditions, stream)) {
            Some(Action::Execute(number)) => executions.begin(number, stream),
            Some(Action::Skip) | None => Passing::new(),
        }
    }
}

impl HttpFilter for Filter<'_> {}
