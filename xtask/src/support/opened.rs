//! What a source file says of fields: its calls of `open!`, `reject` and `ignore`.

use std::collections::HashMap;

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprMethodCall, Ident, ImplItemFn, ItemConst, ItemFn, ItemMod, Lit, Macro, Token, braced,
};

use super::declarations::Answer;

/// A call of `reject` or `ignore`.
pub(super) struct Call {
    pub(super) field: String,
    /// What a reason makes of it.
    pub(super) answer: fn(String) -> Answer,
    /// The reason, or a constant that is one.
    pub(super) why: Expr,
}

/// Something in a file, and where it stands.
pub(super) struct Found<T> {
    pub(super) line: usize,
    /// The number of the function; 0 outside of any.
    pub(super) function: usize,
    pub(super) what: T,
}

/// The calls of `open!`, `reject` and `ignore` in a file, and its constant texts, which may be reasons. Tests are passed over.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) found: Vec<Found<syn::Result<Open>>>,
    pub(super) calls: Vec<Found<Call>>,
    pub(super) texts: HashMap<String, String>,
    /// The functions that were begun.
    functions: usize,
    /// That which is visited.
    function: usize,
}

impl Opened {
    fn within_function(&mut self, visit: impl FnOnce(&mut Self)) {
        self.functions += 1;
        let around = std::mem::replace(&mut self.function, self.functions);
        visit(self);
        self.function = around;
    }
}

impl<'ast> Visit<'ast> for Opened {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.within_function(|within| visit::visit_item_fn(within, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.within_function(|within| visit::visit_impl_item_fn(within, item));
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if let Some(text) = literal(&item.expr) {
            self.texts.insert(item.ident.to_string(), text);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let answer: Option<fn(String) -> Answer> = match call.method.to_string().as_str() {
            "reject" => Some(Answer::Rejected),
            "ignore" => Some(Answer::Ignored),
            _ => None,
        };
        if let Some(answer) = answer
            && let Some((field, why)) = call.args.first().zip(call.args.get(1))
            && let Some(field) = literal(field)
        {
            let (line, what) = (call.method.span().start().line, Call { field, answer, why: why.clone() });
            self.calls.push(Found { line, function: self.function, what });
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("open") {
            let line = call.path.segments[0].ident.span().start().line;
            self.found.push(Found { line, function: self.function, what: call.parse_body() });
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<Ident>().is_ok_and(|condition| condition == "test")
}

pub(super) fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The body of one call.
pub(super) struct Open {
    pub(super) message: syn::Path,
    implemented: Vec<Ident>,
    rejected: Vec<(Ident, Expr)>,
    ignored: Vec<(Ident, Expr)>,
}

impl Parse for Open {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Ident>()?;
        input.parse::<Token![,]>()?;
        let message = input.parse()?;
        input.parse::<Token![=]>()?;
        input.parse::<Expr>()?;
        input.parse::<Token![;]>()?;
        let mut open = Self { message, implemented: Vec::new(), rejected: Vec::new(), ignored: Vec::new() };
        while !input.is_empty() {
            let list: Ident = input.parse()?;
            let fields;
            braced!(fields in input);
            match list.to_string().as_str() {
                "implemented" => {
                    open.implemented =
                        Punctuated::<Ident, Token![,]>::parse_terminated(&fields)?.into_iter().collect();
                }
                "grouped" => open.implemented.extend(of_groups(&fields)?),
                "rejected" => open.rejected = with_reasons(&fields)?,
                "ignored" => open.ignored = with_reasons(&fields)?,
                _ => return Err(syn::Error::new(list.span(), "there is no such list")),
            }
        }
        Ok(open)
    }
}

/// The fields of groups, each of which is bound as a struct: `name: Type { fields }`.
fn of_groups(groups: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let mut found = Vec::new();
    while !groups.is_empty() {
        groups.parse::<Ident>()?;
        groups.parse::<Token![:]>()?;
        groups.call(syn::Path::parse_mod_style)?;
        let fields;
        braced!(fields in groups);
        found.extend(Punctuated::<Ident, Token![,]>::parse_terminated(&fields)?);
        if !groups.is_empty() {
            groups.parse::<Token![,]>()?;
        }
    }
    Ok(found)
}

fn with_reasons(fields: ParseStream<'_>) -> syn::Result<Vec<(Ident, Expr)>> {
    let mut found = Vec::new();
    while !fields.is_empty() {
        let field = fields.parse()?;
        fields.parse::<Token![:]>()?;
        found.push((field, fields.parse()?));
        if !fields.is_empty() {
            fields.parse::<Token![,]>()?;
        }
    }
    Ok(found)
}

impl Open {
    /// The names of fields and oneofs with what the lists say of them.
    pub(super) fn answers(
        &self,
        text: &impl Fn(&Expr) -> Option<String>,
    ) -> Result<HashMap<String, Answer>, String> {
        let mut answers: HashMap<_, _> =
            self.implemented.iter().map(|field| (plain(field), Answer::Implemented)).collect();
        let lists = [
            (&self.rejected, Answer::Rejected as fn(String) -> Answer),
            (&self.ignored, Answer::Ignored as fn(String) -> Answer),
        ];
        for (list, answer) in lists {
            for (field, why) in list {
                let field = plain(field);
                let why = text(why)
                    .ok_or_else(|| format!("the reason of `{field}` is neither a text nor a constant"))?;
                answers.insert(field, answer(why));
            }
        }
        Ok(answers)
    }
}

fn plain(field: &Ident) -> String {
    field.to_string().trim_start_matches("r#").to_owned()
}
