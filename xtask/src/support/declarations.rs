//! The lists of `open!` in the sources: what the program says of each field of a message.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use dragoman_proto::descriptor::{self, Field};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprMethodCall, Ident, ItemConst, ItemMod, Lit, Macro, Token, braced};

use super::names::{Imports, Messages};

/// What one `open!` says.
#[derive(Debug)]
pub(super) struct Declaration {
    /// Full name of the message.
    pub(super) message: String,
    /// Each field of the message with its answer, as numbered in the proto.
    pub(super) fields: Vec<(&'static Field, Answer)>,
}

/// What becomes of a field that is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// It has its effect.
    Implemented,
    /// It has its effect but for some of its values, which are errors, or have none, for this reason.
    InPart(String),
    /// It is an error, for this reason.
    Rejected(String),
    /// It has no effect, which nobody can notice for this reason.
    Ignored(String),
}

/// Every declaration below this folder.
///
/// # Errors
/// A file that cannot be read or parsed, a message or a reason that cannot be made out.
pub(super) fn collect(root: &Path, folder: &Path) -> Result<Vec<Declaration>, Box<dyn Error>> {
    let messages = Messages::of_the_api();
    let mut declarations = Vec::new();
    let files = parse(root, folder)?;
    // A reason that is used in several files is a constant in one of them.
    let elsewhere: HashMap<_, _> = files.iter().flat_map(|file| file.opened.texts.clone()).collect();
    let said = Said::of(&files, &elsewhere);
    for File { name, imports, opened } in files {
        let text = |expression: &Expr| match expression {
            Expr::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                opened.texts.get(&name).or_else(|| elsewhere.get(&name)).cloned()
            }
            other => literal(other),
        };
        for (line, open) in &opened.found {
            let place = format!("{name}:{line}");
            let open = open.as_ref().map_err(|error| format!("{place}: {error}"))?;
            let message = messages
                .full_name(&open.message, *line, &imports)
                .map_err(|error| format!("{place}: {error}"))?;
            let answers = open.answers(&text).map_err(|reason| format!("{place}: {reason}"))?;
            let fields = fields(message, &answers, |field| said.of_field(&name, field));
            declarations.push(Declaration { message: message.to_owned(), fields });
        }
    }
    Ok(declarations)
}

/// The fields of a message with their answers. A oneof is listed by its own name and read by a `match`, in whose arms
/// some of its members may be rejected or ignored, as some values of other fields are.
fn fields<'a>(
    message: &str,
    answers: &HashMap<String, Answer>,
    said: impl Fn(&Field) -> Option<&'a Answer>,
) -> Vec<(&'static Field, Answer)> {
    let Some(message) = descriptor::message(message) else { return Vec::new() };
    let answer = |field: &'static Field| {
        let oneof = field.oneof().map(|oneof| message.oneofs()[oneof].name());
        let listed = answers.get(field.name()).or_else(|| answers.get(oneof?))?;
        let answer = match (listed, said(field)) {
            (Answer::Implemented, Some(said)) if oneof.is_some() => said.clone(),
            (Answer::Implemented, Some(Answer::Rejected(why) | Answer::Ignored(why))) => {
                Answer::InPart(why.clone())
            }
            (listed, _) => listed.clone(),
        };
        Some((field, answer))
    };
    message.fields().iter().filter_map(answer).collect()
}

/// The answers that calls of `reject` and `ignore` give, by file and field.
struct Said(Vec<(PathBuf, String, Answer)>);

impl Said {
    fn of(files: &[File], constants: &HashMap<String, String>) -> Self {
        let mut said = Vec::new();
        for file in files {
            for (field, answer, why) in &file.opened.calls {
                let why = match why {
                    Expr::Path(path) => path.path.segments.last().and_then(|name| {
                        let name = name.ident.to_string();
                        file.opened.texts.get(&name).or_else(|| constants.get(&name)).cloned()
                    }),
                    other => literal(other),
                };
                said.extend(why.map(|why| (PathBuf::from(&file.name), field.clone(), answer(why))));
            }
        }
        Self(said)
    }

    /// What is said of a field in this file, or of a member of a oneof in another one of the folder: one file may take
    /// the message apart and another go through the members.
    fn of_field(&self, file: &str, field: &Field) -> Option<&Answer> {
        let file = Path::new(file);
        let find = |near: &dyn Fn(&Path) -> bool| {
            self.0
                .iter()
                .find(|(place, name, _)| name == field.name() && near(place))
                .map(|(_, _, said)| said)
        };
        let elsewhere = || find(&|place| field.oneof().is_some() && place.parent() == file.parent());
        find(&|place| place == file).or_else(elsewhere)
    }
}

/// What is of interest in one source file.
struct File {
    /// Below the repository's root.
    name: String,
    imports: Imports,
    opened: Opened,
}

fn parse(root: &Path, folder: &Path) -> Result<Vec<File>, Box<dyn Error>> {
    let mut files = Vec::new();
    for path in sources(folder)? {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let file =
            syn::parse_file(&std::fs::read_to_string(&path)?).map_err(|error| format!("{name}: {error}"))?;
        let mut opened = Opened::default();
        opened.visit_file(&file);
        files.push(File { name, imports: Imports::of(&file), opened });
    }
    Ok(files)
}

/// The source files below a folder, in order.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A call of `reject` or `ignore`: the field, the answer that a reason makes, and where the reason stands.
type Call = (String, fn(String) -> Answer, Expr);

/// The calls of `open!`, `reject` and `ignore` in a file, and its constant texts, which may be reasons. Tests are passed over.
#[derive(Default)]
struct Opened {
    found: Vec<(usize, syn::Result<Open>)>,
    calls: Vec<Call>,
    texts: HashMap<String, String>,
}

impl<'ast> Visit<'ast> for Opened {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
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
            self.calls.push((field, answer, why.clone()));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if call.path.is_ident("open") {
            let line = call.path.segments[0].ident.span().start().line;
            self.found.push((line, call.parse_body()));
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<Ident>().is_ok_and(|condition| condition == "test")
}

fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The body of one call.
struct Open {
    message: syn::Path,
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
                "rejected" => open.rejected = with_reasons(&fields)?,
                "ignored" => open.ignored = with_reasons(&fields)?,
                _ => return Err(syn::Error::new(list.span(), "there is no such list")),
            }
        }
        Ok(open)
    }
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
    fn answers(&self, text: &impl Fn(&Expr) -> Option<String>) -> Result<HashMap<String, Answer>, String> {
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
