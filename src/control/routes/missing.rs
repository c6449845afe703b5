//! Tables that do not come: listeners wait for them no longer.

use std::time::{Duration, SystemTime};

use super::Routes;
use crate::control::subscriptions::Counted;
use crate::xds::FileContent;

impl Routes {
    /// These tables of a source did not come in time: listeners wait for them no longer.
    pub fn give_up(&mut self, source: usize, names: &[String]) {
        for name in names {
            if let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) {
                wanted.settled = true;
                wanted.counted().for_each(Counted::timed_out);
            }
        }
    }

    /// A file was read: for those who want another table of it there is nothing.
    pub fn miss(&mut self, source: usize, content: FileContent<'_>, version: &str) {
        let missed = self.sources[source].names.iter().filter(|name| content != FileContent::One(name));
        for name in missed {
            let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) else { continue };
            wanted.settled = true;
            for (counted, empty) in wanted.counted.values() {
                if content == FileContent::Nothing {
                    empty.update_empty().inc();
                    counted.succeeded(version, false, SystemTime::now(), Duration::ZERO);
                } else {
                    tracing::warn!(target: "config", name, ?content, "the file is not one with this table alone");
                    counted.rejected();
                }
            }
        }
    }

    /// A response of a source was rejected as a whole: listeners wait for its tables no longer.
    pub fn rejected(&mut self, source: usize) {
        for name in &self.sources[source].names {
            if let Some(wanted) = self.wanted.get_mut(&Self::id(source, name)) {
                wanted.settled = true;
                wanted.counted().for_each(Counted::rejected);
            }
        }
    }

    /// The stream of a source was lost.
    pub fn disconnected(&self, source: usize) {
        let names = self.sources[source].names.iter();
        for wanted in names.filter_map(|name| self.wanted.get(&Self::id(source, name))) {
            wanted.counted().for_each(Counted::failed);
        }
    }
}
