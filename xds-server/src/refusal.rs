//! What a client says when it rejects a response.

use dragoman_proto::rejected::RejectedResources;
use dragoman_proto::{PrintOptions, print};
use envoy_types::pb::google::rpc::Status;
use prost::Name;
use serde_json::Value;

/// Details of more bytes are not kept: clients that say so much have not been heard of.
const MAX_DETAILS_BYTES: usize = 256 * 1024;

/// A client's reasons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// In its words.
    pub(crate) error: String,
    /// By resource and field, from a client that tells them: a `dragoman.xds.v1.RejectedResources` as JSON.
    pub(crate) details: Option<Value>,
}

impl Refusal {
    /// What a NACK's `error_detail` says.
    pub(crate) fn of(status: &Status) -> Self {
        let name = RejectedResources::full_name();
        let mut details = status.details.iter().filter(|any| any.value.len() <= MAX_DETAILS_BYTES);
        let details = details.find(|any| any.type_url.rsplit('/').next() == Some(&name));
        // What claims to be such a message and is not tells nothing.
        let details = details.and_then(|any| print(&any.value, &name, &PrintOptions::default()).ok());
        Self { error: status.message.clone(), details }
    }
}

#[cfg(test)]
mod tests {
    use dragoman_proto::rejected::{FieldError, RejectedResource};
    use envoy_types::pb::google::protobuf::Any;
    use prost::Message;

    use super::*;

    fn status(value: Vec<u8>) -> Status {
        let type_url = format!("type.googleapis.com/{}", RejectedResources::full_name());
        let other = Any { type_url: "type.googleapis.com/google.protobuf.Empty".into(), value: Vec::new() };
        Status { code: 3, message: "no".into(), details: vec![other, Any { type_url, value }] }
    }

    #[test]
    fn the_details_of_a_nack_are_told_by_resource_and_field() {
        let error = FieldError { path: "lb_policy".into(), reason: "wrong".into(), ..FieldError::default() };
        let resource = RejectedResource { name: "a".into(), errors: vec![error] };
        let details = RejectedResources { resources: vec![resource], omitted_errors: 0 };
        let refusal = Refusal::of(&status(details.encode_to_vec()));
        assert_eq!(refusal.error, "no");
        let details = refusal.details.expect("details");
        assert_eq!(details["resources"][0]["errors"][0]["path"], "lb_policy");
    }

    #[test]
    fn details_that_cannot_be_read_are_left_out() {
        for value in [vec![0xff], vec![0; MAX_DETAILS_BYTES + 1]] {
            assert_eq!(Refusal::of(&status(value)).details, None);
        }
    }
}
