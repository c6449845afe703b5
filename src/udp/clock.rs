//! The life of a session: what its host sends, how long nothing passes, and when it is told of.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::timer::Timer;
use crate::observability::format::LogType;
use crate::observability::stream_info::ResponseFlags;

use super::datagrams::{BATCH, Shared};
use super::session::{Session, Way};

impl Session {
    /// Passes on what the host sends to a socket, until nothing passes for too long.
    pub(super) async fn run(self: Rc<Self>, shared: Rc<Shared>) {
        let mut timer = Timer::default();
        let interval = self.proxy.config.log_interval.filter(|_| !self.proxy.access_log.is_empty());
        let mut next_line = interval.map(|interval| self.began.0 + interval);
        loop {
            let idle_end = self.idle_end();
            let due = next_line.map_or(idle_end, |line| line.min(idle_end));
            tokio::select! {
                biased;
                () = self.arrival() => self.pass_all_back(&shared),
                () = poll_fn(|cx| timer.poll(Some(due), cx)) => {}
            }
            let now = Instant::now();
            if now >= self.idle_end() {
                return self.end_idle(&shared);
            }
            self.log_when_due(&mut next_line, interval, now);
        }
    }

    fn idle_end(&self) -> Instant {
        self.idle_since.get() + self.proxy.config.idle_timeout
    }

    /// Waits until something may have come at the socket, of which there may be none yet.
    async fn arrival(&self) {
        loop {
            match self.way() {
                Some(Way::Direct(direct)) => return direct.ready().await,
                // It has a task of its own.
                Some(Way::Tunnel(_)) => std::future::pending().await,
                None => self.has_way.notified().await,
            }
        }
    }

    fn pass_all_back(&self, shared: &Shared) {
        let Some(direct) = self.direct() else { return };
        self.idle_since.set(Instant::now());
        let mut more = BATCH;
        while more > 0 && direct.pass_back(self, shared) {
            more -= 1;
        }
    }

    fn end_idle(&self, shared: &Shared) {
        self.proxy.stats.idle_timeout().inc();
        if self.proxy.config.tunneling.is_some() {
            self.flag(ResponseFlags::SI);
        }
        shared.sessions.end(&self.key);
    }

    fn log_when_due(&self, next_line: &mut Option<Instant>, interval: Option<Duration>, now: Instant) {
        if let (Some(line), Some(interval)) = (*next_line, interval)
            && line <= now
        {
            self.log(LogType::UdpPeriodic);
            *next_line = Some(now + interval);
        }
    }
}
