//! `envoy.config.rbac.v3.RBAC`, and trees of its actions.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::rbac::v3;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3::Matcher;

use super::{Action, MtlsAuthenticated, Policy, Rule, Rules, Tree, TreeAction, UpstreamIpPort};
use crate::config::cel::{Expression, Options};
use crate::config::extension::{contained_type, read};
use crate::config::field::{Scope, open};
use crate::config::match_tree::{Input, Leaves, MatchTree};
use crate::config::matcher::{CidrRange, HeaderMatcher, StringMatcher};
use crate::config::route::UriTemplate;
use crate::config::value_matcher::{FilterStateMatcher, MetadataMatcher};

impl Rules {
    /// From its proto.
    pub fn from_proto(message: v3::Rbac, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Rbac = message;
            implemented { action, policies }
            ignored { audit_logging_options: "Envoy does not read it either: it is for gRPC servers" }
        }
        let action = action_from_proto(action, at);
        let policies: BTreeMap<_, _> = policies.into_iter().collect();
        let policies = policies.into_iter().filter_map(|(name, policy)| {
            let policy = Policy::from_proto(policy, &mut at.key("policies", &name))?;
            Some((name, policy))
        });
        Some(Rules { policies: policies.collect(), action })
    }
}

fn action_from_proto(action: i32, at: &mut Scope<'_>) -> Action {
    use v3::rbac::Action as Message;
    match at.enumeration("action", action) {
        Message::Allow => Action::Allow,
        Message::Deny => Action::Deny,
        Message::Log => Action::Log,
    }
}

impl Policy {
    fn from_proto(message: v3::Policy, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, v3::Policy = message;
            implemented { permissions, principals, condition, cel_config }
            rejected { checked_condition: "Envoy passes it over, and lets more pass than is meant: give condition" }
        }
        for (name, is_empty) in
            [("permissions", permissions.is_empty()), ("principals", principals.is_empty())]
        {
            if is_empty {
                at.field(name).violation("value must contain at least 1 item(s)");
            }
        }
        let options =
            at.message("cel_config", cel_config, |message, at| Some(Options::from_proto(message, at)));
        let condition = at.message("condition", condition, |tree, at| {
            Expression::of_older_tree(tree, options.unwrap_or_default())
                .map_err(|problem| problem.tell(at))
                .ok()
        });
        Some(Policy {
            permissions: at.list("permissions", permissions, Rule::from_permission),
            principals: at.list("principals", principals, Rule::from_principal),
            condition,
        })
    }
}

impl Rule {
    #[expect(deprecated, reason = "the older field for metadata is still accepted, as by Envoy")]
    fn from_permission(message: v3::Permission, at: &mut Scope<'_>) -> Option<Self> {
        use v3::permission::{Rule as Message, Set};
        open! { at, v3::Permission = message; implemented { rule } }
        let mut several = |name: &str, set: Set| {
            let at = &mut at.field(name);
            open! { at, Set = set; implemented { rules } }
            several("rules", rules, Rule::from_permission, at)
        };
        match rule {
            Some(Message::AndRules(set)) => return Some(Rule::All(several("and_rules", set))),
            Some(Message::OrRules(set)) => return Some(Rule::OneOf(several("or_rules", set))),
            _ => {}
        }
        match at.required("rule", rule)? {
            Message::AndRules(_) | Message::OrRules(_) => None,
            Message::NotRule(rule) => {
                let rule = Rule::from_permission(*rule, &mut at.field("not_rule"))?;
                Some(Rule::Not(Box::new(rule)))
            }
            Message::Any(any) => any_rule(any, at),
            Message::Header(message) => header(message, at),
            Message::UrlPath(message) => path(message, at),
            Message::DestinationIp(range) => {
                CidrRange::from_proto(range, &mut at.field("destination_ip")).map(Rule::DestinationIp)
            }
            Message::DestinationPort(port) => {
                if port > u16::MAX.into() {
                    at.field("destination_port").violation("value must be less than or equal to 65535");
                }
                Some(Rule::DestinationPort(port..port.saturating_add(1)))
            }
            Message::DestinationPortRange(range) => ports(range, &mut at.field("destination_port_range")),
            Message::Metadata(message) => {
                MetadataMatcher::from_proto(message, &mut at.field("metadata")).map(Rule::Metadata)
            }
            Message::SourcedMetadata(message) => metadata(message, &mut at.field("sourced_metadata")),
            Message::RequestedServerName(message) => {
                StringMatcher::from_proto(message, &mut at.field("requested_server_name"))
                    .map(Rule::ServerName)
            }
            Message::UriTemplate(message) => {
                UriTemplate::from_policy(message, &mut at.field("uri_template")).map(Rule::Template)
            }
            Message::Matcher(message) => {
                UpstreamIpPort::from_proto(message, &mut at.field("matcher")).map(Rule::Upstream)
            }
        }
    }

    #[expect(
        deprecated,
        reason = "the older fields for addresses and metadata are still accepted, as by Envoy"
    )]
    fn from_principal(message: v3::Principal, at: &mut Scope<'_>) -> Option<Self> {
        use v3::principal::{Identifier, Set};
        open! { at, v3::Principal = message; implemented { identifier } }
        let mut several = |name: &str, set: Set| {
            let at = &mut at.field(name);
            open! { at, Set = set; implemented { ids } }
            several("ids", ids, Rule::from_principal, at)
        };
        match identifier {
            Some(Identifier::AndIds(set)) => return Some(Rule::All(several("and_ids", set))),
            Some(Identifier::OrIds(set)) => return Some(Rule::OneOf(several("or_ids", set))),
            _ => {}
        }
        let mut ip = |name: &str, range, rule: fn(CidrRange) -> Rule| {
            CidrRange::from_proto(range, &mut at.field(name)).map(rule)
        };
        match identifier {
            Some(Identifier::SourceIp(range)) => return ip("source_ip", range, Rule::ConnectionIp),
            Some(Identifier::DirectRemoteIp(range)) => return ip("direct_remote_ip", range, Rule::DirectIp),
            Some(Identifier::RemoteIp(range)) => return ip("remote_ip", range, Rule::RemoteIp),
            _ => {}
        }
        match at.required("identifier", identifier)? {
            Identifier::NotId(rule) => {
                let rule = Rule::from_principal(*rule, &mut at.field("not_id"))?;
                Some(Rule::Not(Box::new(rule)))
            }
            Identifier::Any(any) => any_rule(any, at),
            Identifier::Header(message) => header(message, at),
            Identifier::UrlPath(message) => path(message, at),
            Identifier::Authenticated(message) => authenticated(message, &mut at.field("authenticated")),
            Identifier::Metadata(message) => {
                MetadataMatcher::from_proto(message, &mut at.field("metadata")).map(Rule::Metadata)
            }
            Identifier::SourcedMetadata(message) => metadata(message, &mut at.field("sourced_metadata")),
            Identifier::FilterState(message) => {
                FilterStateMatcher::from_proto(message, &mut at.field("filter_state")).map(Rule::State)
            }
            Identifier::Custom(message) => {
                MtlsAuthenticated::from_proto(message, &mut at.field("custom")).map(Rule::MtlsAuthenticated)
            }
            _ => None,
        }
    }
}

fn several<M>(
    name: &str,
    messages: Vec<M>,
    convert: impl FnMut(M, &mut Scope<'_>) -> Option<Rule>,
    at: &mut Scope<'_>,
) -> Vec<Rule> {
    if messages.is_empty() {
        at.field(name).violation("value must contain at least 1 item(s)");
    }
    at.list(name, messages, convert)
}

fn any_rule(any: bool, at: &mut Scope<'_>) -> Option<Rule> {
    if !any {
        at.field("any").violation("value must equal true");
    }
    any.then_some(Rule::Any)
}

fn header(
    message: envoy_types::pb::envoy::config::route::v3::HeaderMatcher,
    at: &mut Scope<'_>,
) -> Option<Rule> {
    HeaderMatcher::from_proto(message, &mut at.field("header")).map(Rule::Header)
}

fn path(message: matcher::PathMatcher, at: &mut Scope<'_>) -> Option<Rule> {
    use matcher::path_matcher::Rule as Message;
    let at = &mut at.field("url_path");
    open! { at, matcher::PathMatcher = message; implemented { rule } }
    let Message::Path(path) = at.required("rule", rule)?;
    StringMatcher::from_proto(path, &mut at.field("path")).map(Rule::Path)
}

fn ports(message: Int32Range, at: &mut Scope<'_>) -> Option<Rule> {
    open! { at, Int32Range = message; implemented { start, end } }
    let within = |port: &i32| (0..=65536).contains(port);
    if !within(&start) {
        at.error(format!("range start {start} is out of bounds"));
    } else if !within(&end) {
        at.error(format!("range end {end} is out of bounds"));
    } else if start >= end {
        at.error(format!("range start {start} cannot be greater or equal than range end {end}"));
    }
    Some(Rule::DestinationPort(u32::try_from(start).ok()?..u32::try_from(end).ok()?))
}

fn authenticated(message: v3::principal::Authenticated, at: &mut Scope<'_>) -> Option<Rule> {
    use v3::principal::Authenticated;
    open! { at, Authenticated = message; implemented { principal_name } }
    match principal_name {
        None => Some(Rule::Authenticated(None)),
        Some(message) => {
            let name = StringMatcher::from_proto(message, &mut at.field("principal_name"))?;
            Some(Rule::Authenticated(Some(name)))
        }
    }
}

fn metadata(message: v3::SourcedMetadata, at: &mut Scope<'_>) -> Option<Rule> {
    open! { at, v3::SourcedMetadata = message; implemented { metadata_matcher, metadata_source } }
    if at.enumeration::<v3::MetadataSource>("metadata_source", metadata_source) == v3::MetadataSource::Route {
        at.field("metadata_source")
            .unsupported("what routes say is not asked about, but what filters noted (DYNAMIC)");
    }
    let matcher = at.required("metadata_matcher", metadata_matcher);
    at.message("metadata_matcher", matcher, MetadataMatcher::from_proto).map(Rule::Metadata)
}

impl Tree {
    /// From its proto. `check` notes an error where an input is of no use.
    pub fn from_proto(
        message: Matcher,
        check: fn(&Input, &mut Scope<'_>),
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let mut actions = Actions { check, logs: false };
        let tree = MatchTree::from_proto(message, &mut actions, at)?;
        Some(Tree { tree, logs: actions.logs })
    }
}

/// The actions of a tree while it is read.
struct Actions {
    check: fn(&Input, &mut Scope<'_>),
    logs: bool,
}

impl Leaves for Actions {
    type Action = TreeAction;

    fn action(&mut self, message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<TreeAction> {
        open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
        let any = at.required("typed_config", typed_config)?;
        let (found, known) = (contained_type(&any), <v3::Action as prost::Name>::full_name());
        if found != known {
            at.unsupported(format!(
                "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
            ));
            return None;
        }
        let at = &mut at.field("typed_config");
        open! { at, v3::Action = read(any, at)?; implemented { name, action } }
        let action = action_from_proto(action, at);
        self.logs |= action == Action::Log;
        Some(TreeAction { name: at.required_string("name", name), action })
    }

    fn check_input(&mut self, input: &Input, at: &mut Scope<'_>) {
        (self.check)(input, at);
    }
}
