//! The names in a certificate, and whether they are those that are asked for (RFC 5280 §4.2.1.6).

use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use crate::config::match_tree::Named;
use crate::config::matcher::StringPattern;
use crate::config::tls::{NameKind, NameMatcher};
use crate::observability::stream_info::CertificateInfo;

use super::{certificate, other_names};

impl Named for CertificateInfo {
    fn has_name(&self, name: &NameMatcher) -> bool {
        has_name(self, name)
    }
}

/// Whether it has a name of the kind that matches.
pub(super) fn has_name(info: &CertificateInfo, name: &NameMatcher) -> bool {
    let matches = |text: &String| name.matcher.matches(text.as_bytes());
    match name.kind {
        NameKind::Dns => match &name.matcher.pattern {
            StringPattern::Exact(wanted) if !name.matcher.ignore_case => {
                info.dns_names.iter().any(|pattern| certificate::is_name_of(pattern, wanted))
            }
            _ => info.dns_names.iter().any(matches),
        },
        NameKind::Uri => info.uris.iter().any(matches),
        NameKind::Email => info.emails.iter().any(matches),
        NameKind::OtherName => {
            other_names::values(&info.der, &name.oid).iter().any(|value| name.matcher.matches(value))
        }
        NameKind::IpAddress => info.ip_addresses.iter().any(|address| matches(&address.to_string())),
    }
}

/// Whether it has this name, of whichever kind.
pub(super) fn has_any_name(info: &CertificateInfo, name: &str) -> bool {
    let mut others = info.uris.iter().chain(&info.emails);
    info.dns_names.iter().any(|pattern| certificate::is_name_of(pattern, name))
        || others.any(|other| other == name)
        || info.ip_addresses.iter().any(|address| address.to_string() == name)
}

/// All of its names, of the kinds that are told, as they stand in it.
pub(super) fn all_names(info: &CertificateInfo) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(&info.der) else { return Vec::new() };
    let lists = certificate.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    lists.flatten().filter_map(told).collect()
}

fn told(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => certificate::ip_address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}
