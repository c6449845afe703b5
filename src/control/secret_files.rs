//! The files that secrets over SDS name: watched for what happens in their directories.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::config::tls::Secret;
use crate::config::watched::WatchedDirectory;
use crate::xds::watch::Watch;

/// Which secret: the number of its source, and its name.
pub(super) type Key = (usize, String);

/// A task for each secret whose files are watched.
#[derive(Debug)]
pub(super) struct SecretFiles {
    tasks: JoinSet<()>,
    watched: BTreeMap<Key, (Vec<WatchedDirectory>, AbortHandle)>,
    moved: mpsc::UnboundedSender<Key>,
    notices: mpsc::UnboundedReceiver<Key>,
}

impl SecretFiles {
    pub(super) fn new() -> Self {
        let (moved, notices) = mpsc::unbounded_channel();
        SecretFiles { tasks: JoinSet::new(), watched: BTreeMap::new(), moved, notices }
    }

    /// Watches the files of these secrets and of no others.
    pub(super) fn follow<'s>(&mut self, secrets: impl Iterator<Item = (usize, &'s str, &'s Arc<Secret>)>) {
        let mut before = std::mem::take(&mut self.watched);
        for (source, name, secret) in secrets {
            let key = (source, name.to_owned());
            let known = before.remove(&key);
            let entry = match known {
                Some((directories, task)) if directories == secret.watched => (directories, task),
                other => {
                    other.into_iter().for_each(|(_, task)| task.abort());
                    (secret.watched.clone(), self.watch(&key, &secret.watched))
                }
            };
            self.watched.insert(key, entry);
        }
        before.into_values().for_each(|(_, task)| task.abort());
        while self.tasks.try_join_next().is_some() {}
    }

    fn watch(&mut self, key: &Key, directories: &[WatchedDirectory]) -> AbortHandle {
        let (key, moved) = (key.clone(), self.moved.clone());
        let mut watches: Vec<_> =
            directories.iter().map(|directory| Watch::new(&directory.path, Some(directory))).collect();
        self.tasks.spawn_local(async move {
            // What was moved before the watch began is looked for once.
            while moved.send(key.clone()).is_ok() {
                let mut waiting: Vec<_> = watches.iter_mut().map(|watch| Box::pin(watch.moved())).collect();
                poll_fn(|cx| {
                    let is_moved = waiting.iter_mut().any(|one| one.as_mut().poll(cx).is_ready());
                    if is_moved { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        })
    }

    /// The next secret whose files have to be read again. Cancel safe.
    pub(super) async fn next(&mut self) -> Key {
        match self.notices.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        }
    }
}
