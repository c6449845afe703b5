//! Who may do what: `envoy.config.rbac.v3`. Network filters decide about connections by it; a filter that decides about
//! requests is asked the same way.
//!
//! - `rule`: what is asked of a subject; `extension`: what extensions ask; `from_proto`: how it is read.

mod extension;
mod from_proto;
mod rule;

use super::cel::Expression;
use super::match_tree::{Count, MatchTree, Subject};

pub use extension::{MtlsAuthenticated, UpstreamIpPort};
pub use rule::Rule;

/// What decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Engine {
    /// `envoy.config.rbac.v3.RBAC`
    Rules(Rules),
    /// A tree of conditions; what it leads nowhere for is denied.
    Tree(Tree),
}

/// `envoy.config.rbac.v3.RBAC`
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    action: Action,
    /// By name, in the order of the names.
    policies: Vec<(String, Policy)>,
}

/// A tree of conditions that leads to actions.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    tree: MatchTree<TreeAction>,
    /// Whether one of the actions is to log.
    logs: bool,
}

/// `envoy.config.rbac.v3.Policy`: it holds where one of the permissions, one of the principals and the condition do.
#[derive(Clone, Debug, PartialEq)]
struct Policy {
    permissions: Vec<Rule>,
    principals: Vec<Rule>,
    condition: Option<Expression>,
}

/// `envoy.config.rbac.v3.Action`
#[derive(Clone, Debug, PartialEq)]
struct TreeAction {
    name: String,
    action: Action,
}

/// `envoy.config.rbac.v3.RBAC.Action`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// What a policy holds for is allowed, and nothing else.
    Allow,
    /// What a policy holds for is denied, and nothing else.
    Deny,
    /// All is allowed, and whether a policy holds is noted.
    Log,
}

/// What is decided about a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'e> {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The policy that holds for it, if one does.
    pub policy: Option<&'e str>,
    /// Whether it is to be logged; `None` where nobody says.
    pub log: Option<bool>,
}

impl Engine {
    /// Decides about a subject.
    pub fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        match self {
            Engine::Rules(rules) => rules.decide(subject),
            Engine::Tree(tree) => tree.decide(subject),
        }
    }

    /// Lets conditions that count something do so from now on: `make` makes the counter of a `stat_prefix`.
    pub fn count_with(&self, make: &dyn Fn(&str) -> Box<dyn Count>) {
        if let Engine::Tree(Tree { tree, .. }) = self {
            tree.count_with(make);
        }
    }
}

impl Rules {
    fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        let found = self.policies.iter().find(|(_, policy)| policy.holds(subject));
        let (allowed, log) = match self.action {
            Action::Allow => (found.is_some(), None),
            Action::Deny => (found.is_none(), None),
            Action::Log => (true, Some(found.is_some())),
        };
        Decision { allowed, policy: found.map(|(name, _)| name.as_str()), log }
    }

    /// A header that is asked about, if any is.
    pub fn header(&self) -> Option<&str> {
        self.policies.iter().find_map(|(_, policy)| {
            policy.permissions.iter().chain(&policy.principals).find_map(Rule::header)
        })
    }
}

impl Policy {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.permissions.iter().any(|rule| rule.holds(subject))
            && self.principals.iter().any(|rule| rule.holds(subject))
            && self.condition.as_ref().is_none_or(|condition| {
                subject.attributes.is_some_and(|attributes| condition.holds(attributes) == Ok(true))
            })
    }
}

impl Tree {
    fn decide(&self, subject: &Subject<'_>) -> Decision<'_> {
        let found = self.tree.find(subject);
        let action = found.map_or(Action::Deny, |found| found.action);
        Decision {
            allowed: action != Action::Deny,
            policy: found.map(|found| found.name.as_str()),
            log: self.logs.then_some(action == Action::Log),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::headers::Headers;
    use crate::config::runtime::Values;

    fn policy(holds: bool) -> Policy {
        let rule = Rule::Not(Box::new(Rule::Any));
        let principals = vec![if holds { Rule::Any } else { rule }];
        Policy { permissions: vec![Rule::Any], principals, condition: None }
    }

    fn decide(action: Action, policies: &[(&str, bool)]) -> (bool, Option<String>, Option<bool>) {
        let policies = policies.iter().map(|(name, holds)| ((*name).to_owned(), policy(*holds))).collect();
        let engine = Engine::Rules(Rules { action, policies });
        let (headers, runtime) = (Headers::new(), Values::default());
        let decision = engine.decide(&Subject::of_headers(&headers, &runtime));
        (decision.allowed, decision.policy.map(str::to_owned), decision.log)
    }

    #[test]
    fn the_first_policy_that_holds_decides_as_the_action_says() {
        let (no, first) = ([("a", false), ("b", false)], [("a", false), ("b", true), ("c", true)]);
        assert_eq!(decide(Action::Allow, &first), (true, Some("b".into()), None));
        assert_eq!(decide(Action::Allow, &no), (false, None, None));
        assert_eq!(decide(Action::Deny, &first), (false, Some("b".into()), None));
        assert_eq!(decide(Action::Deny, &no), (true, None, None));
        assert_eq!(decide(Action::Log, &first), (true, Some("b".into()), Some(true)));
        assert_eq!(decide(Action::Log, &no), (true, None, Some(false)));
        assert_eq!(decide(Action::Allow, &[]), (false, None, None), "nobody is allowed by no policy");
    }
}
