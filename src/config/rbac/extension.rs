//! What extensions ask of a subject: `Principal.custom` and `Permission.matcher`.

use std::ops::RangeInclusive;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::rbac::matchers::upstream_ip_port::v3::UpstreamIpPortMatcher;
use envoy_types::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3 as mtls;
use envoy_types::pb::envoy::r#type::v3::Int64Range;
use envoy_types::pb::google::protobuf::Any;
use prost::Name;

use crate::config::extension::{contained_type, read};
use crate::config::field::{Scope, open};
use crate::config::match_tree::Subject;
use crate::config::matcher::CidrRange;
use crate::config::tls::NameMatcher;

/// `envoy.rbac.principals.mtls_authenticated`: a client whose certificate was looked at and found good.
#[derive(Clone, Debug, PartialEq)]
pub struct MtlsAuthenticated {
    /// A name that the certificate has to have; `None` where any will do.
    san_matcher: Option<NameMatcher>,
}

impl MtlsAuthenticated {
    pub(super) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let (any, at) = &mut typed::<mtls::Config>(message, at)?;
        open! { at, mtls::Config = read(std::mem::take(any), at)?;
            implemented { san_matcher, any_validated_client_certificate }
        }
        if san_matcher.is_none() && !any_validated_client_certificate {
            at.error(
                "envoy.rbac.principals.mtls_authenticated did not have any configured validation. At least one \
                 configuration field must be set.",
            );
        }
        let is_given = san_matcher.is_some();
        let san_matcher = at.message("san_matcher", san_matcher, NameMatcher::from_proto);
        (san_matcher.is_some() == is_given).then_some(MtlsAuthenticated { san_matcher })
    }

    /// Whether the client is one.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let names = subject.peers.certificate.as_ref().and_then(|certificate| certificate.names);
        let has = |matcher: &NameMatcher| names.is_some_and(|names| names.has_name(matcher));
        subject.peers.is_validated && self.san_matcher.as_ref().is_none_or(has)
    }
}

/// `envoy.rbac.matchers.upstream_ip_port`: where the name leads to that the connection is for.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamIpPort {
    /// The address is one of these.
    ip: Option<CidrRange>,
    /// The port is one of these, the last among them.
    ports: Option<RangeInclusive<i64>>,
}

impl UpstreamIpPort {
    pub(super) fn from_proto(message: TypedExtensionConfig, at: &mut Scope<'_>) -> Option<Self> {
        let (any, at) = &mut typed::<UpstreamIpPortMatcher>(message, at)?;
        open! { at, UpstreamIpPortMatcher = read(std::mem::take(any), at)?;
            implemented { upstream_ip, upstream_port_range }
        }
        if upstream_ip.is_none() && upstream_port_range.is_none() {
            at.error(
                "Invalid UpstreamIpPortMatcher configuration - missing `upstream_ip` and/or `upstream_port_range`",
            );
            return None;
        }
        let has_ip = upstream_ip.is_some();
        let ip = at.message("upstream_ip", upstream_ip, CidrRange::from_proto);
        let ports = at.message("upstream_port_range", upstream_port_range, |message, at| {
            open! { at, Int64Range = message; implemented { start, end } }
            // As in Envoy the end is one of the ports.
            Some(start..=end)
        });
        (ip.is_some() == has_ip).then_some(UpstreamIpPort { ip, ports })
    }

    /// Whether the name leads there. It leads nowhere where no filter has kept its address.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let Some(address) = subject.notes.and_then(|notes| notes.upstream_address()) else { return false };
        self.ip.as_ref().is_none_or(|range| range.contains(address.ip()))
            && self.ports.as_ref().is_none_or(|ports| ports.contains(&address.port().into()))
    }
}

/// The configuration of an extension, which has to be of this type, and where it stands.
fn typed<'s, M: Name>(message: TypedExtensionConfig, at: &'s mut Scope<'_>) -> Option<(Any, Scope<'s>)> {
    open! { at, TypedExtensionConfig = message; implemented { name, typed_config } }
    let any = typed_config.unwrap_or_default();
    let (found, known) = (contained_type(&any), M::full_name());
    if found != known {
        at.unsupported(format!(
            "Didn't find a registered implementation for '{name}' with type URL: '{found}'; known: {known}"
        ));
        return None;
    }
    Some((any, at.field("typed_config")))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use serde_json::Value;

    use super::*;
    use crate::base::headers::Headers;
    use crate::config::match_tree::{Named, Noted, PeerCertificate, Peers};
    use crate::config::matcher::{StringMatcher, StringPattern};
    use crate::config::runtime::Values;
    use crate::config::tls::NameKind;

    #[derive(Debug)]
    struct Certificate;

    impl Named for Certificate {
        fn has_name(&self, name: &NameMatcher) -> bool {
            name.kind == NameKind::Email
        }
    }

    #[derive(Debug)]
    struct Kept(SocketAddr);

    impl Noted for Kept {
        fn metadata(&self, _: &[String]) -> Option<&Value> {
            None
        }

        fn state(&self, _: &str) -> Option<&[u8]> {
            None
        }

        fn upstream_address(&self) -> Option<SocketAddr> {
            Some(self.0)
        }
    }

    #[test]
    fn a_name_is_worth_nothing_in_a_certificate_that_was_not_found_good() {
        let certificate =
            PeerCertificate { uris: &[], dns_names: &[], subject: "", names: Some(&Certificate) };
        let matcher = StringMatcher { pattern: StringPattern::Exact("a".into()), ignore_case: false };
        let of = |kind| MtlsAuthenticated {
            san_matcher: Some(NameMatcher { kind, oid: String::new(), matcher: matcher.clone() }),
        };
        let any = MtlsAuthenticated { san_matcher: None };
        let (headers, runtime) = (Headers::new(), Values::default());
        for (is_validated, expected) in [(true, [true, true, false]), (false, [false; 3])] {
            let peers =
                Peers { is_tls: true, is_validated, certificate: Some(certificate), ..Peers::default() };
            let subject = Subject { peers, ..Subject::of_headers(&headers, &runtime) };
            let held = [&any, &of(NameKind::Email), &of(NameKind::Dns)].map(|rule| rule.holds(&subject));
            assert_eq!(held, expected, "{is_validated}");
        }
    }

    #[test]
    fn an_address_that_nobody_kept_is_nowhere() {
        let (headers, runtime) = (Headers::new(), Values::default());
        let rule = |ports| UpstreamIpPort { ip: None, ports: Some(ports) };
        let nowhere = Subject::of_headers(&headers, &runtime);
        assert!(!rule(0..=65535).holds(&nowhere));
        let kept = Kept(SocketAddr::from(([127, 0, 0, 1], 80)));
        let subject = Subject { notes: Some(&kept), ..nowhere };
        let held = [79..=80, 80..=81, 81..=82].map(|ports| rule(ports).holds(&subject));
        assert_eq!(held, [true, true, false], "the end is one of the ports");
    }
}
