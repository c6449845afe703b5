//! One timer for all the deadlines of a connection.
//!
//! Deadlines move with every request, and nearly all of them are never reached. So the timer is not moved with
//! them: it stays where it was set, and when it fires early it is set again to the deadline in force. Only a
//! deadline before the one set moves it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};

/// A deadline timer that is cheap to move forward.
#[derive(Debug, Default)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Ready when `deadline` has passed; never for `None`.
    pub fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline || sleep.is_elapsed() {
            sleep.as_mut().reset(deadline);
        }
        // A peer that sends without end uses up what a task may do in one go; its deadline passes all the same.
        while pin!(unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_later_deadline_is_kept_though_the_timer_was_set_earlier() {
        let mut timer = Timer::default();
        let start = Instant::now();
        let early = start + Duration::from_secs(1);
        let late = start + Duration::from_secs(3);
        poll_fn(|cx| {
            assert!(timer.poll(Some(early), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(Some(late), cx)).await;
        assert_eq!(Instant::now(), late);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_moves_the_timer() {
        let mut timer = Timer::default();
        let start = Instant::now();
        let late = start + Duration::from_secs(30);
        poll_fn(|cx| {
            assert!(timer.poll(Some(late), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| timer.poll(Some(start + Duration::from_secs(1)), cx)).await;
        assert_eq!(Instant::now() - start, Duration::from_secs(1));
    }
}
