//! Watching for a file that is moved into place.
//!
//! As Envoy does, only moves count, unless it is told otherwise: whoever replaces a configuration writes another file (or
//! link) and renames it, so that nobody ever reads half of one. The watch is on the directory and lives through its
//! replacement.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use crate::config::watched::WatchedDirectory;

/// How long a directory that is not there is waited for before the next look.
const RETRY: Duration = Duration::from_millis(500);

/// Waits for changes in a directory.
#[derive(Debug)]
pub struct Watch {
    directory: WatchedDirectory,
    /// What has to change; `None` takes anything.
    name: Option<OsString>,
    inotify: Option<AsyncFd<Descriptor>>,
}

/// What `AsyncFd` wants of a descriptor and `Inotify` does not have.
#[derive(Debug)]
struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// What happened since the last look.
#[derive(PartialEq)]
enum Seen {
    Nothing,
    Change,
    /// The directory itself went away, or events were lost.
    Lost,
}

impl Watch {
    /// A watch for moves to this path, or, where a directory is given, for what happens in that.
    pub fn new(path: &Path, watched_directory: Option<&WatchedDirectory>) -> Self {
        let (directory, name) = match watched_directory {
            Some(directory) => (directory.clone(), None),
            None => (WatchedDirectory::around(path), path.file_name().map(OsStr::to_owned)),
        };
        let mut watch = Watch { directory, name, inotify: None };
        watch.start();
        watch
    }

    /// Begins to watch; without success when there is no such directory now.
    fn start(&mut self) -> bool {
        let mut flags =
            AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        flags.set(AddWatchFlags::IN_MODIFY, self.directory.watch_modify);
        let start = || -> io::Result<AsyncFd<Descriptor>> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            inotify.add_watch(&self.directory.path, flags)?;
            #[expect(
                deprecated,
                reason = "its successor is unsafe; a Descriptor never changes its descriptor"
            )]
            AsyncFd::new(Descriptor(inotify))
        };
        self.inotify = start().ok();
        self.inotify.is_some()
    }

    /// Returns when something was moved into place (or written, where that counts), or may have been. Cancel safe.
    pub async fn moved(&mut self) {
        loop {
            let Some(inotify) = &self.inotify else {
                tokio::time::sleep(RETRY).await;
                if self.start() {
                    return;
                }
                continue;
            };
            let Ok(mut ready) = inotify.readable().await else {
                self.inotify = None;
                continue;
            };
            let seen = self.look(&ready.get_inner().0);
            ready.clear_ready();
            match seen {
                Seen::Nothing => {}
                Seen::Change => return,
                Seen::Lost => self.inotify = None,
            }
        }
    }

    fn look(&self, inotify: &Inotify) -> Seen {
        let mut seen = Seen::Nothing;
        while let Ok(events) = inotify.read_events() {
            for event in events {
                if !event.mask.intersects(AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MODIFY) {
                    return Seen::Lost;
                }
                if self.name.is_none() || event.name == self.name {
                    seen = Seen::Change;
                }
            }
        }
        seen
    }
}
