//! Expressions in CEL, the Common Expression Language, as Envoy takes them.
//!
//! An expression comes as text or as a tree that somebody parsed or checked before. Both become the tree of the crate
//! `cel`, whose parser reads the texts, and then a `Node`: functions are known, regular expressions
//! compiled. It is evaluated here and not by the crate, so that it does what Envoy's does: no comprehensions, no texts
//! put together unless that is configured, errors that `&&` and `||` may outlive. That also bounds it: an evaluation
//! visits each part of the expression at most once.
//!
//! What an expression can ask about is behind [`Attributes`].

mod arithmetic;
mod attributes;
mod compile;
mod evaluate;
mod format;
mod functions;
mod message;
mod parse;
mod print;
mod record;
mod strings;
mod text;
mod time;
mod value;

use std::sync::Arc;

use envoy_types::pb::cel::expr as proto;
use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::xds::r#type::v3::CelExpression;
use prost::Message as _;

use super::field::{Scope, open};
pub use attributes::{Attributes, Root};
use compile::Node;
pub use record::{Field, Record};
pub use value::{List, Map, Value};

/// What an expression may do beside what all may: `envoy.config.core.v3.CelExpressionConfig`. It is off by default
/// because what it makes may be larger than the expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The function `string`.
    pub string_conversion: bool,
    /// `+` of texts and bytes.
    pub string_concat: bool,
    /// `lowerAscii`, `upperAscii`, `replace`, `split`, `format` and others.
    pub string_functions: bool,
}

impl Options {
    /// From its proto.
    pub(in crate::config) fn from_proto(message: v3::CelExpressionConfig, at: &mut Scope<'_>) -> Self {
        open! { at, v3::CelExpressionConfig = message;
            implemented { enable_string_conversion, enable_string_concat, enable_string_functions }
        }
        Options {
            string_conversion: enable_string_conversion,
            string_concat: enable_string_concat,
            string_functions: enable_string_functions,
        }
    }
}

/// An expression, ready to be evaluated; equal when it was written alike.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Arc<[u8]>,
    options: Options,
    program: Arc<Node>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.options == other.options
    }
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A key is missing, a function does not take these values, a number is too large, ...
    Error,
    /// It depends on the response, which has not come.
    NotYet,
}

/// Why a text or a tree is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In Envoy's words where it is none in Envoy either.
    pub message: String,
    /// Whether it is one in Envoy.
    pub unsupported: bool,
}

impl Problem {
    fn wrong(message: impl Into<String>) -> Self {
        Problem { message: message.into(), unsupported: false }
    }

    fn unsupported(message: impl Into<String>) -> Self {
        Problem { message: message.into(), unsupported: true }
    }

    /// Notes it at the place of the expression.
    pub(in crate::config) fn tell(self, at: &mut Scope<'_>) {
        match self.unsupported {
            true => at.unsupported(self.message),
            false => at.error(self.message),
        }
    }
}

impl Expression {
    /// From a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, options: Options) -> Result<Self, Problem> {
        let program = parse::text(text, options)?;
        Ok(Expression { source: text.as_bytes().into(), options, program: Arc::new(program) })
    }

    /// From a tree.
    fn of_tree(tree: proto::Expr, options: Options) -> Result<Self, Problem> {
        let source = tree.encode_to_vec().into();
        let program = Arc::new(compile::compile(&parse::tree(tree)?, options)?);
        Ok(Expression { source, options, program })
    }

    /// From a tree of the package that CEL had first.
    pub(in crate::config) fn of_older_tree(
        tree: envoy_types::pb::google::api::expr::v1alpha1::Expr,
        options: Options,
    ) -> Result<Self, Problem> {
        Self::of_tree(newer(Some(tree)).unwrap_or_default(), options)
    }

    /// From its proto; a text is not looked at, as in Envoy.
    pub fn from_proto(message: CelExpression, at: &mut Scope<'_>) -> Option<Self> {
        use envoy_types::pb::xds::r#type::v3::cel_expression::ExprSpecifier;
        open! { at, CelExpression = message;
            implemented { cel_expr_parsed, cel_expr_checked, expr_specifier }
            ignored { cel_expr_string: "the tree is what counts, as in Envoy" }
        }
        #[expect(deprecated, reason = "older trees are still accepted, as by Envoy")]
        let tree = match (cel_expr_checked, cel_expr_parsed, expr_specifier) {
            (Some(checked), ..) => checked.expr,
            (None, Some(parsed), _) => parsed.expr,
            (None, None, Some(ExprSpecifier::ParsedExpr(parsed))) => newer(parsed.expr),
            (None, None, Some(ExprSpecifier::CheckedExpr(checked))) => newer(checked.expr),
            (None, None, None) => {
                at.error("failed to create an expression: CEL expression not set.");
                return None;
            }
        };
        let tree = tree.unwrap_or_default();
        Self::of_tree(tree, Options::default()).map_err(|problem| problem.tell(at)).ok()
    }

    /// What it gives.
    ///
    /// # Errors
    /// It has no value.
    pub fn evaluate<'v>(&'v self, attributes: &'v dyn Attributes) -> Result<Value<'v>, Failure> {
        self.program.evaluate(attributes)
    }

    /// Whether it is true; what has no value, or another, is not.
    ///
    /// # Errors
    /// It depends on the response, which has not come.
    pub fn holds(&self, attributes: &dyn Attributes) -> Result<bool, Failure> {
        match self.evaluate(attributes) {
            Ok(value) => Ok(matches!(value, Value::Bool(true))),
            Err(Failure::Error) => Ok(false),
            Err(Failure::NotYet) => Err(Failure::NotYet),
        }
    }
}

/// A tree of the package that CEL had first is the same on the wire.
fn newer(tree: Option<envoy_types::pb::google::api::expr::v1alpha1::Expr>) -> Option<proto::Expr> {
    proto::Expr::decode(tree?.encode_to_vec().as_slice()).ok()
}

#[cfg(test)]
mod tests;
