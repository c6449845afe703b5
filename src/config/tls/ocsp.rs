//! What an authority says of a certificate (OCSP, RFC 6960), to be shown with it: `TlsCertificate.ocsp_staple`.
//!
//! As in Envoy the answer is read far enough to know of which certificate it is and how long it holds. Who signed it, and
//! whether it is good news, is for clients to judge.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3;
use v3::downstream_tls_context::OcspStaplePolicy as Message;
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Oid, Tag};
use x509_parser::prelude::{ASN1Time, X509Certificate};

/// `id-pkix-ocsp-basic`
const BASIC: &str = "1.3.6.1.5.5.7.48.1.1";

/// The extension that promises an answer with the certificate (RFC 7633), and its value for `status_request`.
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
const STATUS_REQUEST: [u8; 5] = [0x30, 3, 2, 1, 5];

/// When a context shows such an answer: `DownstreamTlsContext.OcspStaplePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaplePolicy {
    /// `LENIENT_STAPLING`: where there is one that holds.
    Lenient,
    /// `STRICT_STAPLING`: the same, but a certificate whose answer holds no longer is not shown.
    Strict,
    /// `MUST_STAPLE`: no certificate is shown without one.
    Must,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    /// All of it, as clients get it.
    pub der: Vec<u8>,
    /// Since when it holds.
    pub this_update: SystemTime,
    /// Until when it holds; `None` where it does not say, which is never.
    pub next_update: Option<SystemTime>,
}

impl StaplePolicy {
    pub(super) fn from_proto(message: Message) -> Self {
        match message {
            Message::LenientStapling => StaplePolicy::Lenient,
            Message::StrictStapling => StaplePolicy::Strict,
            Message::MustStaple => StaplePolicy::Must,
        }
    }
}

impl Staple {
    /// Reads the answer to a certificate.
    ///
    /// # Errors
    /// It cannot be read, holds no answer, or is about another certificate.
    pub(super) fn read(der: &[u8], certificate: &X509Certificate<'_>) -> Result<Self, &'static str> {
        let Single { serial, this_update, next_update } = parse(der)?;
        let number = |bytes: &[u8]| bytes.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<_>>();
        if number(serial) != number(certificate.raw_serial()) {
            return Err("OCSP response does not match its TLS certificate");
        }
        Ok(Staple { der: der.to_vec(), this_update, next_update })
    }

    /// Whether it holds at this moment.
    pub fn holds(&self, now: SystemTime) -> bool {
        self.next_update.is_some_and(|next| next >= now)
    }
}

/// Whether a certificate promises that an answer comes with it.
pub(super) fn is_promised(certificate: &X509Certificate<'_>) -> bool {
    let mut extensions = certificate.extensions().iter();
    extensions.any(|one| one.oid.to_id_string() == TLS_FEATURE && one.value == STATUS_REQUEST)
}

/// An answer to one certificate: `SingleResponse`.
struct Single<'d> {
    serial: &'d [u8],
    this_update: SystemTime,
    next_update: Option<SystemTime>,
}

/// The only answer in a response.
fn parse(der: &[u8]) -> Result<Single<'_>, &'static str> {
    let mut rest = der;
    let mut response =
        Reader(sequence(&mut rest).ok_or("OCSP Response is not a well-formed ASN.1 SEQUENCE")?);
    if !rest.is_empty() {
        return Err("Data contained more than a single OCSP response");
    }
    let status =
        response.take(Tag::Enumerated).ok_or("OCSP ResponseStatus is not a well-formed ASN.1 ENUMERATED")?;
    if status != [0] {
        return Err("OCSP response was unsuccessful");
    }
    if response.0.is_empty() {
        return Err("OCSP response has no body");
    }
    let bytes = response.context(0).and_then(basic);
    let data = bytes.ok_or("OCSP ResponseBytes is not a well-formed SEQUENCE of a basic response")?;
    let mut responses = responses(data).ok_or("OCSP ResponseData is not a well-formed ASN.1 SEQUENCE")?;
    let single = sequence(&mut responses.0).ok_or("OCSP Response must be for one certificate only")?;
    if !responses.0.is_empty() {
        return Err("OCSP Response must be for one certificate only");
    }
    one(single).ok_or("OCSP SingleResponse is not a well-formed ASN.1 SEQUENCE")
}

/// `ResponseBytes`, of which `tbsResponseData` is given.
fn basic(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut bytes = Reader(sequence(&mut bytes)?);
    let oid = Oid::new(bytes.take(Tag::Oid)?.into());
    if oid.to_id_string() != BASIC {
        return None;
    }
    let mut response = bytes.take(Tag::OctetString)?;
    let mut response = sequence(&mut response)?;
    sequence(&mut response)
}

/// `ResponseData`, of which `responses` is given.
fn responses(data: &[u8]) -> Option<Reader<'_>> {
    let mut data = Reader(data);
    if let Some(version) = data.context(0)
        && Reader(version).take(Tag::Integer)? != [0]
    {
        return None;
    }
    // `responderID`: by name or by key.
    data.context(1).or_else(|| data.context(2))?;
    data.take(Tag::GeneralizedTime)?;
    data.take(Tag::Sequence).map(Reader)
}

fn one(single: &[u8]) -> Option<Single<'_>> {
    let mut single = Reader(single);
    let mut id = Reader(single.take(Tag::Sequence)?);
    id.take(Tag::Sequence)?;
    id.take(Tag::OctetString)?;
    id.take(Tag::OctetString)?;
    let serial = id.take(Tag::Integer)?;
    // `certStatus`: good, revoked or unknown.
    (0..3).find_map(|status| single.context(status))?;
    let this_update = single.moment()?;
    let next_update = match single.context(0) {
        Some(next) => Some(Reader(next).moment()?),
        None => None,
    };
    Some(Single { serial, this_update, next_update })
}

/// The content of the sequence that comes next.
fn sequence<'d>(rest: &mut &'d [u8]) -> Option<&'d [u8]> {
    let mut reader = Reader(rest);
    let content = reader.take(Tag::Sequence)?;
    *rest = reader.0;
    Some(content)
}

/// Takes elements one after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// The content of the next element where it is one of this kind.
    fn take(&mut self, tag: Tag) -> Option<&'d [u8]> {
        self.next(Class::Universal, tag)
    }

    /// The content of the next element where it has this number in its context.
    fn context(&mut self, number: u32) -> Option<&'d [u8]> {
        self.next(Class::ContextSpecific, Tag(number))
    }

    /// The moment that comes next: a `GeneralizedTime`.
    fn moment(&mut self) -> Option<SystemTime> {
        let before = self.0;
        self.take(Tag::GeneralizedTime)?;
        let (_, time) = ASN1Time::from_der(before).ok()?;
        UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(time.timestamp()).ok()?))
    }

    fn next(&mut self, class: Class, tag: Tag) -> Option<&'d [u8]> {
        let (rest, element) = Any::from_der(self.0).ok()?;
        if element.header.class() != class || element.header.tag() != tag {
            return None;
        }
        self.0 = rest;
        Some(element.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Vec<u8> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls");
        std::fs::read(folder.join(name)).expect("a file")
    }

    fn read(answer: &[u8], certificate: &str) -> Result<Staple, &'static str> {
        use rustls::pki_types::pem::PemObject as _;
        let der =
            rustls::pki_types::CertificateDer::from_pem_slice(&file(certificate)).expect("a certificate");
        let (_, certificate) = X509Certificate::from_der(&der).expect("a certificate");
        Staple::read(answer, &certificate)
    }

    #[test]
    fn an_answer_holds_until_the_next() {
        let holds = |name| read(&file(name), "server.pem").expect("an answer").holds(SystemTime::now());
        assert!(holds("server.ocsp"));
        assert!(!holds("server-expired.ocsp"));
        assert!(!holds("server-endless.ocsp"), "as in Envoy");
    }

    #[test]
    fn answers_about_others_failures_and_what_is_none_are_refused() {
        let good = file("server.ocsp");
        for (answer, why) in [
            (file("stapled.ocsp"), "OCSP response does not match its TLS certificate"),
            (vec![0x30, 3, 10, 1, 3], "OCSP response was unsuccessful"),
            (vec![0x30, 3, 10, 1, 0], "OCSP response has no body"),
            ([&good[..], &good].concat(), "Data contained more than a single OCSP response"),
            (b"no answer".to_vec(), "OCSP Response is not a well-formed ASN.1 SEQUENCE"),
        ] {
            assert_eq!(read(&answer, "server.pem"), Err(why));
        }
    }

    #[test]
    fn an_answer_that_is_cut_off_is_refused() {
        let good = file("server.ocsp");
        assert!((0..good.len()).all(|length| read(&good[..length], "server.pem").is_err()));
    }

    #[test]
    fn certificates_may_promise_an_answer() {
        use rustls::pki_types::pem::PemObject as _;
        let promised = |name| {
            let der = rustls::pki_types::CertificateDer::from_pem_slice(&file(name)).expect("a certificate");
            is_promised(&X509Certificate::from_der(&der).expect("a certificate").1)
        };
        assert_eq!((promised("stapled.pem"), promised("server.pem")), (true, false));
    }
}
