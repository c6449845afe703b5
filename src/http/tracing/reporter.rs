//! Spans of one worker on their way to a collector: they wait until there are enough of them, or the oldest has waited
//! for long enough.
//!
//! Envoy's timer ticks whether there are spans or not; this one only while some wait.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::config::runtime::Values;
use crate::http::worker::Worker;

use super::batch::{Added, Batch};

/// Who sends spans to a collector; all workers share it.
pub(super) trait Exporter: fmt::Debug + Send + Sync + 'static {
    /// What is sent.
    type Span: fmt::Debug + 'static;

    /// How many spans are sent together.
    fn min_flush_spans(&self, runtime: &Values) -> usize;

    /// How many wait at most.
    fn max_waiting(&self) -> usize;

    /// How long one waits.
    fn flush_interval(&self, runtime: &Values) -> Duration;

    /// The time was over before there were enough.
    fn count_tick(&self);

    /// A span found no room.
    fn count_dropped(&self);

    /// Sends them; the future tells nobody how that went.
    fn send(&self, spans: Vec<Self::Span>, worker: &Rc<Worker>) -> LocalBoxFuture<'static, ()>;
}

/// The spans of a worker that wait for one exporter.
#[derive(Debug)]
pub(super) struct Reporter<E: Exporter> {
    exporter: Arc<E>,
    waiting: RefCell<Batch<E::Span>>,
    ticks: Cell<bool>,
}

impl<E: Exporter> Reporter<E> {
    /// Takes a span over.
    pub(super) fn report(self: &Rc<Self>, span: E::Span, worker: &Rc<Worker>) {
        let enough = self.exporter.min_flush_spans(&worker.snapshot().runtime);
        let Added { dropped, flushed } =
            self.waiting.borrow_mut().add(span, enough, self.exporter.max_waiting());
        if dropped {
            self.exporter.count_dropped();
        }
        match flushed {
            Some(spans) => self.send(spans, worker),
            None if !dropped && !self.ticks.replace(true) => {
                spawn_local(Rc::clone(self).tick(Rc::clone(worker)));
            }
            None => {}
        }
    }

    /// Sends what waits each time that the interval is over, until nothing does.
    async fn tick(self: Rc<Self>, worker: Rc<Worker>) {
        loop {
            let interval = self.exporter.flush_interval(&worker.snapshot().runtime);
            sleep(interval).await;
            let Some(spans) = self.waiting.borrow_mut().flush() else {
                self.ticks.set(false);
                return;
            };
            self.exporter.count_tick();
            self.send(spans, &worker);
        }
    }

    fn send(&self, spans: Vec<E::Span>, worker: &Rc<Worker>) {
        spawn_local(self.exporter.send(spans, worker));
    }
}

/// The reporters of a worker, by their exporters.
#[derive(Debug, Default)]
pub struct Reporters(RefCell<Vec<Known>>);

/// An exporter, and its reporter.
type Known = (Weak<dyn Any + Send + Sync>, Rc<dyn Any>);

impl Reporters {
    /// That of an exporter.
    pub(super) fn of<E: Exporter>(&self, exporter: &Arc<E>) -> Rc<Reporter<E>> {
        let mut all = self.0.borrow_mut();
        let wanted = Arc::as_ptr(exporter).cast::<u8>();
        let known = all.iter().find(|(other, _)| other.as_ptr().cast::<u8>() == wanted);
        if let Some(reporter) = known.and_then(|(_, reporter)| Rc::clone(reporter).downcast().ok()) {
            return reporter;
        }
        // Those of listeners that are gone have nobody but this list, or what still waits.
        all.retain(|(_, reporter)| Rc::strong_count(reporter) > 1);
        let weak: Weak<dyn Any + Send + Sync> = Arc::downgrade(exporter) as _;
        let reporter = Rc::new(Reporter {
            exporter: Arc::clone(exporter),
            waiting: RefCell::default(),
            ticks: Cell::default(),
        });
        all.push((weak, Rc::clone(&reporter) as _));
        reporter
    }
}
