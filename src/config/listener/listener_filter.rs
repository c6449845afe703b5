//! Listener filters: `envoy.config.listener.v3.ListenerFilter`.

use std::net::SocketAddr;
use std::ops::Range;

use envoy_types::pb::envoy::config::listener::v3;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::pb::google::protobuf as pb;

use crate::config::extension::ExtensionConfig;
use crate::config::extension_source::{ConfigType, FilterConfigType, FilterKind};
use crate::config::field::{Scope, open};

/// A listener filter as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerFilter {
    /// Its name, and that of its configuration where that is discovered.
    pub name: String,
    /// Which filter, and what it is told.
    pub config: FilterConfigType,
    /// The connections that pass it unseen; `None` for none.
    pub disabled: Option<Predicate>,
}

/// `envoy.config.listener.v3.ListenerFilterChainMatchPredicate`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `or_match`
    Or(Vec<Predicate>),
    /// `and_match`
    And(Vec<Predicate>),
    /// `not_match`
    Not(Box<Predicate>),
    /// `any_match`: all connections.
    Any,
    /// `destination_port_range`; never of Unix sockets.
    DestinationPort(Range<i32>),
}

impl Predicate {
    /// Whether it holds of a connection to this address; `None` for Unix sockets.
    pub fn holds(&self, local: Option<SocketAddr>) -> bool {
        match self {
            Predicate::Or(rules) => rules.iter().any(|rule| rule.holds(local)),
            Predicate::And(rules) => rules.iter().all(|rule| rule.holds(local)),
            Predicate::Not(rule) => !rule.holds(local),
            Predicate::Any => true,
            Predicate::DestinationPort(range) => {
                local.is_some_and(|local| range.contains(&local.port().into()))
            }
        }
    }

    fn from_proto(message: v3::ListenerFilterChainMatchPredicate, at: &mut Scope<'_>) -> Option<Self> {
        use v3::listener_filter_chain_match_predicate::Rule;
        open! { at, v3::ListenerFilterChainMatchPredicate = message; implemented { rule } }
        Some(match at.required("rule", rule)? {
            Rule::OrMatch(set) => Predicate::Or(rules(set, &mut at.field("or_match"))),
            Rule::AndMatch(set) => Predicate::And(rules(set, &mut at.field("and_match"))),
            Rule::NotMatch(rule) => {
                Predicate::Not(Box::new(Predicate::from_proto(*rule, &mut at.field("not_match"))?))
            }
            Rule::AnyMatch(any) => {
                if !any {
                    at.field("any_match").violation("value must equal true");
                }
                Predicate::Any
            }
            Rule::DestinationPortRange(range) => {
                let mut at = at.field("destination_port_range");
                open! { at, Int32Range = range; implemented { start, end } }
                Predicate::DestinationPort(start..end)
            }
        })
    }
}

fn rules(message: v3::listener_filter_chain_match_predicate::MatchSet, at: &mut Scope<'_>) -> Vec<Predicate> {
    use v3::listener_filter_chain_match_predicate::MatchSet;
    open! { at, MatchSet = message; implemented { rules } }
    if rules.len() < 2 {
        at.field("rules").violation("value must contain at least 2 item(s)");
    }
    at.list("rules", rules, Predicate::from_proto)
}

impl ListenerFilter {
    /// What finds out where connections were sent to that iptables redirected: where they are to be handed on, it comes
    /// after those that are configured.
    pub(super) fn original_dst(at: &mut Scope<'_>) -> Option<Self> {
        let any = pb::Any {
            type_url: "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
                .into(),
            value: Vec::new(),
        };
        let known = at.extensions().listener_filters;
        let name = "envoy.filters.listener.original_dst";
        let config = ExtensionConfig::from_any(name, any, known, at)?;
        Some(ListenerFilter {
            name: name.to_owned(),
            config: FilterConfigType::Typed(config),
            disabled: None,
        })
    }

    pub(super) fn from_proto(message: v3::ListenerFilter, at: &mut Scope<'_>) -> Option<Self> {
        use v3::listener_filter::ConfigType as Choice;
        open! { at, v3::ListenerFilter = message; implemented { name, filter_disabled, config_type } }
        let name = at.required_string("name", name);
        let disabled = at.message("filter_disabled", filter_disabled, Predicate::from_proto);
        let choice = config_type.map(|choice| match choice {
            Choice::TypedConfig(any) => ConfigType::Typed(any),
            Choice::ConfigDiscovery(source) => ConfigType::Discovery(source.into()),
        });
        let config = FilterConfigType::from_proto(&name, choice, FilterKind::Listener, false, at)?;
        Some(ListenerFilter { name, config, disabled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_holds_of_ports_and_what_is_made_of_them() {
        let low = Predicate::DestinationPort(1..80);
        let rule = Predicate::And(vec![
            Predicate::Not(Box::new(low.clone())),
            Predicate::Or(vec![low, Predicate::DestinationPort(90..100)]),
        ]);
        let holds = |port: u16| rule.holds(Some(([127, 0, 0, 1], port).into()));
        assert_eq!([79, 80, 90, 99, 100].map(holds), [false, false, true, true, false]);
        assert!(!rule.holds(None) && Predicate::Any.holds(None));
    }
}
