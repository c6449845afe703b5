//! `envoy.config.core.v3.SubstitutionFormatString`: log lines and the bodies of local replies.

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::google::protobuf as pb;

use super::{Format, Formatters, JsonFormat, Operator};
use crate::config::data_source;
use crate::config::field::{Scope, open};

/// What a text or a JSON document is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum SubstitutionFormat {
    /// `text_format_source`, or Envoy's default format; a line break is part of it if there is one.
    Text {
        /// What the text is made of.
        format: Format,
        /// Leave out what is not there; otherwise it is `-`.
        omit_empty_values: bool,
    },
    /// `json_format`
    Json(JsonFormat),
}

/// The format of a body, with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct BodyFormat {
    /// What the body is made of.
    pub format: SubstitutionFormat,
    /// `content_type`; empty when not configured.
    pub content_type: String,
}

impl BodyFormat {
    /// From its proto.
    pub fn from_proto(message: v3::SubstitutionFormatString, at: &mut Scope<'_>) -> Option<Self> {
        use v3::substitution_format_string::Format as Message;
        open! { at, v3::SubstitutionFormatString = message;
            implemented { omit_empty_values, content_type, format, formatters }
            ignored { json_format_options: "keys are always sorted, as in Envoy" }
        }
        let formatters = Formatters::from_protos(formatters, at);
        #[expect(deprecated, reason = "the older form is still accepted, as by Envoy")]
        let format = match at.required("format", format)? {
            Message::TextFormat(text) => {
                text_with(&text, omit_empty_values, &formatters, &mut at.field("text_format"))
            }
            Message::TextFormatSource(source) => {
                let mut at = at.field("text_format_source");
                let bytes = data_source::read(source, None, &mut at)?;
                let text =
                    String::from_utf8(bytes).map_err(|_| at.unsupported("the format must be UTF-8")).ok()?;
                text_with(&text, omit_empty_values, &formatters, &mut at)
            }
            Message::JsonFormat(fields) => {
                json_with(&fields, omit_empty_values, &formatters, &mut at.field("json_format"))
            }
        };
        Some(BodyFormat { format: format?, content_type })
    }
}

impl SubstitutionFormat {
    /// Whether any of its operators is such a one.
    pub fn any(&self, is_such: &dyn Fn(&Operator) -> bool) -> bool {
        match self {
            SubstitutionFormat::Text { format, .. } => format.any(is_such),
            SubstitutionFormat::Json(json) => json.fields.iter().any(|(_, value)| value.any(is_such)),
        }
    }

    /// A format whose content type nobody asks for.
    pub(in crate::config) fn from_proto(
        message: v3::SubstitutionFormatString,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        let format = BodyFormat::from_proto(message, at)?;
        if !format.content_type.is_empty() {
            at.ignore("content_type", "log lines have no content type");
        }
        Some(format.format)
    }

    pub(in crate::config) fn text(text: &str, omit_empty_values: bool, at: &mut Scope<'_>) -> Option<Self> {
        text_with(text, omit_empty_values, &Formatters::default(), at)
    }

    pub(in crate::config) fn json(
        fields: pb::Struct,
        omit_empty_values: bool,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        json_with(&fields, omit_empty_values, &Formatters::default(), at)
    }
}

fn text_with(
    text: &str,
    omit_empty_values: bool,
    formatters: &Formatters,
    at: &mut Scope<'_>,
) -> Option<SubstitutionFormat> {
    let format = Format::read(text, formatters, at)?;
    Some(SubstitutionFormat::Text { format, omit_empty_values })
}

fn json_with(
    fields: &pb::Struct,
    omit_empty_values: bool,
    formatters: &Formatters,
    at: &mut Scope<'_>,
) -> Option<SubstitutionFormat> {
    let format = JsonFormat::with(fields, omit_empty_values, formatters);
    let format = format.map_err(|problem| problem.tell(at)).map(SubstitutionFormat::Json).ok()?;
    if format.any(&|operator| *operator == Operator::RouteResolutionTime) {
        at.time_routes();
    }
    Some(format)
}
