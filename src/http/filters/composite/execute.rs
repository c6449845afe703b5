//! What a tree of conditions makes a request do at a filter: `ExecuteFilterAction`, `SkipFilter`.

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::filters::common::matcher::action::v3::SkipFilter;
use envoy_types::pb::envoy::extensions::filters::http::composite::v3;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;
use prost::Name as _;

use crate::config::extension::{Extension, ExtensionConfig, contained_type, find, read as unpack};
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};
use crate::config::runtime::RuntimeFraction;

use super::super::{filter_chain, match_delegate};

/// Conditions, and what they may lead to.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::filters) struct Conditions {
    pub(in crate::http::filters) tree: MatchTree<Action>,
    /// By their numbers.
    pub(super) executions: Vec<Execution>,
}

/// Where conditions lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::filters) enum Action {
    /// `SkipFilter`: the filter is left out.
    Skip,
    /// `ExecuteFilterAction`, by its number.
    Execute(usize),
}

/// `ExecuteFilterAction`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Execution {
    pub(super) filters: Filters,
    /// Of how many requests that the conditions lead here it is done; of all where nothing is said.
    pub(super) sample_percent: Option<RuntimeFraction>,
}

/// Which filters a request then passes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filters {
    /// `typed_config`
    One(ExtensionConfig),
    /// `filter_chain`
    Several(Vec<ExtensionConfig>),
    /// `filter_chain_name`
    Named(Arc<str>),
}

impl Conditions {
    /// From a tree whose actions may name filters of these.
    pub(in crate::http::filters) fn from_proto(
        message: Matcher,
        known: &'static [Extension],
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let mut actions = Actions { known, executions: Vec::new() };
        let tree = MatchTree::from_proto(message, &mut actions, at)?;
        Some(Conditions { tree, executions: actions.executions })
    }

    /// The same of a route.
    pub(in crate::http::filters) fn of_route(message: Matcher, at: &mut Scope<'_>) -> Option<Self> {
        let known = at.extensions().http_filters;
        Self::from_proto(message, known, at)
    }
}

/// The actions of trees while they are read.
struct Actions {
    /// The filters that may be executed.
    known: &'static [Extension],
    executions: Vec<Execution>,
}

impl Leaves for Actions {
    type Action = Action;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Action> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let found = contained_type(&any);
        let (skip, execute) = (SkipFilter::full_name(), v3::ExecuteFilterAction::full_name());
        let mut at = at.field("typed_config");
        if found == skip {
            open! { at, SkipFilter = unpack::<SkipFilter>(any, &mut at)?; implemented {} }
            return Some(Action::Skip);
        }
        if found != execute {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {skip}, \
                 {execute}"
            ));
            return None;
        }
        let message = unpack::<v3::ExecuteFilterAction>(any, &mut at)?;
        self.executions.push(Execution::from_proto(message, self.known, &mut at)?);
        Some(Action::Execute(self.executions.len() - 1))
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        if let Input::Later(name) = input {
            at.unsupported(format!("{name}: what the request's headers say decides which filters it passes"));
        }
    }
}

impl Execution {
    fn from_proto(
        message: v3::ExecuteFilterAction,
        known: &'static [Extension],
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        use v3::ExecuteFilterAction;
        open! { at, ExecuteFilterAction = message;
            implemented { typed_config, filter_chain, filter_chain_name, sample_percent }
            rejected { dynamic_config: "configurations of filters that conditions lead to are not discovered" }
        }
        let sample_percent = at.message("sample_percent", sample_percent, RuntimeFraction::from_proto);
        // Which of them counts where several are set is as in Envoy.
        let filters = if let Some(message) = filter_chain {
            Filters::Several(filter_chain_from_proto(message, known, &mut at.field("filter_chain"))?)
        } else if !filter_chain_name.is_empty() {
            Filters::Named(filter_chain_name.into())
        } else {
            let message = typed_config.unwrap_or_default();
            Filters::One(executed(message, known, &mut at.field("typed_config"))?)
        };
        Some(Execution { filters, sample_percent })
    }
}

/// `FilterChainConfiguration`
pub(super) fn filter_chain_from_proto(
    message: v3::FilterChainConfiguration,
    known: &'static [Extension],
    at: &mut Scope<'_>,
) -> Option<Vec<ExtensionConfig>> {
    use v3::FilterChainConfiguration;
    open! { at, FilterChainConfiguration = message; implemented { typed_config } }
    if typed_config.is_empty() {
        at.error("filter_chain must contain at least one filter.");
        return None;
    }
    Some(at.list("typed_config", typed_config, |message, at| executed(message, known, at)))
}

/// A filter that a request may be made to pass.
fn executed(
    message: envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig,
    known: &'static [Extension],
    at: &mut Scope<'_>,
) -> Option<ExtensionConfig> {
    let type_name = message.typed_config.as_ref().map(contained_type).unwrap_or_default();
    let nesting = [super::TYPE_NAME, filter_chain::TYPE_NAME, match_delegate::TYPE_NAME];
    let nests = nesting.contains(&type_name.as_str());
    if nests || find(&type_name, known).is_some_and(|extension| extension.terminal) {
        at.unsupported("a filter that ends the chain, or that leads to others itself, is not executed");
        return None;
    }
    ExtensionConfig::from_typed(message, known, at)
}
