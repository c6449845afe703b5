//! The lists of `open!` in the sources: what the program says of each field of a message.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use dragoman_proto::UNSERVED;
use dragoman_proto::descriptor::{self, Field};
use syn::Expr;
use syn::visit::Visit;

use super::names::{Imports, Messages};
use super::opened::{Found, Open, Opened, literal};
use super::said::Said;

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
    let files = parse(root, folder)?;
    // A reason that is used in several files is a constant in one of them.
    let elsewhere: HashMap<_, _> = files.iter().flat_map(|file| file.opened.texts.clone()).collect();
    let taken = files.iter().map(|file| file.taken(&messages)).collect::<Result<Vec<_>, String>>()?;
    let said = Said::of(files.iter().zip(&taken), &elsewhere);
    let mut declarations = Vec::new();
    for (file, taken) in files.iter().zip(&taken) {
        for Taken { message, line, open, .. } in taken {
            let answers = open.answers(&|why| file.text(why, &elsewhere));
            let answers = answers.map_err(|reason| format!("{}:{line}: {reason}", file.name))?;
            let fields = fields(message, &answers, |field| said.of_field(&file.name, message, field));
            declarations.push(Declaration { message: (*message).to_owned(), fields });
        }
    }
    refuse_unserved(&mut declarations);
    Ok(declarations)
}

/// Adds what becomes of fields that are newer than the messages' types in Rust, and that nobody takes.
fn refuse_unserved(declarations: &mut [Declaration]) {
    let number = |(field, _): &(&'static Field, Answer)| field.number();
    let answered = declarations
        .iter()
        .flat_map(|one| one.fields.iter().map(|field| (one.message.clone(), number(field))));
    let answered: HashSet<(String, u32)> = answered.collect();
    for Declaration { message, fields } in declarations {
        let all = descriptor::message(message).map(descriptor::Message::fields).unwrap_or_default();
        let unserved = all.iter().filter(|field| field.is_newer());
        let unserved = unserved.filter(|field| !answered.contains(&(message.clone(), field.number())));
        fields.extend(unserved.map(|field| (field, Answer::Rejected(UNSERVED.to_owned()))));
    }
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

/// What is of interest in one source file.
pub(super) struct File {
    /// Below the repository's root.
    pub(super) name: String,
    imports: Imports,
    pub(super) opened: Opened,
}

/// A message that a file takes apart.
pub(super) struct Taken<'f> {
    /// Its full name.
    pub(super) message: &'f str,
    /// The function that does.
    pub(super) function: usize,
    line: usize,
    open: &'f Open,
}

impl File {
    /// The messages that it takes apart.
    fn taken<'f>(&'f self, messages: &'f Messages) -> Result<Vec<Taken<'f>>, String> {
        let found = self.opened.found.iter().map(|Found { line, function, what }| {
            let place = |error: &dyn Display| format!("{}:{line}: {error}", self.name);
            let open = what.as_ref().map_err(|error| place(error))?;
            let message = messages.full_name(&open.message, *line, &self.imports);
            let message = message.map_err(|error| place(&error))?;
            Ok(Taken { message, function: *function, line: *line, open })
        });
        found.collect()
    }

    /// A reason, which is a text or one of the constants.
    pub(super) fn text(&self, why: &Expr, elsewhere: &HashMap<String, String>) -> Option<String> {
        match why {
            Expr::Path(path) => {
                let name = path.path.segments.last()?.ident.to_string();
                self.opened.texts.get(&name).or_else(|| elsewhere.get(&name)).cloned()
            }
            other => literal(other),
        }
    }
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
