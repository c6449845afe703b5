//! The message that tells a collector of spans.

use envoy_types::pb::opentelemetry::proto::common::v1::any_value::Value;

use super::message::{ExportRequest, Resource, ResourceSpans, Scope, ScopeSpans, Span, attribute};
use super::resource::Attributes;

/// What is said in each message of who tells.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Left out where nothing is known of it.
    resource: Option<Resource>,
    scope: Option<Scope>,
}

impl Origin {
    /// `scope_version` is `None` where spans are not to say what made them (`set_instrumentation_scope`).
    pub(super) fn new(resource: &Attributes, scope_version: Option<&str>) -> Self {
        let attributes: Vec<_> = resource.iter().map(|(key, value)| attribute(key, Value::StringValue(value.clone()))).collect();
        let resource = (!attributes.is_empty()).then_some(Resource { attributes });
        let scope =
            scope_version.map(|version| Scope { name: "envoy".to_owned(), version: version.to_owned() });
        Origin { resource, scope }
    }

    /// Tells of these spans.
    pub(super) fn tell(&self, spans: Vec<Span>) -> ExportRequest {
        let scope_spans = vec![ScopeSpans { scope: self.scope.clone(), spans }];
        ExportRequest { resource_spans: vec![ResourceSpans { resource: self.resource.clone(), scope_spans }] }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn span() -> Vec<Span> {
        vec![Span { span_id: vec![7], ..Span::default() }]
    }

    #[test]
    fn the_message_says_who_tells_and_what_made_the_spans() {
        let resource = Attributes::from([("service.name".to_owned(), "svc".to_owned())]);
        let request = Origin::new(&resource, Some("1")).tell(span());
        // ResourceSpans { Resource { service.name }, ScopeSpans { Scope { envoy, 1 }, Span { 7 } } }
        let expected = b"\x0a\x2c\x0a\x17\x0a\x15\x0a\x0cservice.name\x12\x05\x0a\x03svc\
            \x12\x11\x0a\x0a\x0a\x05envoy\x12\x011\x12\x03\x12\x01\x07";
        assert_eq!(request.encode_to_vec(), expected);
    }

    #[test]
    fn nothing_stands_for_a_resource_and_a_scope_that_are_not_told_of() {
        let request = Origin::new(&Attributes::new(), None).tell(span());
        assert_eq!(request.encode_to_vec(), b"\x0a\x07\x12\x05\x12\x03\x12\x01\x07");
    }
}
