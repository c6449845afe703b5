//! Spans that wait to be told of: when they are told, and which are lost.

/// Spans of one worker for one collector.
#[derive(Debug)]
pub(super) struct Batch<S>(Vec<S>);

/// What became of a span.
#[derive(Debug, PartialEq)]
pub(super) struct Added<S> {
    /// It is lost: there was no room.
    pub(super) dropped: bool,
    /// What is told now; `None` where that is nothing.
    pub(super) flushed: Option<Vec<S>>,
}

impl<S> Default for Batch<S> {
    fn default() -> Self {
        Batch(Vec::new())
    }
}

impl<S> Batch<S> {
    /// Takes a span; `min_flush_spans` are told together. One that finds `max_waiting` others is lost, and makes room for
    /// those that come.
    pub(super) fn add(&mut self, span: S, min_flush_spans: usize, max_waiting: usize) -> Added<S> {
        if self.0.len() >= max_waiting {
            return Added { dropped: true, flushed: self.flush() };
        }
        self.0.push(span);
        let is_enough = self.0.len() >= min_flush_spans;
        Added { dropped: false, flushed: if is_enough { self.flush() } else { None } }
    }

    /// Those that wait; `None` where none does.
    pub(super) fn flush(&mut self) -> Option<Vec<S>> {
        (!self.0.is_empty()).then(|| std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_of_once_there_are_enough() {
        let mut batch = Batch::default();
        assert_eq!(batch.add(1, 2, 9), Added { dropped: false, flushed: None });
        assert_eq!(batch.add(2, 2, 9), Added { dropped: false, flushed: Some(vec![1, 2]) });
        assert_eq!(batch.flush(), None);
    }

    #[test]
    fn those_that_wait_are_told_of_in_time() {
        let mut batch = Batch::default();
        batch.add(1, 5, 9);
        assert_eq!(batch.flush(), Some(vec![1]));
        assert_eq!(batch.flush(), None);
    }

    #[test]
    fn a_span_that_finds_no_room_is_lost_and_makes_some() {
        let mut batch = Batch::default();
        let results = [1, 2, 3, 4, 5].map(|span| batch.add(span, 4, 2));
        assert_eq!(results.each_ref().map(|added| added.dropped), [false, false, true, false, false]);
        assert_eq!(results.map(|added| added.flushed), [None, None, Some(vec![1, 2]), None, None]);
    }

    #[test]
    fn without_any_room_every_span_is_lost() {
        assert_eq!(Batch::default().add(1, 1, 0), Added { dropped: true, flushed: None });
    }
}
