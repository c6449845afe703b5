//! The xDS client: subscriptions to resources over ADS, over a stream for each type, or from files.
//!
//! What decides is without I/O: [`sotw`] and [`delta`] for one type each, [`ads`] for the types of one stream,
//! `fetch` for deadlines. `client` drives streams, `file` follows files; `load` reports load. None of them looks into a resource
//! beyond its name: what it means, and whether it is good, says who subscribed.
//!
//! # Use
//!
//! ```ignore
//! // Setup: the node, the bootstrap's clusters, the ADS source, statistics.
//! let (client, mut notices) = xds::Client::new(setup);
//! let clusters: Subscription =
//!     client.subscribe(&config_source, type_url::CLUSTER, Interest::Wildcard)?;   // ConfigSource
//! while let Some(notice) = notices.recv().await {
//!     if let Event::Response(response) = notice.event && notice.subscription == clusters.id() {
//!         clusters.settle(response.token, Verdict::Ack);      // now or later
//!     }
//! }
//! ```
//!
//! - A source and a type have one [`Subscription`]; who wants more names calls [`Subscription::set_names`] with all
//!   that are wanted then. Dropping it unsubscribes.
//! - Every [`Response`] must be settled once, with its token. Until then its type waits: a state-of-the-world
//!   subscription sends no other request. The client goes on to deliver what comes meanwhile.
//! - Of a name that a state-of-the-world response has twice the first counts; that the answer complains about the
//!   others is the client's business.
//! - A response that breaks the protocol never arrives: the client has rejected it and says so ([`Event::Rejected`]).
//!
//! # What it does as Envoy 1.40 does
//!
//! Resources that were not asked for are left out, and acknowledged with the rest; responses of a type that was
//! never asked for are dropped without an answer. On loss of a stream what came stays, and the client connects
//! again with jittered exponential back-off (500 ms, at most 30 s), telling which versions it has.
//! In one thing it follows the protocol instead: a heartbeat without bodies empties nothing.

pub mod ads;
mod client;
mod connect;
pub mod delta;
mod fetch;
mod file;
mod handle;
mod lifetime;
mod load;
mod message;
mod service;
#[cfg(test)]
mod simulation;
pub mod sotw;
mod stream;
#[cfg(test)]
mod testing;
mod traffic;
mod unpack;
pub mod variant;
pub mod watch;

pub use client::{Client, Setup, SubscribeError};
pub use file::UnknownFields;
pub use handle::Subscription;
pub use message::{
    Event, FileContent, Interest, Notice, Resource, Response, SubscriptionId, Token, Verdict, type_url,
};
pub use unpack::name_within;
