//! What a request without a route may wait for: the route table of its scope, and the virtual host of its host, where
//! virtual hosts come over VHDS.

use std::pin::Pin;

use crate::base::headers::Known;
use crate::config::runtime::Draw;
use crate::http::downstream::Downstream;
use crate::snapshot::Wanted;

use super::{Exchange, Failure};

impl<D: Downstream> Exchange<'_, D> {
    /// Asks for what the request's route table lacks. Once there is an answer the route is looked for again, which is
    /// [`Failure::Discovered`]; where there is nothing to ask for the request goes on as it is.
    pub(super) async fn discover(&mut self) -> Result<(), Failure> {
        let Some(wanted) = self.undiscovered() else {
            return Ok(());
        };
        let mut answer = self.connection.worker.demand(wanted);
        match self.until(|_, cx| Pin::new(&mut answer).poll(cx)).await {
            Ok(_) => Err(Failure::Discovered),
            Err(interrupt) => Err(self.interrupted(interrupt)),
        }
    }

    fn undiscovered(&self) -> Option<Wanted> {
        let worker = &self.connection.worker;
        let (snapshot, request) = (worker.snapshot(), &self.headers.request);
        let Some(table) = self.connection.manager.table(&snapshot, request) else {
            return self.connection.manager.lacking(&snapshot, request);
        };
        let configuration = table.configuration();
        let source = configuration.vhds.as_ref()?.from.clone();
        let draw = Draw { random: worker.random(), runtime: &snapshot.runtime };
        if table.find(request, draw).is_some() {
            return None;
        }
        let host = std::str::from_utf8(request.get(Known::Authority)?).ok()?;
        let (table, host) = (configuration.name.clone(), host.to_ascii_lowercase());
        Some(Wanted::VirtualHost { source, table, host })
    }
}
