//! What the service decided, for filters behind: they are told of it where `shadow_mode` has nobody obey it.

use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;

use crate::observability::stream_info::StateObject;

/// The status of a denial of which the service says none.
const FORBIDDEN: i32 = 403;

/// What the service decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    Denied {
        /// The status that a request would be answered with.
        status_code: i32,
    },
    /// It could not be asked.
    Failed,
}

impl Decision {
    /// A denial with what the service would have requests answered with.
    pub(super) fn denied(response: Option<HttpResponse>) -> Self {
        let said = match response {
            Some(HttpResponse::DeniedResponse(denied)) => denied.status.map(|status| status.code),
            _ => None,
        };
        Decision::Denied { status_code: said.filter(|code| *code != 0).unwrap_or(FORBIDDEN) }
    }

    /// As Envoy has it in the filter state: a message of two fields.
    pub(super) fn object(self) -> StateObject {
        let (result, status_code) = match self {
            Decision::Allowed => ("OK", None),
            Decision::Denied { status_code } => ("DENIED", Some(status_code)),
            Decision::Failed => ("ERROR", None),
        };
        let written = |result_name: &str, code_name: &str| {
            let code = status_code.map(|code| format!(",\"{code_name}\":{code}")).unwrap_or_default();
            format!("{{\"{result_name}\":\"{result}\"{code}}}").into_bytes().into()
        };
        StateObject::Message {
            json: written("checkResult", "statusCode"),
            text: written("check_result", "status_code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::r#type::v3::HttpStatus;
    use envoy_types::pb::envoy::service::auth::v3::DeniedHttpResponse;

    use super::*;

    #[test]
    fn a_denial_without_a_status_is_403() {
        let denied = |code: Option<i32>| {
            let status = code.map(|code| HttpStatus { code });
            HttpResponse::DeniedResponse(DeniedHttpResponse { status, ..DeniedHttpResponse::default() })
        };
        for (response, status_code) in
            [(None, 403), (Some(denied(None)), 403), (Some(denied(Some(0))), 403), (Some(denied(Some(401))), 401)]
        {
            assert_eq!(Decision::denied(response), Decision::Denied { status_code });
        }
    }

    #[test]
    fn a_decision_has_a_text_and_another_as_json() {
        let StateObject::Message { json, text } = (Decision::Denied { status_code: 401 }).object() else {
            panic!("a message");
        };
        assert_eq!(&*json, br#"{"checkResult":"DENIED","statusCode":401}"#);
        assert_eq!(&*text, br#"{"check_result":"DENIED","status_code":401}"#);
        assert_eq!(Decision::Failed.object().text(), br#"{"check_result":"ERROR"}"#);
    }
}
