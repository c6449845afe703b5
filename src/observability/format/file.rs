//! `FILE_CONTENT`: what a file holds, read again when it changes.
//!
//! Each worker follows the files that it is asked for by itself: asking the kernel whether something has changed is one
//! call that never waits.

use std::cell::RefCell;
use std::collections::HashMap;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::config::format::FileContent;

use super::Given;
use super::command::text;

/// Files that a worker follows. Configurations that are gone leave theirs behind, until there are so many.
const MAX_FILES: usize = 256;

thread_local! {
    static FOLLOWED: RefCell<HashMap<FileContent, Followed>> = RefCell::default();
}

/// Writes what the file holds.
pub(super) fn write(file: &FileContent, out: &mut Vec<u8>) -> Given {
    FOLLOWED.with_borrow_mut(|files| {
        if !files.contains_key(file) {
            if files.len() >= MAX_FILES {
                files.clear();
            }
            files.insert(file.clone(), Followed::new(file));
        }
        let content = files.get_mut(file).map(|followed| followed.content(file));
        text(content, out)
    })
}

struct Followed {
    /// What tells of changes; `None` where the kernel has no more of these, and the file is read each time.
    changes: Option<Inotify>,
    content: Vec<u8>,
}

impl Followed {
    fn new(file: &FileContent) -> Self {
        // From before the file is read, so that no change is missed.
        let changes = watch(file).ok();
        Followed { changes, content: file.read().unwrap_or_default() }
    }

    fn content(&mut self, file: &FileContent) -> &[u8] {
        if self.has_changed(file)
            && let Ok(content) = file.read()
        {
            self.content = content;
        }
        &self.content
    }

    fn has_changed(&self, file: &FileContent) -> bool {
        let Some(changes) = &self.changes else { return true };
        let mut has_changed = false;
        // Until there is no more to be told, which is an error.
        while let Ok(events) = changes.read_events() {
            has_changed |= events.iter().any(|event| file.name.is_none() || event.name == file.name);
        }
        has_changed
    }
}

/// As Envoy does: of a file it is changes that count and what is moved into its place, of a directory the latter alone.
fn watch(file: &FileContent) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let changes = match file.name {
        Some(_) => AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO,
        None => AddWatchFlags::IN_MOVED_TO,
    };
    inotify.add_watch(&file.directory, changes)?;
    Ok(inotify)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(file: &FileContent) -> String {
        let mut out = Vec::new();
        write(file, &mut out);
        String::from_utf8(out).expect("a text")
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "one").expect("a file");
        let own = FileContent {
            path: path.clone(),
            directory: directory.path().into(),
            name: path.file_name().map(ToOwned::to_owned),
        };
        let moved = FileContent { name: None, ..own.clone() };
        assert_eq!([content(&own), content(&moved)], ["one", "one"]);
        std::fs::write(&path, "two").expect("a file");
        assert_eq!([content(&own), content(&moved)], ["two", "one"]);
        std::fs::write(directory.path().join("b"), "three").expect("a file");
        assert_eq!([content(&own), content(&moved)], ["two", "one"]);
        std::fs::rename(directory.path().join("b"), &path).expect("a file");
        assert_eq!([content(&own), content(&moved)], ["three", "three"]);
        std::fs::remove_file(&path).expect("a file");
        assert_eq!([content(&own), content(&moved)], ["three", "three"]);
    }
}
