//! What a descriptor is made of: `envoy.config.route.v3.RateLimit.Action`.

use serde_json::Value;

use crate::config::cel::Expression;
use crate::config::format::Format;
use crate::config::match_tree::Input;
use crate::config::matcher::{CidrRange, HeaderMatcher, QueryParameterMatcher};

/// Adds an entry to a descriptor.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `source_cluster`: the cluster that the proxy belongs to.
    SourceCluster,
    /// `destination_cluster`: the cluster that the request goes to.
    DestinationCluster,
    /// `request_headers`: a header's first value.
    RequestHeader {
        /// Its name, lower case.
        name: String,
        /// The entry's key.
        key: String,
        /// Without the header there is no entry; else there is no descriptor.
        skip_if_absent: bool,
    },
    /// `query_parameters`: the first value of a query parameter, decoded.
    QueryParameter {
        /// Its name.
        name: String,
        /// The entry's key.
        key: String,
        /// Without the parameter there is no entry; else there is no descriptor.
        skip_if_absent: bool,
    },
    /// `remote_address`: the client's IP address.
    RemoteAddress,
    /// `masked_remote_address`: the client's network.
    MaskedRemoteAddress {
        /// Bits of a network of IPv4.
        v4: u8,
        /// Bits of a network of IPv6.
        v6: u8,
    },
    /// `generic_key`: always the same.
    GenericKey(Label),
    /// `header_value_match`, where all of these match, or do not.
    HeaderValueMatch(Label, bool, Vec<HeaderMatcher>),
    /// `query_parameter_value_match`, likewise; parameters are decoded before.
    QueryParameterValueMatch(Label, bool, Vec<QueryParameterMatcher>),
    /// `remote_address_match`, where the client's IP address is in one of these, or in none.
    RemoteAddressMatch(Label, bool, Vec<CidrRange>),
    /// `metadata`: a text.
    Metadata {
        /// Whose.
        source: MetadataSource,
        /// Where in it.
        path: MetadataPath,
        /// The entry's key.
        key: String,
        /// What counts where there is no text; `None` for nothing.
        default_value: Option<String>,
        /// Without any of it there is no entry; else there is no descriptor.
        skip_if_absent: bool,
    },
    /// `extension`: what an expression gives, `envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor`.
    Expression {
        /// The entry's key.
        key: String,
        /// The expression.
        expression: Expression,
        /// Without a value there is no entry; else there is no descriptor.
        skip_if_error: bool,
    },
    /// `extension`: a claim of a token that nobody has verified,
    /// `envoy.extensions.rate_limit_descriptors.jwt_claim.v3.Descriptor`.
    JwtClaim {
        /// The entry's key.
        key: String,
        /// Where the token is.
        source: TokenSource,
        /// What stands before the token; without it there is none.
        prefix: String,
        /// The claim's name, and names within it.
        claim: Vec<String>,
        /// What counts where there is no text; `None` for nothing.
        default_value: Option<String>,
        /// Without any of it there is no entry; else there is no descriptor.
        skip_if_absent: bool,
    },
    /// `extension`: what conditions could look at.
    Input {
        /// The entry's key: the extension's name.
        key: String,
        /// What is looked at.
        input: Input,
    },
}

/// Where a token is in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In the header of this name.
    Header(String),
    /// In the cookie of this name.
    Cookie(String),
}

/// A place in metadata: `envoy.type.metadata.v3.MetadataKey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataPath {
    /// The name of the metadata.
    pub name: String,
    /// From there on.
    pub segments: Vec<Segment>,
}

/// `MetadataKey.PathSegment`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of an object.
    Key(String),
    /// An item of a list.
    Index(usize),
}

impl MetadataPath {
    /// What it leads to in the metadata of its name.
    pub fn follow<'v>(&self, whole: &'v Value) -> Option<&'v Value> {
        self.segments.iter().try_fold(whole, |value, segment| match segment {
            Segment::Key(key) => value.as_object()?.get(key),
            Segment::Index(index) => value.as_array()?.get(*index),
        })
    }
}

/// Whose metadata an entry tells: `MetaData.Source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataSource {
    /// The request's.
    Dynamic,
    /// The route's.
    Route,
    /// The cluster's.
    Cluster,
    /// That of the host's locality, once there is a host.
    Locality,
}

/// An entry that is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: DescriptorValue,
}

/// `descriptor_value`
#[derive(Clone, Debug, PartialEq)]
pub struct DescriptorValue {
    /// As it is written.
    pub text: String,
    /// As a format, where it is one with commands.
    pub format: Option<Format>,
    /// Whether the format counts only where the runtime says so.
    pub by_runtime: bool,
    /// What counts where the format shows nothing; empty for none.
    pub default_value: String,
}
