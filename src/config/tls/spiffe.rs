//! Peers that are trusted by the domain of their SPIFFE id: `SPIFFECertValidatorConfig`.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde_json::Value;
use v3::spiffe_cert_validator_config::TrustDomain as Message;
use webpki::OwnedCertRevocationList;

use super::certificate::source_name;
use super::validation::is_authority;
use crate::config::data_source;
use crate::config::field::{Scope, open};
use crate::config::watched::{WatchedDirectory, WatchedFile};

/// The filter state that names the workload on whose behalf a connection is: shared with connections to hosts, where it is
/// about whom those are trusted by.
pub const WORKLOAD: &str = "envoy.tls.cert_validator.spiffe.workload_trust_domain";

/// By this name the validator is found, whatever the type of its configuration.
const NAME: &str = "envoy.tls.cert_validator.spiffe";

/// Validators that Envoy has beside it.
const OTHERS: [&str; 2] = ["envoy.tls.cert_validator.default", "envoy.tls.cert_validator.dynamic_modules"];

/// Type of the configuration.
const TYPE: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig";

/// Whom to trust when a peer says that it is of a domain: `SPIFFECertValidatorConfig.TrustDomain`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustDomain {
    /// Its name, without `spiffe://`.
    pub name: String,
    /// The workload for which this counts, as [`WORKLOAD`] names it; empty for those that it does not name.
    pub workload: String,
    /// By whom its members' certificates may be issued.
    pub trusted: Vec<CertificateDer<'static>>,
    /// Lists of certificates that are not trusted any more; empty where that is not looked at.
    pub crl: Vec<CertificateRevocationListDer<'static>>,
    /// The domain and the file that its bundle came from, as the admin interface shows them.
    pub path: String,
}

/// The domains that are known: `SPIFFECertValidatorConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustDomains {
    /// The domains as they were when this was read.
    pub domains: Vec<TrustDomain>,
    /// The bundle map that they came from, where that is a file and counts as it is at the time. In secrets over SDS, which
    /// are read again when their files change, it is none.
    pub file: Option<WatchedFile>,
}

/// The domains of `custom_validator_config`.
pub(super) fn domains(message: core::TypedExtensionConfig, at: &mut Scope<'_>) -> Option<TrustDomains> {
    open! { at, core::TypedExtensionConfig = message; implemented { name, typed_config } }
    let name = at.required_string("name", name);
    let any = at.required("typed_config", typed_config)?;
    if name != NAME {
        let message = format!("Failed to get certificate validator factory for {name}; known: {NAME}");
        match OTHERS.contains(&name.as_str()) {
            true => at.field("name").unsupported(message),
            false => at.field("name").error(message),
        }
        return None;
    }
    let mut at = at.field("typed_config");
    if any.type_url != TYPE {
        at.unsupported(format!("{} is no configuration of {NAME}; known: {TYPE}", any.type_url));
        return None;
    }
    parse(&any, &mut at)
}

fn parse(any: &Any, at: &mut Scope<'_>) -> Option<TrustDomains> {
    use v3::SpiffeCertValidatorConfig;
    let message = match SpiffeCertValidatorConfig::decode(&*any.value) {
        Ok(message) => message,
        Err(error) => {
            at.violation(error.to_string());
            return None;
        }
    };
    open! { at, SpiffeCertValidatorConfig = message; implemented { trust_domains, trust_bundles } }
    if let Some(bundles) = trust_bundles {
        return self::bundles(bundles, &mut at.field("trust_bundles"));
    }
    let count = trust_domains.len();
    let mut domains = Vec::<TrustDomain>::new();
    for (index, message) in trust_domains.into_iter().enumerate() {
        let mut at = at.index("trust_domains", index);
        let Some(domain) = TrustDomain::from_proto(message, &mut at) else { continue };
        if domains.iter().any(|known| (&known.name, &known.workload) == (&domain.name, &domain.workload)) {
            let TrustDomain { name, workload, .. } = &domain;
            let several = format!(
                "Multiple trust bundles are given for one trust domain for {name}, workload: {workload}"
            );
            at.error(several.trim_end());
        }
        domains.push(domain);
    }
    (domains.len() == count).then_some(TrustDomains { domains, file: None })
}

impl TrustDomain {
    fn from_proto(message: Message, at: &mut Scope<'_>) -> Option<Self> {
        open! { at, Message = message;
            implemented { name, trust_bundle, workload_trust_domain }
        }
        let bundle = trust_bundle.unwrap_or_default();
        let path = format!("{name}: {}", source_name(&bundle));
        let mut at = at.field("trust_bundle");
        let pem = data_source::read(bundle, None, &mut at)?;
        let trusted: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let crl: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
        let is_good =
            |list: &CertificateRevocationListDer<'_>| OwnedCertRevocationList::from_der(list).is_ok();
        let trusted = trusted.ok().filter(|all| all.iter().all(is_authority));
        let crl = crl.ok().filter(|lists| lists.iter().all(is_good));
        match (trusted, crl) {
            (Some(trusted), Some(crl)) if !(trusted.is_empty() && crl.is_empty()) => {
                Some(TrustDomain { name, workload: workload_trust_domain, trusted, crl, path })
            }
            _ => {
                at.error(format!("Failed to load trusted CA certificate for {name}"));
                None
            }
        }
    }

    /// From a SPIFFE bundle map: JSON.
    ///
    /// # Errors
    /// The first thing that is wrong with it, in Envoy's words.
    pub fn from_map(text: &[u8]) -> Result<Vec<Self>, String> {
        let map: Value = serde_json::from_slice(text).map_err(|_| "Invalid JSON found in SPIFFE bundle")?;
        let domains = map["trust_domains"].as_object().filter(|domains| !domains.is_empty());
        let domains = domains.ok_or("No trust domains found in SPIFFE bundle")?;
        domains.iter().map(|(name, bundle)| Self::from_json(name, bundle)).collect()
    }

    /// From a member of a SPIFFE bundle map.
    fn from_json(name: &str, bundle: &Value) -> Result<Self, String> {
        let keys = bundle["keys"].as_array().filter(|keys| !keys.is_empty());
        let keys = keys.ok_or_else(|| format!("No keys found in SPIFFE bundle for domain '{name}'"))?;
        let mut trusted = Vec::new();
        for key in keys {
            if key["use"] != "x509-svid" {
                return Err(format!("missing or invalid 'use' field found in cert for domain '{name}'"));
            }
            let chain = key["x5c"].as_array().filter(|chain| !chain.is_empty());
            let chain = chain
                .ok_or_else(|| format!("missing or empty 'x5c' field found in keys for domain: '{name}'"))?;
            for text in chain {
                let der = text.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
                let certificate = der
                    .map(CertificateDer::from)
                    .filter(is_authority)
                    .ok_or_else(|| format!("Invalid x509 object in certs for domain '{name}'"))?;
                trusted.push(certificate);
            }
        }
        Ok(TrustDomain {
            name: name.to_owned(),
            workload: String::new(),
            trusted,
            crl: Vec::new(),
            path: format!("{name}: <inline>"),
        })
    }
}

/// Puts the text of a bundle in the place of its file; the directory in which something new means that the file has to be
/// read again, if it is in one.
pub(super) fn take_in(
    config: &mut core::TypedExtensionConfig,
    at: &mut Scope<'_>,
) -> Option<Option<WatchedDirectory>> {
    use core::data_source::Specifier;
    // What cannot be read is told where it is looked at.
    let Some(any) = config.typed_config.as_mut().filter(|any| any.type_url == TYPE) else {
        return Some(None);
    };
    let Ok(mut message) = v3::SpiffeCertValidatorConfig::decode(&*any.value) else { return Some(None) };
    let Some(source) = message.trust_bundles.as_mut() else { return Some(None) };
    let Some(Specifier::Filename(path)) = &source.specifier else { return Some(None) };
    let around = WatchedDirectory::around(Path::new(path));
    let (text, file) =
        data_source::follow(source.clone(), None, &mut at.field("typed_config").field("trust_bundles"))?;
    source.watched_directory = None;
    source.specifier = Some(Specifier::InlineBytes(text));
    any.value = message.encode_to_vec();
    Some(Some(file.map_or(around, |file| file.directory)))
}

/// The domains of a bundle map.
fn bundles(source: core::DataSource, at: &mut Scope<'_>) -> Option<TrustDomains> {
    use core::data_source::Specifier;
    let path = match &source.specifier {
        Some(Specifier::Filename(path)) => Some(path.clone()),
        _ => None,
    };
    let (text, file) = data_source::follow(source, None, at)?;
    let file = path.map(|path| match file {
        Some(file) => WatchedFile { in_place: true, ..file },
        None => WatchedFile::new(Path::new(&path), None),
    });
    let domains = TrustDomain::from_map(&text).map_err(|why| at.error(why)).ok()?;
    Some(TrustDomains { domains, file })
}
