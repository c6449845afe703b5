//! Fields that the API has and the messages' types in Rust do not: those of `proto/newer`.
//!
//! Decoding drops them. The inspection of the bytes keeps them by the path of the message that they belong to, and a
//! conversion takes them from its scope, as a message of `config::newer` that has these fields alone. What no
//! conversion takes is refused.

use std::collections::BTreeMap;

use bytes::Bytes;
use dragoman_proto::{UNSERVED, descriptor, elements};

use super::{Findings, Scope};

/// What decoding has dropped of one resource.
#[derive(Debug, Default)]
pub(super) struct Newer {
    /// By the path of the message.
    fields: BTreeMap<String, Fields>,
    /// The resource as it was sent, with its type, where there are any.
    resource: Option<(Bytes, String)>,
}

/// The newer fields of one message.
#[derive(Debug)]
struct Fields {
    message: &'static str,
    /// These fields alone.
    bytes: Vec<u8>,
    /// Whether a conversion took them, or nothing below is looked at.
    is_answered: bool,
}

impl Scope<'_> {
    /// The fields of the message here that its type in Rust lacks; all absent where there are none.
    pub fn newer<M: prost::Message + prost::Name + Default>(&mut self) -> M {
        if self.found.newer.fields.is_empty() {
            return M::default();
        }
        let path = self.path();
        let fields = self.found.newer.fields.get_mut(&path);
        let Some(fields) = fields.filter(|fields| fields.message == M::full_name()) else {
            return M::default();
        };
        fields.is_answered = true;
        match M::decode(&*fields.bytes) {
            Ok(message) => message,
            Err(error) => {
                self.violation(format!("not a valid {}: {error}", M::full_name()));
                M::default()
            }
        }
    }

    /// Keeps what the inspection found, whose paths begin here.
    pub(super) fn keep_newer(&mut self, found: dragoman_proto::Newer) {
        let path = self.below(&found.path).path();
        let fields = Fields { message: found.message, bytes: found.bytes, is_answered: false };
        self.found.newer.fields.insert(path, fields);
    }

    /// Keeps the bytes of a resource of this type that has newer fields, for [`Scope::resource`].
    pub(super) fn keep_what_has_newer_fields<M: prost::Name>(&mut self, bytes: &[u8]) {
        let newer = &mut self.found.newer;
        if !newer.fields.is_empty() {
            newer.resource = Some((Bytes::copy_from_slice(bytes), M::full_name()));
        }
    }

    /// Says that nothing at this place is looked at, nor below.
    pub(in crate::config) fn pass_over(&mut self) {
        let path = self.path();
        for (other, fields) in self.found.newer.fields.range_mut(path.clone()..) {
            let Some(rest) = other.strip_prefix(&path) else { break };
            // `timeout` is not above `timeout_rate`.
            fields.is_answered |= path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']);
        }
    }

    /// The encoding of the whole resource, whose message this is: with what its type in Rust lacks.
    pub(in crate::config) fn resource(&self, message: &impl prost::Message) -> Bytes {
        let sent = self.found.newer.resource.as_ref();
        sent.map_or_else(|| message.encode_to_vec().into(), |(bytes, _)| bytes.clone())
    }

    /// The encodings of the elements of a list that stands in no other, as they were sent: where something in the
    /// resource is newer than the types in Rust, which do not encode it again; else none.
    pub(in crate::config) fn sent(&self, list: &str) -> Vec<Bytes> {
        let Some((bytes, message)) = &self.found.newer.resource else { return Vec::new() };
        let path = format!("{}.{list}", self.path());
        elements(bytes, message, &path).into_iter().map(|element| bytes.slice_ref(element)).collect()
    }
}

impl Findings {
    /// Refuses the newer fields that nobody has taken, unless there is another error: that may be why.
    pub(super) fn refuse_unserved(&mut self) {
        if !self.errors.is_empty() {
            return;
        }
        for (path, fields) in std::mem::take(&mut self.newer.fields) {
            if !fields.is_answered {
                self.refuse(&path, &fields);
            }
        }
    }

    fn refuse(&mut self, path: &str, fields: &Fields) {
        let all = descriptor::message(fields.message).map(descriptor::Message::fields).unwrap_or_default();
        for field in all.iter().filter(|field| field.is_newer() && fields.has(field.number())) {
            self.scope().below(path).reject(field.name(), UNSERVED);
        }
    }
}

impl Fields {
    /// Whether the field of this number is among them.
    fn has(&self, number: u32) -> bool {
        dragoman_proto::numbers(&self.bytes).any(|found| found == number)
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3;
    use envoy_types::pb::google::protobuf as pb;
    use prost::Message as _;

    use crate::config::extension::Extensions;
    use crate::config::field::{Scope, open, parse};
    use crate::config::newer::envoy::config::core::v3 as newer;

    /// A health check with a name, which its type in Rust lacks.
    fn named() -> Vec<u8> {
        let second = Some(pb::Duration { seconds: 1, nanos: 0 });
        let message = v3::HealthCheck {
            timeout: second,
            interval: second,
            unhealthy_threshold: Some(pb::UInt32Value { value: 1 }),
            healthy_threshold: Some(pb::UInt32Value { value: 1 }),
            health_checker: Some(v3::health_check::HealthChecker::TcpHealthCheck(Default::default())),
            ..v3::HealthCheck::default()
        };
        let newer = newer::HealthCheck { name: "ready".to_owned() };
        [message.encode_to_vec(), newer.encode_to_vec()].concat()
    }

    fn read(
        convert: impl FnOnce(&mut Scope<'_>) -> Option<String>,
    ) -> Result<String, Vec<crate::config::field::Error>> {
        let read = parse(&named(), &Extensions::default(), |_: v3::HealthCheck, at| convert(at));
        read.map(|(value, _)| value)
    }

    #[test]
    fn a_conversion_takes_what_the_type_of_its_message_lacks() {
        let name = read(|at| {
            open! { at, newer::HealthCheck = at.newer(); implemented { name } }
            Some(name)
        });
        assert_eq!(name, Ok("ready".to_owned()));
    }

    #[test]
    fn what_no_conversion_takes_is_refused_by_its_name() {
        let errors = read(|_| Some(String::new())).expect_err("an error");
        let [error] = errors.as_slice() else { panic!("one error: {errors:?}") };
        assert_eq!(error.to_string(), "name: not supported: it is newer than what is served of this message");
    }

    #[test]
    fn what_is_not_looked_at_at_all_has_no_newer_fields_to_refuse() {
        let read = read(|at| {
            at.pass_over();
            Some(String::new())
        });
        assert_eq!(read, Ok(String::new()));
    }

    #[test]
    fn a_field_whose_name_only_begins_like_that_of_another_is_not_passed_over_with_it() {
        let kept = dragoman_proto::Newer {
            path: "timeout_rate".to_owned(),
            message: "envoy.config.core.v3.HealthCheck",
            bytes: newer::HealthCheck { name: "ready".to_owned() }.encode_to_vec(),
        };
        let read = read(|at| {
            at.newer::<newer::HealthCheck>();
            at.keep_newer(kept);
            at.field("timeout").pass_over();
            Some(String::new())
        });
        let errors = read.expect_err("an error");
        assert!(
            errors.iter().any(|error| error.to_string().starts_with("timeout_rate.name: not supported")),
            "{errors:?}"
        );
    }

    #[test]
    fn a_resource_with_newer_fields_is_kept_as_it_was_sent() {
        let kept = parse(&named(), &Extensions::default(), |message: v3::HealthCheck, at| {
            at.newer::<newer::HealthCheck>();
            Some(at.resource(&message))
        });
        assert_eq!(kept.expect("a health check").0, named());
    }
}
