//! Worker threads: each has a runtime of its own and shares nothing that a request writes.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

use crate::base::random::Rng;
use crate::http::Worker;
use crate::listener::accept::Acceptor;
use crate::listener::manager::Command;
use crate::observability::stats::enter_shard;
use crate::snapshot::Published;

use super::affinity;
use super::sweep::keep_sweeping;
use super::watchdog::Heart;

/// The worker threads of the process.
#[derive(Debug)]
pub struct Workers {
    senders: Vec<UnboundedSender<Command>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts a thread for each of `hearts`, which stay at these CPUs, where there are some; they serve nothing yet.
    ///
    /// # Errors
    /// A thread that the system does not give.
    pub(super) fn start(published: &Arc<Published>, hearts: &[Heart], cpus: &[usize]) -> io::Result<Self> {
        let mut workers = Workers { senders: Vec::new(), threads: Vec::new() };
        for (index, heart) in hearts.iter().enumerate() {
            let (sender, receiver) = unbounded_channel();
            let (published, heart) = (Arc::clone(published), heart.clone());
            let cpu = cpus.get(index).copied();
            let start = move || {
                cpu.into_iter().for_each(affinity::stay_at);
                run(index, published, heart, receiver);
            };
            let thread = Builder::new().name(format!("wrk:worker_{index}")).spawn(start)?;
            workers.senders.push(sender);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Ways to tell the workers.
    pub fn senders(&self) -> Vec<UnboundedSender<Command>> {
        self.senders.clone()
    }

    /// Tells every worker; one that has ended needs telling nothing.
    pub fn tell(&self, command: &Command) {
        for worker in &self.senders {
            if worker.send(command.clone()).is_err() {
                tracing::debug!(target: "main", "a worker has ended");
            }
        }
    }

    /// Waits until all workers have ended: each does after [`Command::Finish`], when its connections are closed.
    /// Blocks.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!(target: "main", "a worker ended in a panic");
            }
        }
    }
}

fn run(index: usize, published: Arc<Published>, heart: Heart, commands: UnboundedReceiver<Command>) {
    // Shard 0 is that of all other threads.
    enter_shard(index + 1);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(target: "main", %error, "worker {index} cannot start");
            return;
        }
    };
    let worker = Rc::new(Worker::new(published, Rng::from_entropy()));
    LocalSet::new().block_on(&runtime, async {
        spawn_local(heart.keep_beating());
        serve(index, worker, commands).await;
    });
}

async fn serve(index: usize, worker: Rc<Worker>, mut commands: UnboundedReceiver<Command>) {
    let mut acceptor = Acceptor::new(index, Rc::clone(&worker));
    let mut sweeping = pin!(keep_sweeping(&worker));
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Finish) | None => break,
                Some(command) => acceptor.handle(command),
            },
            never = &mut sweeping => match never {},
        }
    }
    acceptor.closed().await;
}
