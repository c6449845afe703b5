//! Waiting for the first answer: `ConfigSource.initial_fetch_timeout`.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// What a subscription has asked for and not yet got, with the moment until which it is waited for.
#[derive(Debug)]
pub(super) struct Waiting {
    timeout: Duration,
    /// In the order of their deadlines, which is that of asking: the timeout is always the same.
    deadlines: VecDeque<(Instant, Vec<String>)>,
    missing: HashSet<String>,
    /// A wildcard waits for any response.
    wildcard: bool,
}

impl Waiting {
    /// Waits for nothing yet; with a timeout of zero for ever.
    pub(super) fn new(timeout: Duration) -> Self {
        Waiting { timeout, deadlines: VecDeque::new(), missing: HashSet::new(), wildcard: false }
    }

    /// A wildcard was asked for.
    pub(super) fn expect_any(&mut self, now: Instant) {
        if let Some(deadline) = self.deadline(now) {
            self.wildcard = true;
            self.deadlines.push_back((deadline, Vec::new()));
        }
    }

    /// These names were asked for.
    pub(super) fn expect(&mut self, names: Vec<String>, now: Instant) {
        if let Some(deadline) = self.deadline(now).filter(|_| !names.is_empty()) {
            self.missing.extend(names.iter().cloned());
            self.deadlines.push_back((deadline, names));
        }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.timeout.is_zero() { None } else { now.checked_add(self.timeout) }
    }

    /// A response came, good or bad.
    pub(super) fn answered(&mut self) {
        self.wildcard = false;
    }

    /// This name is there, is said not to be, or is no longer wanted.
    pub(super) fn arrived(&mut self, name: &str) {
        self.missing.remove(name);
    }

    /// When waiting ends next.
    pub(super) fn next(&mut self) -> Option<Instant> {
        while let Some((deadline, names)) = self.deadlines.front() {
            let waits = if names.is_empty() { self.wildcard } else { !self.missing.is_empty() };
            if waits {
                return Some(*deadline);
            }
            self.deadlines.pop_front();
        }
        None
    }

    /// What was waited for in vain until now: names, or none for a wildcard. `None` when all is well.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Vec<String>> {
        let mut late = Vec::new();
        let mut any = false;
        while self.next().is_some_and(|deadline| deadline <= now) {
            let (_, names) = self.deadlines.pop_front()?;
            any |= names.is_empty() && std::mem::take(&mut self.wildcard);
            late.extend(names.into_iter().filter(|name| self.missing.remove(name)));
        }
        (any || !late.is_empty()).then_some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_that_do_not_come_are_reported_once() {
        let (mut waiting, start) = (Waiting::new(TIMEOUT), Instant::now());
        waiting.expect(names(&["a", "b"]), start);
        waiting.expect(names(&["c"]), start + TIMEOUT / 2);
        waiting.arrived("a");
        assert_eq!(waiting.next(), Some(start + TIMEOUT));
        assert_eq!(waiting.expire(start), None);
        assert_eq!(waiting.expire(start + TIMEOUT), Some(names(&["b"])));
        assert_eq!(waiting.expire(start + TIMEOUT * 2), Some(names(&["c"])));
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn nothing_is_reported_when_all_came() {
        let (mut waiting, start) = (Waiting::new(TIMEOUT), Instant::now());
        waiting.expect(names(&["a"]), start);
        waiting.arrived("a");
        assert_eq!(waiting.next(), None);
        assert_eq!(waiting.expire(start + TIMEOUT), None);
    }

    #[test]
    fn a_wildcard_is_content_with_any_response() {
        let (mut waiting, start) = (Waiting::new(TIMEOUT), Instant::now());
        waiting.expect_any(start);
        assert_eq!(waiting.next(), Some(start + TIMEOUT));
        let mut answered = Waiting::new(TIMEOUT);
        answered.expect_any(start);
        answered.answered();
        assert_eq!(answered.next(), None);
        assert_eq!(waiting.expire(start + TIMEOUT), Some(Vec::new()));
        assert_eq!(waiting.expire(start + TIMEOUT), None);
    }

    #[test]
    fn zero_waits_for_ever() {
        let mut waiting = Waiting::new(Duration::ZERO);
        waiting.expect_any(Instant::now());
        waiting.expect(names(&["a"]), Instant::now());
        assert_eq!(waiting.next(), None);
    }
}
