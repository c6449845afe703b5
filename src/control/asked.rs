//! Names that requests asked for, each once, and who waits for the answers.
//!
//! A client can invent names. Those that led to nothing are kept, so that they are not asked for again and again and
//! begin to work when they appear; but no more than so many, the oldest going first.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::sync::oneshot;

/// Names that led to nothing, or to nothing yet. Those that lead to something are as many as the server has.
const MAX_VAIN: usize = 4096;

/// All names asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    names: HashMap<String, State>,
    /// Those that led to nothing, or to nothing yet, in the order in which they were asked for.
    vain: VecDeque<String>,
    changed: bool,
}

#[derive(Debug)]
enum State {
    /// There is no answer yet; these wait for it.
    Open(Vec<oneshot::Sender<()>>),
    /// There is nothing of this name.
    Nothing,
    /// It came.
    There,
}

impl Asked {
    /// Asks for a name. Who waits for it is answered at once where the answer is known, or where there can be none, which
    /// is false.
    pub(super) fn ask(&mut self, name: &str, answer: oneshot::Sender<()>) -> bool {
        if let Some(state) = self.names.get_mut(name) {
            let State::Open(waiting) = state else {
                return false;
            };
            if waiting.len().is_power_of_two() {
                waiting.retain(|answer| !answer.is_closed());
            }
            waiting.push(answer);
            return true;
        }
        let has_room = self.make_room();
        if has_room {
            self.names.insert(name.to_owned(), State::Open(vec![answer]));
            self.vain.push_back(name.to_owned());
            self.changed = true;
        }
        has_room
    }

    /// Whether this name was asked for and is not forgotten.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Nobody waits for the answer to a name any more; who did is told by dropping what comes back.
    pub(super) fn give_up(&mut self, name: &str) -> Vec<oneshot::Sender<()>> {
        match self.names.get_mut(name) {
            Some(State::Open(waiting)) => std::mem::take(waiting),
            Some(State::Nothing | State::There) | None => Vec::new(),
        }
    }

    /// Forgets the oldest name that led to nothing if there are too many. False when all of them are waited for.
    fn make_room(&mut self) -> bool {
        if self.vain.len() < MAX_VAIN {
            return true;
        }
        let names = &self.names;
        let is_waited_for = |name: &String| match names.get(name) {
            Some(State::Open(waiting)) => waiting.iter().any(|answer| !answer.is_closed()),
            Some(State::Nothing | State::There) | None => false,
        };
        let Some(oldest) = self.vain.iter().position(|name| !is_waited_for(name)) else {
            return false;
        };
        if let Some(name) = self.vain.remove(oldest) {
            self.names.remove(&name);
            self.changed = true;
        }
        true
    }

    /// There is an answer to a name; who waits for it is told by dropping what comes back.
    pub(super) fn answered(&mut self, name: &str, there: bool) -> Vec<oneshot::Sender<()>> {
        let Some(state) = self.names.get_mut(name) else {
            return Vec::new();
        };
        let was_there = matches!(state, State::There);
        let before = std::mem::replace(state, if there { State::There } else { State::Nothing });
        match (was_there, there) {
            (false, true) => self.vain.retain(|vain| vain != name),
            (true, false) => self.vain.push_back(name.to_owned()),
            (true, true) | (false, false) => (),
        }
        match before {
            State::Open(waiting) => waiting,
            State::Nothing | State::There => Vec::new(),
        }
    }

    /// Nobody answers to these names any more: forgets them, and answers who waits.
    pub(super) fn forget(&mut self, gone: impl Fn(&str) -> bool) {
        let before = self.names.len();
        self.names.retain(|name, _| !gone(name));
        self.vain.retain(|name| !gone(name));
        self.changed |= self.names.len() != before;
    }

    /// All names, if they are others than at the last call.
    pub(super) fn take_changed(&mut self) -> Option<BTreeSet<String>> {
        std::mem::take(&mut self.changed).then(|| self.names.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(asked: &mut Asked, name: &str) -> oneshot::Receiver<()> {
        let (answer, answered) = oneshot::channel();
        asked.ask(name, answer);
        answered
    }

    fn is_answered(waiting: &mut oneshot::Receiver<()>) -> bool {
        waiting.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn a_name_is_asked_for_once_and_answers_all_who_wait() {
        let mut asked = Asked::default();
        let mut waiting = [ask(&mut asked, "r/a"), ask(&mut asked, "r/a")];
        assert_eq!(asked.take_changed(), Some(BTreeSet::from(["r/a".to_owned()])));
        assert_eq!(asked.take_changed(), None);
        assert!(waiting.iter_mut().all(|waiting| !is_answered(waiting)));
        drop(asked.answered("r/a", true));
        assert!(waiting.iter_mut().all(is_answered));
        assert!(is_answered(&mut ask(&mut asked, "r/a")));
        assert_eq!(asked.take_changed(), None);
    }

    #[test]
    fn invented_names_are_forgotten_in_their_order_but_not_those_that_are_there_or_waited_for() {
        let mut asked = Asked::default();
        drop(ask(&mut asked, "r/there"));
        drop(asked.answered("r/there", true));
        let mut waiting = ask(&mut asked, "r/waited-for");
        for number in 0..MAX_VAIN {
            let name = format!("r/{number}");
            drop(ask(&mut asked, &name));
            drop(asked.answered(&name, false));
        }
        let names = asked.take_changed().unwrap();
        assert_eq!(names.len(), MAX_VAIN + 1);
        assert!(names.contains("r/there") && names.contains("r/waited-for") && !names.contains("r/0"));
        assert!(!is_answered(&mut waiting));
    }

    #[test]
    fn who_asks_while_all_names_are_waited_for_is_answered_at_once() {
        let mut asked = Asked::default();
        let waiting: Vec<_> = (0..MAX_VAIN).map(|number| ask(&mut asked, &format!("r/{number}"))).collect();
        assert!(is_answered(&mut ask(&mut asked, "r/more")));
        assert_eq!(asked.take_changed().unwrap().len(), waiting.len());
    }
}
