//! What the two variants of the protocol have in common.

use std::collections::BTreeSet;
use std::time::Instant;

use dragoman_proto::rejected::RejectedResources;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status;
use prost::{Message as _, Name as _};

use super::message::{Interest, Response, Token, Verdict};

/// gRPC's `INVALID_ARGUMENT`, the code of a NACK.
const INVALID_ARGUMENT: i32 = 3;

/// The client's side of one type on one stream at a time, in one variant of the protocol. Decides, without I/O.
///
/// A request that a method returns is to be sent, in the order of the calls.
pub trait Variant: Sized + Send + 'static {
    /// What goes to the server.
    type Request: prost::Message + Default + Send + Sync + 'static;
    /// What comes from it.
    type Response: prost::Message + Default + Send + Sync + 'static;

    /// Whether this is incremental xDS.
    const DELTA: bool;

    /// A subscription without a stream.
    fn new(type_url: &str, interest: Interest) -> Self;

    /// What is wanted.
    fn interest(&self) -> &Interest;

    /// A new stream is there. What came before stays known, the rest begins anew.
    fn connect(&mut self) -> Option<Self::Request>;

    /// The stream is gone.
    fn disconnect(&mut self);

    /// Other names are wanted from now on. Does nothing to a wildcard.
    fn set_names(&mut self, names: BTreeSet<String>) -> Option<Self::Request>;

    /// A response of this type came.
    fn receive(&mut self, response: Self::Response, now: Instant) -> Received<Self::Request>;

    /// A response that was delivered is answered. A token that is not known is ignored.
    fn settle(&mut self, token: Token, verdict: Verdict) -> Option<Self::Request>;

    /// When the next resource's time to live is over.
    fn next_expiry(&self) -> Option<Instant>;

    /// The names of the resources whose time to live is over; they are forgotten.
    fn expire(&mut self, now: Instant) -> Vec<String>;

    /// The type that a response is about.
    fn type_url(response: &Self::Response) -> &str;

    /// Who sent a response, as it says itself: `ControlPlane.identifier`.
    fn control_plane(response: &Self::Response) -> Option<&str>;

    /// Says in a request who asks.
    fn identify(request: &mut Self::Request, node: &Node);
}

/// What a response came to.
#[derive(Debug, PartialEq)]
pub enum Received<Request> {
    /// It goes to the subscriber, who settles it.
    Delivered(Response),
    /// It only prolonged times to live, and is answered.
    Refreshed(Request),
    /// It broke the protocol, and is answered.
    Rejected {
        /// The NACK.
        request: Request,
        /// The response's version.
        version: String,
        /// What is wrong.
        error: String,
    },
}

/// Why a response is rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In words.
    pub(super) error: String,
    /// For programs; empty when it is about no resource.
    pub(super) details: RejectedResources,
}

impl Refusal {
    /// What is wrong with a response as a whole.
    pub(super) fn of_response(error: &str) -> Self {
        Refusal { error: error.to_owned(), details: RejectedResources::default() }
    }

    /// As it stands in a NACK.
    pub(super) fn into_status(self) -> Status {
        let any = Any { type_url: RejectedResources::type_url(), value: self.details.encode_to_vec() };
        let details = if self.details.resources.is_empty() { Vec::new() } else { vec![any] };
        Status { code: INVALID_ARGUMENT, message: self.error, details }
    }
}
