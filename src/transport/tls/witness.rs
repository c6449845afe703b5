//! What one handshake saw of its peer.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CommonState, DigitallySignedStruct, DistinguishedName, Error, HandshakeKind, PeerMisbehaved,
    SignatureScheme,
};
use webpki::KeyUsage;

use super::certificate;
use super::failure::KEY_USAGE_BIT_INCORRECT;
use super::verify::{Asked, Verifier};
use crate::config::tls::KeyUses;
use crate::observability::stream_info::CertificateInfo;

/// The eyes of one handshake: the library asks it, and it remembers what was seen.
#[derive(Debug)]
pub(super) struct Witness {
    verifier: Arc<Verifier>,
    mandatory: bool,
    /// What is asked of the peer beside what the context asks.
    asked: Asked,
    /// Whether the use of the peer's key is looked at before all else, as BoringSSL does but for clients of TLS 1.2.
    use_first: bool,
    failure: OnceLock<String>,
    /// The chain that was refused.
    refused: OnceLock<Box<[CertificateInfo]>>,
    validated: OnceLock<bool>,
    scheme: OnceLock<SignatureScheme>,
}

impl Witness {
    /// Of a handshake in which the peer has to show a certificate, or may.
    pub(super) fn new(verifier: &Arc<Verifier>, mandatory: bool) -> Self {
        Witness {
            verifier: Arc::clone(verifier),
            mandatory,
            asked: Asked::default(),
            use_first: true,
            failure: OnceLock::new(),
            refused: OnceLock::new(),
            validated: OnceLock::new(),
            scheme: OnceLock::new(),
        }
    }

    /// The same where this is asked of the peer as well.
    pub(super) fn asking(self, asked: Asked) -> Self {
        Witness { asked, ..self }
    }

    /// The same for a client of TLS 1.2.
    pub(super) fn of_tls12(self) -> Self {
        Witness { use_first: false, ..self }
    }

    /// Why the peer's certificate was refused, if it was.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The chain that was refused, the peer's own certificate first; empty if none was.
    pub(super) fn refused(&self) -> Box<[CertificateInfo]> {
        self.refused.get().cloned().unwrap_or_default()
    }

    /// Whether the peer has shown a certificate that was looked at.
    pub(super) fn has_looked(&self) -> bool {
        self.failure.get().is_some() || self.validated.get().is_some()
    }

    /// Whether the peer has shown a certificate that was found good.
    pub(super) fn validated(&self) -> bool {
        self.validated.get().copied().unwrap_or_default()
    }

    /// Looks again at the peer of a session that is resumed, as Envoy does: what was good when it began need not be now.
    /// Whether the session may go on.
    pub(super) fn look_again(&self, session: &CommonState, usage: KeyUsage) -> bool {
        if session.handshake_kind() != Some(HandshakeKind::Resumed) {
            return true;
        }
        match session.peer_certificates().and_then(<[_]>::split_first) {
            Some((own, others)) => self.look(own, others, UnixTime::now(), usage).is_ok(),
            None => !self.mandatory,
        }
    }

    /// Whether the peer's key may sign the handshake, as it is about to.
    fn check_use(end_entity: &CertificateDer<'_>) -> Result<(), Error> {
        match KeyUses::of(end_entity).signs {
            true => Ok(()),
            false => Err(Error::General(KEY_USAGE_BIT_INCORRECT.to_owned())),
        }
    }

    /// How the peer signed, if it did.
    pub(super) fn scheme(&self) -> Option<SignatureScheme> {
        self.scheme.get().copied()
    }

    fn look(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Error> {
        match self.verifier.check(end_entity, intermediates, now, usage, &self.asked) {
            Ok(validated) => {
                self.validated.get_or_init(|| validated);
                Ok(())
            }
            Err((error, why)) => {
                self.failure.get_or_init(|| why);
                self.refused.get_or_init(|| {
                    let chain = std::iter::once(end_entity).chain(intermediates);
                    chain.map_while(|der| certificate::read(der)).collect()
                });
                Err(Error::InvalidCertificate(error))
            }
        }
    }

    /// Whether a host's certificate will do.
    pub(super) fn look_at_host(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        Self::check_use(end_entity)?;
        self.look(end_entity, intermediates, now, KeyUsage::server_auth())
    }

    /// Whether the peer has signed the handshake in TLS 1.2.
    pub(super) fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.see(signed)?;
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.verifier.provider.signature_verification_algorithms,
        )
    }

    /// Whether the peer has signed the handshake in TLS 1.3.
    pub(super) fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.see(signed)?;
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.verifier.provider.signature_verification_algorithms,
        )
    }

    /// Takes note of how the peer signed. It has to be a way that it was told.
    fn see(&self, signed: &DigitallySignedStruct) -> Result<(), Error> {
        self.scheme.get_or_init(|| signed.scheme);
        match self.verifier.schemes.is_empty() || self.verifier.schemes.contains(&signed.scheme) {
            true => Ok(()),
            false => Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()),
        }
    }

    /// How the peer may sign.
    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        match &self.verifier.schemes[..] {
            [] => self.verifier.provider.signature_verification_algorithms.supported_schemes(),
            schemes => schemes.to_vec(),
        }
    }
}

impl ClientCertVerifier for Witness {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.verifier.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.use_first {
            Self::check_use(end_entity)?;
        }
        self.look(end_entity, intermediates, now, KeyUsage::client_auth())?;
        if !self.use_first {
            Self::check_use(end_entity)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
