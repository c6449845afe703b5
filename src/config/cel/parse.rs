//! From a text or a proto to the tree of the crate `cel`.

use std::thread;

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr, MapExpr,
    SelectExpr,
};
use cel::parser::Parser;
use envoy_types::pb::cel::expr::expr::ExprKind;
use envoy_types::pb::cel::expr::expr::create_struct::entry::KeyKind;
use envoy_types::pb::cel::expr::{Constant, Expr as Message, constant::ConstantKind};

use super::compile::{Node, compile};
use super::{Options, Problem};

/// The longest text that is read. Envoy reads longer ones; the parser takes the more time and stack the longer a text
/// is.
const MAX_LENGTH: usize = 8 * 1024;

/// How deep a text may nest; Envoy's limit.
const MAX_DEPTH: u16 = 32;

/// What the parser may need for the longest text: its trees are as deep as a chain of operators is long.
const STACK: usize = 64 << 20;

/// Reads a text. The parser has a thread of its own, whose stack is large enough and whose end, should it panic, is
/// that of the thread alone.
pub(super) fn text(text: &str, options: Options) -> Result<Node, Problem> {
    if text.len() > MAX_LENGTH {
        return Err(Problem::unsupported(format!("an expression may have {MAX_LENGTH} bytes")));
    }
    let read = |text: &str| {
        let tree = Parser::new().max_recursion_depth(MAX_DEPTH).parse(text).map_err(|problem| {
            Problem::wrong(format!("Not able to parse expression: INVALID_ARGUMENT: {problem}"))
        })?;
        compile(&tree, options)
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || read(text));
        let read = thread.map(|thread| thread.join());
        match read {
            Ok(Ok(node)) => node,
            Ok(Err(_)) | Err(_) => Err(Problem::unsupported("the expression cannot be parsed here")),
        }
    })
}

/// Converts a tree. It is not deeper than protos are when they are decoded.
pub(super) fn tree(message: Message) -> Result<IdedExpr, Problem> {
    let id = u64::try_from(message.id).unwrap_or(0);
    let boxed = |message: Option<Box<Message>>| tree(*message.unwrap_or_default()).map(Box::new);
    let several = |messages: Vec<Message>| messages.into_iter().map(tree).collect::<Result<Vec<_>, _>>();
    let expr = match message.expr_kind {
        None => Expr::Unspecified,
        Some(ExprKind::ConstExpr(constant)) => return literal(constant, id),
        Some(ExprKind::IdentExpr(ident)) => Expr::Ident(ident.name),
        Some(ExprKind::SelectExpr(select)) => Expr::Select(SelectExpr {
            operand: boxed(select.operand)?,
            field: select.field,
            test: select.test_only,
        }),
        Some(ExprKind::CallExpr(call)) => Expr::Call(CallExpr {
            func_name: call.function,
            target: call.target.map(|target| boxed(Some(target))).transpose()?,
            args: several(call.args)?,
        }),
        Some(ExprKind::ListExpr(list)) if list.optional_indices.is_empty() => {
            Expr::List(ListExpr::new(several(list.elements)?))
        }
        Some(ExprKind::ListExpr(_)) => {
            return Err(Problem::unsupported("lists with optional elements are not known"));
        }
        Some(ExprKind::StructExpr(object)) => {
            if !object.message_name.is_empty() {
                return Err(Problem::unsupported("expressions make no messages here"));
            }
            let entries = object.entries.into_iter().map(|entry| match entry.key_kind {
                Some(KeyKind::MapKey(key)) if !entry.optional_entry => Ok(IdedEntryExpr {
                    id: u64::try_from(entry.id).unwrap_or(0),
                    expr: EntryExpr::MapEntry(MapEntryExpr {
                        key: tree(key)?,
                        value: tree(entry.value.unwrap_or_default())?,
                        optional: false,
                    }),
                }),
                _ => Err(Problem::unsupported("maps have keys, none of them optional")),
            });
            Expr::Map(MapExpr { entries: entries.collect::<Result<_, _>>()? })
        }
        Some(ExprKind::ComprehensionExpr(_)) => Expr::Comprehension(Box::default()),
    };
    Ok(IdedExpr { id, expr })
}

fn literal(constant: Constant, id: u64) -> Result<IdedExpr, Problem> {
    let literal = match constant.constant_kind {
        Some(ConstantKind::NullValue(_)) => LiteralValue::Null,
        Some(ConstantKind::BoolValue(truth)) => LiteralValue::Boolean(truth.into()),
        Some(ConstantKind::Int64Value(number)) => LiteralValue::Int(number.into()),
        Some(ConstantKind::Uint64Value(number)) => LiteralValue::UInt(number.into()),
        Some(ConstantKind::DoubleValue(number)) => LiteralValue::Double(number.into()),
        Some(ConstantKind::StringValue(text)) => LiteralValue::String(text.into()),
        Some(ConstantKind::BytesValue(bytes)) => LiteralValue::Bytes(bytes.into()),
        _ => return Err(Problem::unsupported("this kind of constant is not known")),
    };
    Ok(IdedExpr { id, expr: Expr::Literal(literal) })
}
