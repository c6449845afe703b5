//! From a tree to what is evaluated.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, StructExpr, operators};

use super::functions::Function;
use super::message::Message;
use super::time::{Part, Zone};
use super::{Options, Problem, Root, strings};
use crate::config::regex::{Groups, Search, Substitution};

/// How deep what is evaluated may nest, which takes stack; texts that Envoy reads are seldom deeper than ten.
const MAX_DEPTH: usize = 200;

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// Attributes.
    Root(Root),
    /// `metadata`
    Metadata,
    /// A type by its name.
    Type(&'static str),
    /// A name that nothing has: an error when it is asked about, as in Envoy.
    Unknown,
    Select(Box<Node>, String),
    Has(Box<Node>, String),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// `_?_:_`
    Choose(Box<[Node; 3]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// A message that stands for a value, and its fields.
    Message(Message, Box<[Option<Node>; 2]>),
    /// `matches`, of an expression that is known.
    Matches(Box<Node>, Search),
    /// `matches`, of an expression that is not known before.
    MatchesGiven(Box<[Node; 2]>),
    /// `re.extract` and its like; an error each time where the expression is none.
    Captured(Box<Node>, Option<Capture>),
    /// A part of a moment elsewhere; an error each time where the zone is none.
    TimeIn(Box<Node>, Part, Option<Zone>),
    Call(Function, Vec<Node>),
}

/// A constant.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
}

/// Types whose names are values.
const TYPES: [&str; 10] =
    ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"];

/// Compiles a tree.
pub(super) fn compile(tree: &IdedExpr, options: Options) -> Result<Node, Problem> {
    Compiler { options }.node(tree, 0)
}

struct Compiler {
    options: Options,
}

impl Compiler {
    fn node(&self, tree: &IdedExpr, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::unsupported(format!("an expression may be {MAX_DEPTH} deep")));
        }
        let depth = depth + 1;
        match &tree.expr {
            Expr::Unspecified => {
                Err(Problem::wrong("failed to create an expression: Invalid empty expression"))
            }
            Expr::Comprehension(_) => {
                Err(Problem::wrong("failed to create an expression: Comprehension support is disabled"))
            }
            Expr::Struct(made) => self.message(made, depth),
            Expr::Literal(literal) => Ok(Node::Literal(Literal::new(literal))),
            Expr::Ident(name) => variable(name),
            Expr::Select(select) => {
                let of = self.node(&select.operand, depth)?;
                let select_or_test = if select.test { Node::Has } else { Node::Select };
                Ok(select_or_test(Box::new(of), select.field.clone()))
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                Ok(Node::List(self.all(&list.elements, depth)?))
            }
            Expr::List(_) => Err(Problem::unsupported("lists with optional elements are not known")),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) if !entry.optional => {
                        Ok((self.node(&entry.key, depth)?, self.node(&entry.value, depth)?))
                    }
                    _ => Err(Problem::unsupported("maps have keys, none of them optional")),
                });
                entries.collect::<Result<_, _>>().map(Node::Map)
            }
            Expr::Call(call) => self.call(call, depth),
        }
    }

    fn message(&self, made: &StructExpr, depth: usize) -> Result<Node, Problem> {
        let mut message = Message::find(&made.type_name)?;
        let mut fields = [None, None];
        for entry in &made.entries {
            let EntryExpr::StructField(field) = &entry.expr else { continue };
            let place = message.field(&field.field)?;
            fields[place] = Some(self.node(&field.value, depth)?);
        }
        Ok(Node::Message(message, Box::new(fields)))
    }

    fn all(&self, trees: &[IdedExpr], depth: usize) -> Result<Vec<Node>, Problem> {
        trees.iter().map(|tree| self.node(tree, depth)).collect()
    }

    fn call(&self, call: &CallExpr, depth: usize) -> Result<Node, Problem> {
        let name = call.func_name.as_str();
        let none = || {
            Problem::wrong(format!(
                "failed to create an expression: No overload found in reference resolve step for {name}"
            ))
        };
        if let Some(module) = call.target.as_deref().and_then(module) {
            match (module, name, &call.args[..]) {
                ("re", "extract" | "capture" | "captureN", [of, rest @ ..]) => {
                    let of = self.node(of, depth)?;
                    return Capture::new(name, rest).map(|capture| Node::Captured(Box::new(of), capture));
                }
                ("strings", "quote", [of]) if self.options.string_functions => {
                    let of = self.node(of, depth)?;
                    return Ok(Node::Call(Function::Text(strings::Function::Quote), vec![of]));
                }
                _ => {}
            }
        }
        let mut arguments: Vec<Node> = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = &call.target {
            arguments.push(self.node(target, depth)?);
        }
        arguments.extend(self.all(&call.args, depth)?);
        let special = match (name, call.target.is_some()) {
            (operators::LOGICAL_AND, false) => return two(arguments).map(Node::And).ok_or_else(none),
            (operators::LOGICAL_OR, false) => return two(arguments).map(Node::Or).ok_or_else(none),
            (operators::CONDITIONAL, false) => {
                let three = <[Node; 3]>::try_from(arguments);
                return three.map(|three| Node::Choose(Box::new(three))).map_err(|_| none());
            }
            ("matches", _) => match <[Node; 2]>::try_from(arguments) {
                Ok(two) => return matches(two),
                Err(other) => other,
            },
            _ => arguments,
        };
        let mut arguments = special;
        if let (Some(part), true, [_, _]) = (Part::by_name(name), call.target.is_some(), &arguments[..]) {
            let (zone, of) = (arguments.pop(), arguments.pop());
            if let (Some(Node::Literal(Literal::String(zone))), Some(of)) = (zone, of) {
                return Ok(Node::TimeIn(Box::new(of), part, Zone::find(&zone)));
            }
            return Err(Problem::unsupported(format!("{name} takes a time zone that is a constant")));
        }
        let function = Function::find(name, call.target.is_some(), arguments.len(), self.options);
        function.map(|function| Node::Call(function, arguments)).ok_or_else(none)
    }
}

fn two(arguments: Vec<Node>) -> Option<Box<[Node; 2]>> {
    <[Node; 2]>::try_from(arguments).ok().map(Box::new)
}

/// `matches`: an expression that is known is compiled once.
fn matches(arguments: [Node; 2]) -> Result<Node, Problem> {
    let [of, Node::Literal(Literal::String(pattern))] = arguments else {
        return Ok(Node::MatchesGiven(Box::new(arguments)));
    };
    let search = Search::new(&pattern).map_err(|problem| {
        Problem::wrong(format!("failed to create an expression: invalid regular expression: {problem}"))
    })?;
    Ok(Node::Matches(Box::new(of), search))
}

/// What may stand before the dot in the name of a function.
fn module(target: &IdedExpr) -> Option<&str> {
    match &target.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}

/// What is asked of the groups of a regular expression.
#[derive(Clone, Debug)]
pub(super) enum Capture {
    /// `re.extract`
    Extract(Substitution),
    /// `re.capture`
    First(Groups),
    /// `re.captureN`
    All(Groups),
}

impl Capture {
    /// That of the function of this name; `None` where its expression is none, which Envoy finds when it is evaluated.
    fn new(name: &str, arguments: &[IdedExpr]) -> Result<Option<Self>, Problem> {
        let constant = |argument: &IdedExpr| match &argument.expr {
            Expr::Literal(LiteralValue::String(text)) => Ok(text.inner().to_owned()),
            _ => {
                Err(Problem::unsupported(format!("re.{name} takes a regular expression that is a constant")))
            }
        };
        match (name, arguments) {
            ("extract", [pattern, rewrite]) => {
                Ok(Substitution::of_text(&constant(pattern)?, &constant(rewrite)?).map(Capture::Extract).ok())
            }
            ("capture", [pattern]) => Ok(Groups::new(&constant(pattern)?).map(Capture::First).ok()),
            ("captureN", [pattern]) => Ok(Groups::new(&constant(pattern)?).map(Capture::All).ok()),
            _ => Err(Problem::wrong(format!(
                "failed to create an expression: No overload found in reference resolve step for {name}"
            ))),
        }
    }
}

fn variable(name: &str) -> Result<Node, Problem> {
    let name = name.strip_prefix('.').unwrap_or(name);
    Ok(match Root::by_name(name) {
        Some(root) => Node::Root(root),
        None if name == "metadata" => Node::Metadata,
        None => TYPES.iter().find(|known| **known == name).map_or(Node::Unknown, |name| Node::Type(name)),
    })
}

impl Literal {
    fn new(literal: &LiteralValue) -> Self {
        match literal {
            LiteralValue::Null => Literal::Null,
            LiteralValue::Boolean(truth) => Literal::Bool(**truth),
            LiteralValue::Int(number) => Literal::Int(**number),
            LiteralValue::UInt(number) => Literal::Uint(**number),
            LiteralValue::Double(number) => Literal::Double(**number),
            LiteralValue::String(text) => Literal::String(text.inner().to_owned()),
            LiteralValue::Bytes(bytes) => Literal::Bytes(bytes.inner().to_vec()),
        }
    }
}
