//! The configuration: `envoy.extensions.filters.network.rbac.v3.RBAC`.

use std::time::Duration;

use envoy_types::pb::envoy::config::rbac::v3 as rbac;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;

use crate::config::field::{Scope, open};
use crate::config::match_tree::Input;
use crate::config::rbac::{Engine, Rules, Tree};

/// `envoy.extensions.filters.network.rbac.v3.RBAC`
#[derive(Clone, Debug, PartialEq)]
pub(in crate::network) struct Config {
    /// What decides; all pass where nothing does.
    pub(super) enforced: Option<Engine>,
    /// What would decide otherwise, and is only counted and noted.
    pub(super) shadow: Option<Engine>,
    /// Before the names of what the shadow counts and notes.
    pub(super) shadow_rules_stat_prefix: String,
    pub(super) stat_prefix: String,
    /// Whether all that comes is decided about, and not what comes first alone.
    pub(super) is_continuous: bool,
    /// How long who is denied stays connected; `None` for not at all.
    pub(super) delay_deny: Option<Duration>,
}

impl Config {
    pub(super) fn from_proto(message: v3::Rbac, at: &mut Scope<'_>) -> Option<Self> {
        use v3::rbac::EnforcementType;
        open! { at, v3::Rbac = message;
            implemented {
                rules, matcher, shadow_rules, shadow_matcher, shadow_rules_stat_prefix, stat_prefix,
                enforcement_type, delay_deny,
            }
        }
        Some(Config {
            enforced: engine(("rules", rules), ("matcher", matcher), at),
            shadow: engine(("shadow_rules", shadow_rules), ("shadow_matcher", shadow_matcher), at),
            shadow_rules_stat_prefix,
            stat_prefix: at.required_string("stat_prefix", stat_prefix),
            is_continuous: at.enumeration::<EnforcementType>("enforcement_type", enforcement_type)
                == EnforcementType::Continuous,
            delay_deny: at.duration("delay_deny", delay_deny).filter(|delay| !delay.is_zero()),
        })
    }
}

/// What decides: the tree, or where there is none, the rules.
fn engine(
    (of_rules, rules): (&str, Option<rbac::Rbac>),
    (of_tree, tree): (&str, Option<Matcher>),
    at: &mut Scope<'_>,
) -> Option<Engine> {
    let rules = at.message(of_rules, rules, |message, at| {
        let rules = Rules::from_proto(message, at)?;
        if let Some(header) = rules.header() {
            at.error(format!("Found header({header}) rule,not supported by RBAC network filter"));
        }
        Some(rules)
    });
    let tree = at.message(of_tree, tree, |message, at| Tree::from_proto(message, check_input, at));
    tree.map(Engine::Tree).or(rules.map(Engine::Rules))
}

/// Notes an error where an input is none that connections have.
fn check_input(input: &Input, at: &mut Scope<'_>) {
    if !input.is_of_connections() {
        let url = input.type_url();
        at.error(format!(
            "requirement violation while creating RBAC match tree: INVALID_ARGUMENT: RBAC network filter cannot match '{url}'"
        ));
    }
}
