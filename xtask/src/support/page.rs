//! The page for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dragoman_proto::descriptor::Field;

use super::declarations::{Answer, Declaration};
use super::reach;

/// What the page begins with.
const HEAD: &str = "# How every field is answered

Made from the sources by `cargo run -p xtask -- support`; a test fails when it is stale.

A field that is set is *implemented*; or *rejected*, which refuses the resource with the path of the field; or
*ignored*, which is only for what nobody can notice in traffic, security or statistics. *In part* means that some
of its values are rejected, or have no effect. [Messages that are not read](#messages-that-are-not-read) stand only where such a field
holds them. An [extension](#extensions) that is refused is so in words that name the known ones of its category.

`dragoman check FILE` says all this of your own configuration.
";

/// The release that answered the fields below first.
const FIRST_RELEASE: &str = "0.1.0";

/// The page: the messages that are read, each once, in the order of their names; those that are not; the extensions.
pub(super) fn render(declarations: &[Declaration]) -> String {
    let mut page = HEAD.to_owned();
    let messages = merge(declarations);
    let counts = count(&messages);
    page.push_str("\n## Messages that are read\n\n");
    writeln!(page, "{counts}").expect("a String takes everything");
    for (message, fields) in &messages {
        write!(page, "\n### {message}\n\n| field | answer | reason | since |\n|---|---|---|---|\n")
            .expect("a String takes everything");
        for (field, answers) in fields {
            page.push_str(&row(field, answers));
        }
    }
    unread(&mut page, declarations);
    extensions(&mut page, declarations, &messages);
    page
}

/// The fields of one message, by number, with every answer that they get.
type Fields = BTreeMap<u32, (&'static Field, Vec<Answer>)>;

/// A message that is taken apart in several places may get an answer of its own in each.
fn merge(declarations: &[Declaration]) -> BTreeMap<&str, Vec<(&'static Field, Vec<Answer>)>> {
    let mut messages: BTreeMap<&str, Fields> = BTreeMap::new();
    for declaration in declarations {
        let fields = messages.entry(&declaration.message).or_default();
        for (field, answer) in &declaration.fields {
            let (_, answers) = fields.entry(field.number()).or_insert((field, Vec::new()));
            if !answers.contains(answer) {
                answers.push(answer.clone());
                answers.sort();
            }
        }
    }
    messages.into_iter().map(|(message, fields)| (message, fields.into_values().collect())).collect()
}

/// What typed configurations may name.
fn extensions(
    page: &mut String,
    declarations: &[Declaration],
    messages: &BTreeMap<&str, Vec<(&'static Field, Vec<Answer>)>>,
) {
    page.push_str("\n## Extensions\n\nWhat typed configurations may name, by the package that it is of. ");
    page.push_str("A type that is refused is refused with all it holds.\n\n| category | type URL | answer |\n|---|---|---|\n");
    for (category, types) in reach::extension_types(declarations) {
        for name in types {
            let answer = if messages.contains_key(name.as_str()) { "served" } else { "refused" };
            writeln!(page, "| {category} | `type.googleapis.com/{name}` | {answer} |")
                .expect("a String takes everything");
        }
    }
}

/// Messages that stand below fields that are not read.
fn unread(page: &mut String, declarations: &[Declaration]) {
    page.push_str("\n## Messages that are not read\n\nThey stand only where a field is rejected or ignored, or below one that is.\n\n");
    page.push_str("| message | in | answer | reason |\n|---|---|---|---|\n");
    for (message, unread) in reach::unread(declarations) {
        let word = unread.answer.as_ref().map_or("as the message that holds it", word);
        let why = unread.answer.as_ref().and_then(reason).unwrap_or_default();
        writeln!(page, "| {message} | `{}` | {word} | {why} |", unread.field)
            .expect("a String takes everything");
    }
}

/// How many fields get which answer.
fn count(messages: &BTreeMap<&str, Vec<(&'static Field, Vec<Answer>)>>) -> String {
    let answers = || messages.values().flatten().filter_map(|(_, answers)| answers.first());
    let number = |wanted: fn(&Answer) -> bool| answers().filter(|answer| wanted(answer)).count();
    format!(
        "{} messages with {} fields: {} implemented, {} in part, {} rejected, {} ignored.",
        messages.len(),
        answers().count(),
        number(|answer| matches!(answer, Answer::Implemented)),
        number(|answer| matches!(answer, Answer::InPart(_))),
        number(|answer| matches!(answer, Answer::Rejected(_))),
        number(|answer| matches!(answer, Answer::Ignored(_))),
    )
}

fn row(field: &Field, answers: &[Answer]) -> String {
    let words: Vec<_> = answers.iter().map(word).collect();
    let reasons: Vec<_> =
        answers.iter().filter_map(reason).map(|reason| reason.replace('|', "\\|")).collect();
    let deprecated = if field.is_deprecated() { " (deprecated)" } else { "" };
    let (words, reasons) = (words.join(" or "), reasons.join("; "));
    format!("| `{}`{deprecated} | {words} | {reasons} | {FIRST_RELEASE} |\n", field.name())
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Implemented => "implemented",
        Answer::InPart(_) => "in part",
        Answer::Rejected(_) => "rejected",
        Answer::Ignored(_) => "ignored",
    }
}

fn reason(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Implemented => None,
        Answer::InPart(why) | Answer::Rejected(why) | Answer::Ignored(why) => Some(why),
    }
}
