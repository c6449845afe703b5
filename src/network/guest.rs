//! A connection on its way through the filters before the last one.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::base::io::{Io, Passes, Watch};
use crate::http::{Ungreeted, Worker};
use crate::observability::stream_info::{ConnectionInfo, Refusal};

use super::filter::{Admission, Filter, Step, Watches};

/// The filters before the last one.
pub type Filters = Arc<[Arc<dyn Filter>]>;

/// A connection that filters are asked about.
pub struct Guest {
    /// What is known of it.
    pub info: Rc<ConnectionInfo>,
    /// What its worker has.
    pub worker: Rc<Worker>,
    filters: Filters,
    /// What filters keep as long as it lasts.
    kept: RefCell<Vec<Box<dyn Any>>>,
    refused: Notify,
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Guest {
    /// A connection that was accepted just now.
    pub fn new(filters: &Filters, info: &Rc<ConnectionInfo>, worker: &Rc<Worker>) -> Rc<Self> {
        Rc::new(Guest {
            info: Rc::clone(info),
            worker: Rc::clone(worker),
            filters: Arc::clone(filters),
            kept: RefCell::default(),
            refused: Notify::new(),
        })
    }

    /// Keeps something until the connection has ended.
    pub fn keep(&self, kept: impl Any) {
        self.kept.borrow_mut().push(Box::new(kept));
    }

    /// Leads it through the filters; who does not let it pass leaves it waiting, and refused.
    pub fn admission(self: &Rc<Self>) -> Admission {
        let guest = Rc::clone(self);
        let asking = async move {
            for filter in &*guest.filters {
                let passed = match filter.accepted(&guest) {
                    Step::Pass => Ok(()),
                    Step::Refuse(refusal) => Err(refusal),
                    Step::Wait(passed) => passed.await,
                };
                if let Err(refusal) = passed {
                    guest.refuse(refusal);
                    pending::<()>().await;
                }
            }
        };
        asking.boxed_local().shared()
    }

    /// The stream of the connection once it is greeted and admitted. What comes on it passes when the filters have seen
    /// it, and where `with_end` says so, its end if nothing came before that.
    pub async fn greeting(
        self: Rc<Self>,
        greeting: impl Future<Output = Result<Io, Ungreeted>>,
        admission: Admission,
        with_end: bool,
    ) -> Result<Io, Ungreeted> {
        let greeted = async {
            // TLS is not spoken with whom a filter refuses at once.
            if admission.clone().now_or_never().is_none() && self.info.refusal.get().is_some() {
                pending::<()>().await;
            }
            let io = greeting.await?;
            if self.info.encrypted {
                self.filters.iter().for_each(|filter| filter.greeted(&self));
            }
            Ok(io)
        };
        let (greeted, ()) = tokio::join!(greeted, admission.clone());
        let io = greeted?;
        let watches = self.filters.iter().map(|filter| filter.watches()).max();
        if watches.is_none_or(|watches| watches == Watches::Nothing) {
            return Ok(io);
        }
        let gate = Gate { guest: self, next: 0, is_first: true, asked: None };
        Ok(io.watched(Box::new(gate), with_end))
    }

    /// Serves it until a filter refuses it.
    pub async fn unless_refused(&self, serving: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = serving => {}
            () = self.refused.notified() => {}
        }
    }

    fn refuse(&self, refusal: Refusal) {
        // The first is the last: nobody is asked afterwards.
        self.info.refusal.get_or_init(|| refusal);
        self.refused.notify_one();
    }
}

/// Asks the filters about what the client sends.
struct Gate {
    guest: Rc<Guest>,
    /// The filter that is asked next.
    next: usize,
    /// Nothing has passed yet.
    is_first: bool,
    /// What the one before has not answered yet.
    asked: Option<LocalBoxFuture<'static, Result<(), Refusal>>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Watch for Gate {
    fn poll_pass(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<Passes> {
        if self.guest.info.refusal.get().is_some() {
            return Poll::Pending;
        }
        loop {
            let passed = match &mut self.asked {
                Some(asked) => {
                    let passed = ready!(asked.as_mut().poll(cx));
                    self.asked = None;
                    passed
                }
                None => match self.ask_next() {
                    Some(Step::Pass) => Ok(()),
                    Some(Step::Refuse(refusal)) => Err(refusal),
                    Some(Step::Wait(asked)) => {
                        self.asked = Some(asked);
                        continue;
                    }
                    None => return Poll::Ready(self.passes()),
                },
            };
            if let Err(refusal) = passed {
                self.guest.refuse(Refusal { bytes_withheld: bytes as u64, ..refusal });
                return Poll::Pending;
            }
        }
    }

    fn alert(&self) -> Option<u8> {
        self.guest.info.refusal.get()?.alert
    }
}

impl Gate {
    /// Asks the next filter that wants to be; `None` where none is left.
    fn ask_next(&mut self) -> Option<Step> {
        let least = if self.is_first { Watches::First } else { Watches::All };
        loop {
            let filter = self.guest.filters.get(self.next)?;
            self.next += 1;
            if filter.watches() >= least {
                return Some(filter.data(&self.guest));
            }
        }
    }

    /// All of them have let it pass.
    fn passes(&mut self) -> Passes {
        (self.next, self.is_first) = (0, false);
        match self.guest.filters.iter().any(|filter| filter.watches() == Watches::All) {
            true => Passes::This,
            false => Passes::All,
        }
    }
}
