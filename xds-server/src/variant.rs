//! The two variants of the protocol under one trait, so that one task drives both.

use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use crate::sequence::Sequence;
use crate::{delta, sotw};

/// What the requests of both variants say.
pub(crate) struct Head<'a> {
    /// Who speaks, if the request says so.
    pub(crate) node: Option<&'a Node>,
    /// The type that the request is about.
    pub(crate) type_url: &'a str,
    /// In which words the request rejects a response, if it does.
    pub(crate) error: Option<&'a str>,
}

/// A variant of the protocol.
pub(crate) trait Variant: Send + 'static {
    /// What a client says.
    type Request: Send + 'static;
    /// What it is told.
    type Response: Send + 'static;
    /// The variant's name, for people.
    const NAME: &'static str;

    /// What both variants' requests say.
    fn head(request: &Self::Request) -> Head<'_>;
    /// Fills in the type of a request that leaves it to the service.
    fn set_type_url(request: &mut Self::Request, type_url: &str);
    /// Takes a request into account.
    fn receive(sequence: &mut Sequence, request: &Self::Request, now: Instant);
    /// The next response, if one is due.
    fn next(sequence: &mut Sequence, now: Instant) -> Option<Self::Response>;
    /// The response of an injected fault, if it is one for this variant.
    fn injected(injection: &Injection) -> Option<Self::Response>;
}

/// A response that a test sends past all rules.
#[derive(Clone, Debug)]
pub(crate) enum Injection {
    Sotw(DiscoveryResponse),
    Delta(DeltaDiscoveryResponse),
}

impl Injection {
    /// The type, the nonce and the version of the response.
    pub(crate) fn identity(&self) -> (&str, &str, &str) {
        match self {
            Self::Sotw(one) => (&one.type_url, &one.nonce, &one.version_info),
            Self::Delta(one) => (&one.type_url, &one.nonce, &one.system_version_info),
        }
    }
}

/// State of the world: `Stream...` methods.
pub(crate) struct Sotw;

impl Variant for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const NAME: &'static str = "sotw";

    fn head(request: &Self::Request) -> Head<'_> {
        Head {
            node: request.node.as_ref(),
            type_url: &request.type_url,
            error: request.error_detail.as_ref().map(|status| status.message.as_str()),
        }
    }

    fn set_type_url(request: &mut Self::Request, type_url: &str) {
        request.type_url = type_url.to_owned();
    }

    fn receive(sequence: &mut Sequence, request: &Self::Request, now: Instant) {
        sotw::receive(sequence, request, now);
    }

    fn next(sequence: &mut Sequence, now: Instant) -> Option<Self::Response> {
        sotw::next(sequence, now)
    }

    fn injected(injection: &Injection) -> Option<Self::Response> {
        match injection {
            Injection::Sotw(response) => Some(response.clone()),
            Injection::Delta(_) => None,
        }
    }
}

/// Incremental: `Delta...` methods.
pub(crate) struct Delta;

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const NAME: &'static str = "delta";

    fn head(request: &Self::Request) -> Head<'_> {
        Head {
            node: request.node.as_ref(),
            type_url: &request.type_url,
            error: request.error_detail.as_ref().map(|status| status.message.as_str()),
        }
    }

    fn set_type_url(request: &mut Self::Request, type_url: &str) {
        request.type_url = type_url.to_owned();
    }

    fn receive(sequence: &mut Sequence, request: &Self::Request, now: Instant) {
        delta::receive(sequence, request, now);
    }

    fn next(sequence: &mut Sequence, now: Instant) -> Option<Self::Response> {
        delta::next(sequence, now)
    }

    fn injected(injection: &Injection) -> Option<Self::Response> {
        match injection {
            Injection::Delta(response) => Some(response.clone()),
            Injection::Sotw(_) => None,
        }
    }
}
