//! Names that certificates may have: `SubjectAltNameMatcher`.

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use v3::subject_alt_name_matcher::SanType;

use crate::config::field::{Scope, open};
use crate::config::matcher::StringMatcher;

/// A name that a certificate may have: `SubjectAltNameMatcher`.
#[derive(Clone, Debug, PartialEq)]
pub struct NameMatcher {
    /// Of which kind it is.
    pub kind: NameKind,
    /// Which of the other names it looks at; empty for other kinds.
    pub oid: String,
    /// What it has to be.
    pub matcher: StringMatcher,
}

/// Kinds of names: `SubjectAltNameMatcher.SanType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// `EMAIL`
    Email,
    /// `DNS`
    Dns,
    /// `URI`
    Uri,
    /// `IP_ADDRESS`
    IpAddress,
    /// `OTHER_NAME`
    OtherName,
}

impl NameKind {
    /// Those that matchers without a kind look at, in their order.
    pub const ALL: [NameKind; 4] = [NameKind::Dns, NameKind::Uri, NameKind::Email, NameKind::IpAddress];
}

impl NameMatcher {
    /// From its proto.
    pub(in crate::config) fn from_proto(
        message: v3::SubjectAltNameMatcher,
        at: &mut Scope<'_>,
    ) -> Option<Self> {
        open! { at, v3::SubjectAltNameMatcher = message;
            implemented { san_type, matcher, oid }
        }
        let kind = match at.enumeration("san_type", san_type) {
            SanType::Email => NameKind::Email,
            SanType::Dns => NameKind::Dns,
            SanType::Uri => NameKind::Uri,
            SanType::IpAddress => NameKind::IpAddress,
            SanType::OtherName => NameKind::OtherName,
            // A violation of the API, which is noted with the others.
            SanType::Unspecified => return None,
        };
        let matcher = at.required("matcher", matcher)?;
        let matcher = StringMatcher::from_proto(matcher, &mut at.field("matcher"))?;
        let oid = match kind {
            NameKind::OtherName => object_id(&oid, &mut at.field("oid"))?,
            _ => {
                if !oid.is_empty() {
                    at.field("oid").note("it counts for OTHER_NAME alone");
                }
                String::new()
            }
        };
        Some(NameMatcher { kind, oid, matcher })
    }
}

/// An object identifier in numbers with points between them, or by the one name that is in use for one.
fn object_id(text: &str, at: &mut Scope<'_>) -> Option<String> {
    const UPN: (&str, &str) = ("msUPN", "1.3.6.1.4.1.311.20.2.3");
    let text = if text == UPN.0 { UPN.1 } else { text };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.contains('.') && text.split('.').all(is_number) {
        return Some(text.to_owned());
    }
    at.error(format!("Failed to create SAN matcher for OTHER_NAME with OID: {text}"));
    None
}
