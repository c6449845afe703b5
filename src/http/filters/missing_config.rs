//! What stands in a chain where the configuration of a filter is to be discovered and is not there: it answers 500.

use crate::http::filter::{self, HttpFilter, Step, Stream};
use crate::http::local_reply::LocalReply;

/// In place of a filter of this name.
#[derive(Debug)]
pub(in crate::http) struct Factory {
    name: Box<str>,
}

impl Factory {
    pub(in crate::http) fn new(name: &str) -> Self {
        Factory { name: name.into() }
    }
}

impl filter::Factory for Factory {
    fn create(&self) -> super::Filter<'_> {
        super::Filter::MissingConfig(Filter { factory: self })
    }
}

/// The place for one request.
#[derive(Debug)]
pub(in crate::http) struct Filter<'c> {
    factory: &'c Factory,
}

impl HttpFilter for Filter<'_> {
    fn request_headers<'a>(&'a mut self, _stream: &'a mut Stream<'_>) -> Step<'a> {
        tracing::debug!(target: "http", filter = &*self.factory.name, "its configuration has not come");
        Step::Reply(LocalReply::missing_filter_config())
    }
}
