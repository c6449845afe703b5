//! The handle of a subscription, and what it tells the task that serves it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;

use super::message::{Interest, SubscriptionId, Token, Verdict};

/// A subscription to resources of one type from one source. Dropping it ends the subscription.
///
/// Its methods never wait: they are orders to a task.
#[derive(Debug)]
pub struct Subscription {
    id: SubscriptionId,
    orders: mpsc::UnboundedSender<Order>,
}

impl Subscription {
    /// Gives the order to subscribe.
    pub(super) fn new(
        id: SubscriptionId,
        type_url: &str,
        interest: Interest,
        fetch_timeout: Duration,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Self {
        let subscription = Subscription { id, orders };
        subscription.order(Order::Subscribe { id, type_url: type_url.to_owned(), interest, fetch_timeout });
        subscription
    }

    /// The number that its notices carry.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// Wants the resources of these names from now on, and no others. Each new one has
    /// `initial_fetch_timeout` to arrive.
    pub fn set_names(&self, names: BTreeSet<String>) {
        self.order(Order::SetNames { id: self.id, names });
    }

    /// Answers a response. Those of an earlier stream are only remembered: their server is gone.
    pub fn settle(&self, token: Token, verdict: Verdict) {
        self.order(Order::Settle { id: self.id, token, verdict });
    }

    fn order(&self, order: Order) {
        // The task ends only with its process, and then nobody is left to be told.
        drop(self.orders.send(order));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.order(Order::Unsubscribe { id: self.id });
    }
}

/// What a subscription tells its task.
#[derive(Debug)]
pub(super) enum Order {
    /// There is a new subscription.
    Subscribe { id: SubscriptionId, type_url: String, interest: Interest, fetch_timeout: Duration },
    /// Its names are others.
    SetNames { id: SubscriptionId, names: BTreeSet<String> },
    /// A response is answered.
    Settle { id: SubscriptionId, token: Token, verdict: Verdict },
    /// It ends.
    Unsubscribe { id: SubscriptionId },
}
