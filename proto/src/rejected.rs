//! `dragoman.xds.v1`: what is wrong with the resources of a response, for programs.
//!
//! `proto/definitions/dragoman/xds/v1/rejected_resources.proto` has the definitions and says what each field means.

use prost::{Enumeration, Message, Name};

/// `dragoman.xds.v1.RejectedResources`, among the details of a NACK.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct RejectedResources {
    /// The resources, in the order of the response.
    #[prost(message, repeated, tag = "1")]
    pub resources: Vec<RejectedResource>,
    /// How many errors were left out.
    #[prost(uint64, tag = "2")]
    pub omitted_errors: u64,
}

/// `dragoman.xds.v1.RejectedResource`
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct RejectedResource {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What is wrong with it.
    #[prost(message, repeated, tag = "2")]
    pub errors: Vec<FieldError>,
}

/// `dragoman.xds.v1.FieldError`
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct FieldError {
    /// The field; empty for the resource itself.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What it is set to, as JSON; empty when that is not known or too much.
    #[prost(string, tag = "2")]
    pub value: String,
    /// What is wrong.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// What may help; often empty.
    #[prost(string, tag = "4")]
    pub hint: String,
    /// What follows from it.
    #[prost(enumeration = "ErrorKind", tag = "5")]
    pub kind: i32,
}

/// `dragoman.xds.v1.FieldError.Kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ErrorKind {
    /// Not said.
    Unspecified = 0,
    /// Envoy refuses it as well.
    Invalid = 1,
    /// Envoy takes it, dragoman does not.
    Unsupported = 2,
}

impl Name for RejectedResources {
    const NAME: &'static str = "RejectedResources";
    const PACKAGE: &'static str = "dragoman.xds.v1";

    fn type_url() -> String {
        format!("type.googleapis.com/{}", Self::full_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrintOptions, print};

    #[test]
    fn the_messages_are_those_of_the_definition() {
        let error = FieldError {
            path: "p".into(),
            value: "v".into(),
            reason: "r".into(),
            hint: "h".into(),
            kind: ErrorKind::Unsupported.into(),
        };
        let resource = RejectedResource { name: "n".into(), errors: vec![error] };
        let message = RejectedResources { resources: vec![resource], omitted_errors: 3 };
        let printed =
            print(&message.encode_to_vec(), &RejectedResources::full_name(), &PrintOptions::default());
        assert_eq!(
            printed.expect("the definition is known").to_string(),
            r#"{"resources":[{"name":"n","errors":[{"path":"p","value":"v","reason":"r","hint":"h","kind":"UNSUPPORTED"}]}],"omitted_errors":"3"}"#
        );
    }
}
