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
of its values are rejected. A message that is not listed stands only where a rejected field would hold it. An
extension that is not listed is refused, and the refusal names the known ones of its category.

`dragoman check FILE` says all this of your own configuration.
";

/// The release that answered the fields below first.
const FIRST_RELEASE: &str = "0.1.0";

/// The page: the known extensions, then the messages, each once, in the order of their names.
pub(super) fn render(declarations: &[Declaration]) -> String {
    let mut page = HEAD.to_owned();
    let messages = merge(declarations);
    extensions(&mut page, declarations, &messages);
    let counts = count(&messages);
    page.push_str("\n## Messages\n\n");
    writeln!(page, "{counts}").expect("a String takes everything");
    unlisted(&mut page, declarations);
    for (message, fields) in &messages {
        write!(page, "\n### {message}\n\n| field | answer | reason | since |\n|---|---|---|---|\n")
            .expect("a String takes everything");
        for (field, answers) in fields {
            page.push_str(&row(field, answers));
        }
    }
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

/// Messages of extensions that no other message holds: what a typed configuration may name.
fn extensions(
    page: &mut String,
    declarations: &[Declaration],
    messages: &BTreeMap<&str, Vec<(&'static Field, Vec<Answer>)>>,
) {
    const PACKAGE: &str = "envoy.extensions.";
    let held: Vec<&str> =
        declarations.iter().flat_map(reach::held).map(|(_, message)| message.full_name()).collect();
    let mut categories: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for message in messages.keys().filter(|message| !held.contains(message)) {
        if let Some((category, _)) = message.strip_prefix(PACKAGE).and_then(|rest| rest.split_once(".v3.")) {
            let category = category.rsplit_once('.').map_or(category, |(category, _)| category);
            categories.entry(category.to_owned()).or_default().push(message);
        }
    }
    page.push_str("\n## Known extensions\n\n| category | type URL |\n|---|---|\n");
    for (category, types) in categories {
        for name in types {
            writeln!(page, "| {category} | `type.googleapis.com/{name}` |")
                .expect("a String takes everything");
        }
    }
}

/// Messages that are read as a whole or by hand.
fn unlisted(page: &mut String, declarations: &[Declaration]) {
    page.push_str("\nThe fields of these are read one by one, without a list of answers yet:\n\n");
    for (message, field) in reach::unlisted(declarations) {
        writeln!(page, "- {message}, in `{field}`").expect("a String takes everything");
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
