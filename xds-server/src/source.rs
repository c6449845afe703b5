//! Where the catalog comes from: resources of a program, a directory, or both.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::check::check;
use crate::hub::Hub;
use crate::load;
use crate::snapshot::{Audience, Catalog, Problem};
use crate::watch::{self, Watch};

/// Why a directory cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The directory.
    pub directory: PathBuf,
    /// All that is wrong.
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be served", self.directory.display())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for LoadError {}

/// Where the catalog comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// Served besides the directory; a resource of the directory replaces one of these.
    pub(crate) catalog: Catalog,
    /// The directory that is served, if there is one.
    pub(crate) directory: Option<PathBuf>,
    /// Clusters that exist though nobody serves them.
    pub(crate) static_clusters: BTreeSet<String>,
}

impl Source {
    /// Puts the first catalog in force. Returns what follows the changes of the directory, if there is one.
    pub(crate) async fn start(
        self,
        hub: &Arc<Hub>,
    ) -> Result<Option<impl Future<Output = ()> + Send + 'static>, LoadError> {
        let Some(directory) = self.directory.clone() else {
            hub.publish(self.catalog);
            return Ok(None);
        };
        let source = Arc::new(self);
        match source.clone().load().await {
            Ok(catalog) => hub.publish(catalog),
            Err(problems) => return Err(LoadError { directory, problems }),
        };
        Ok(Some(follow(source, directory, hub.clone())))
    }

    /// Reads the directory and checks what it holds.
    async fn load(self: Arc<Self>) -> Result<Catalog, Vec<Problem>> {
        blocking(move || {
            let catalog = match &self.directory {
                Some(directory) => self.overlaid(load::directory(directory)?),
                None => self.catalog.clone(),
            };
            let problems = check(&catalog, &self.static_clusters);
            if problems.is_empty() { Ok(catalog) } else { Err(problems) }
        })
        .await
    }

    fn overlaid(&self, loaded: Vec<(Audience, crate::Resource)>) -> Catalog {
        self.catalog.clone().with(loaded)
    }
}

/// Reads a directory.
///
/// # Errors
///
/// All that is wrong, each with file, line and reason. Routes may lead to the `static_clusters`.
pub fn load_directory(path: &Path, static_clusters: &BTreeSet<String>) -> Result<Catalog, LoadError> {
    let failed = |problems| LoadError { directory: path.to_owned(), problems };
    let catalog = Catalog::new(load::directory(path).map_err(failed)?);
    let problems = check(&catalog, static_clusters);
    if problems.is_empty() { Ok(catalog) } else { Err(failed(problems)) }
}

/// Follows the changes of a directory until the hub stops.
async fn follow(source: Arc<Source>, directory: PathBuf, hub: Arc<Hub>) {
    let mut watch = Watch::new();
    let mut pause = watch::INTERVAL;
    let stopped = hub.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(pause) => {}
        }
        let started = Instant::now();
        let root = directory.clone();
        let found = blocking(move || load::fingerprint(&root)).await;
        pause = watch::pause(started.elapsed());
        if watch.look(found, Instant::now()) {
            reload(&source, &hub).await;
        }
    }
}

async fn reload(source: &Arc<Source>, hub: &Hub) {
    let before = hub.published().borrow().generation;
    match source.clone().load().await {
        Ok(catalog) => {
            let generation = hub.publish(catalog);
            if generation != before {
                tracing::info!(generation, "a change of the directory is in force");
            }
        }
        Err(problems) => {
            for problem in &problems {
                tracing::error!("{problem}");
            }
            tracing::error!(
                generation = before,
                "a change of the directory is refused; what was served stays"
            );
            hub.refuse(problems);
        }
    }
}

/// Runs what reads files on a thread that may wait for them.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
