//! What a file holds, read again when it changes: for `FILE_CONTENT`, for bodies of direct responses, and for bundles of
//! SPIFFE.
//!
//! Each worker follows the files that it is asked for by itself: asking the kernel whether something has changed is one
//! call that never waits.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::config::watched::{WatchedDirectory, WatchedFile};

/// Files that a worker follows. Configurations that are gone leave theirs behind, until there are so many.
const MAX_FILES: usize = 256;

thread_local! {
    static FOLLOWED: RefCell<HashMap<WatchedFile, Followed>> = RefCell::default();
}

/// What the file holds, or held when it could last be read; `None` where it could not yet.
pub fn content(file: &WatchedFile) -> Option<Bytes> {
    FOLLOWED.with_borrow_mut(|files| {
        if !files.contains_key(file) {
            if files.len() >= MAX_FILES {
                files.clear();
            }
            files.insert(file.clone(), Followed::new(file));
        }
        files.get_mut(file).and_then(|followed| followed.content(file))
    })
}

struct Followed {
    /// What tells of changes; `None` where the kernel has no more of these, and the file is read each time.
    changes: Option<Inotify>,
    content: Option<Bytes>,
}

impl Followed {
    fn new(file: &WatchedFile) -> Self {
        // From before the file is read, so that no change is missed.
        let changes = watch(file).ok();
        Followed { changes, content: read(file) }
    }

    fn content(&mut self, file: &WatchedFile) -> Option<Bytes> {
        if self.has_changed(file) {
            self.content = read(file).or(self.content.take());
        }
        self.content.clone()
    }

    fn has_changed(&self, file: &WatchedFile) -> bool {
        let Some(changes) = &self.changes else { return true };
        let mut has_changed = false;
        // Until there is no more to be told, which is an error.
        while let Ok(events) = changes.read_events() {
            has_changed |= events.iter().any(|event| file.name.is_none() || event.name == file.name);
        }
        has_changed
    }
}

fn read(file: &WatchedFile) -> Option<Bytes> {
    let content = file.read();
    content
        .map_err(|error| tracing::error!("Failed to read file: {}: {error}", file.path.display()))
        .ok()
        .map(Bytes::from)
}

fn watch(file: &WatchedFile) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let mut changes = AddWatchFlags::IN_MOVED_TO;
    changes.set(AddWatchFlags::IN_MODIFY, file.directory.watch_modify || file.in_place);
    inotify.add_watch(&file.directory.path, changes)?;
    if file.in_place {
        // What else happens there has the file read once more.
        inotify.add_watch(&WatchedDirectory::around(&file.path).path, changes)?;
    }
    Ok(inotify)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "one").expect("a file");
        let around = WatchedDirectory::around(&path);
        let own = WatchedFile::new(&path, None);
        let moved = WatchedFile::new(&path, Some(around.clone()));
        let both = WatchedFile { in_place: true, ..moved.clone() };
        let elsewhere = tempfile::tempdir().expect("a directory");
        let apart = WatchedDirectory { path: elsewhere.path().to_owned(), watch_modify: false };
        let apart = WatchedFile { in_place: true, ..WatchedFile::new(&path, Some(apart)) };
        let written = WatchedFile::new(&path, Some(WatchedDirectory { watch_modify: true, ..around }));
        let contents =
            || [&own, &moved, &written, &both, &apart].map(|file| content(file).expect("a content"));
        assert_eq!(contents(), ["one"; 5]);
        std::fs::write(&path, "two").expect("a file");
        assert_eq!(contents(), ["two", "one", "two", "two", "two"]);
        std::fs::write(directory.path().join("b"), "three").expect("a file");
        assert_eq!(contents(), ["two", "one", "two", "two", "two"]);
        std::fs::rename(directory.path().join("b"), &path).expect("a file");
        assert_eq!(contents(), ["three"; 5]);
        std::fs::remove_file(&path).expect("a file");
        assert_eq!(contents(), ["three"; 5]);
    }

    #[test]
    fn what_is_too_large_does_not_take_the_place_of_what_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        std::fs::write(&path, "one").expect("a file");
        let file = WatchedFile { max_bytes: Some(4), ..WatchedFile::new(&path, None) };
        assert_eq!(content(&file).expect("a content"), "one");
        std::fs::write(&path, "three").expect("a file");
        assert_eq!(content(&file).expect("a content"), "one");
    }
}
