//! What calls of `reject` and `ignore` say of single fields, beside the lists of `open!`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dragoman_proto::descriptor::{self, Field};

use super::declarations::{Answer, File, Taken};

/// The answers that calls of `reject` and `ignore` give.
pub(super) struct Said(Vec<Answered>);

struct Answered {
    file: PathBuf,
    field: String,
    /// The messages whose field it is, where the file takes apart some that have it; otherwise those of the folder.
    messages: Vec<String>,
    answer: Answer,
}

impl Said {
    /// In all of these files; reasons may be constants from elsewhere.
    pub(super) fn of<'f>(
        files: impl Iterator<Item = (&'f File, &'f Vec<Taken<'f>>)>,
        constants: &HashMap<String, String>,
    ) -> Self {
        let mut said = Vec::new();
        for (file, taken) in files {
            for call in &file.opened.calls {
                let Some(why) = file.text(&call.what.why, constants) else { continue };
                said.push(Answered {
                    file: PathBuf::from(&file.name),
                    field: call.what.field.clone(),
                    messages: holders(&call.what.field, call.function, taken),
                    answer: (call.what.answer)(why),
                });
            }
        }
        Self(said)
    }

    /// What is said of a field in this file, or of a member of a oneof in another one of the folder: one file may take
    /// the message apart and another go through the members.
    pub(super) fn of_field(&self, file: &str, message: &str, field: &Field) -> Option<&Answer> {
        let file = Path::new(file);
        let mut named = self.0.iter().filter(|said| said.field == field.name());
        let found = named.find(|said| match &said.messages[..] {
            [] => field.oneof().is_some() && said.file.parent() == file.parent(),
            holders => said.file == file && holders.iter().any(|holder| holder == message),
        });
        found.map(|said| &said.answer)
    }
}

/// The messages that have a field of this name: those that the function takes apart, or else those that the file does.
fn holders(field: &str, function: usize, taken: &[Taken<'_>]) -> Vec<String> {
    let has = |taken: &&Taken<'_>| {
        let fields = descriptor::message(taken.message).map(|message| message.fields());
        fields.is_some_and(|fields| fields.iter().any(|one| one.name() == field))
    };
    let names = |taken: &Taken<'_>| taken.message.to_owned();
    let near: Vec<_> =
        taken.iter().filter(|taken| taken.function == function).filter(has).map(names).collect();
    if near.is_empty() { taken.iter().filter(has).map(names).collect() } else { near }
}
