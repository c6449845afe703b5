//! What looks at the certificates of hosts, for all connections of a context.
//!
//! The library resumes a session only where the verifier is the very one that the session was begun with. So there is one
//! that lasts, and it asks the witness of the handshake that goes on.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::witness::Witness;

tokio::task_local! {
    /// The witness of the handshake that is polled.
    static PRESENT: Arc<Witness>;
}

/// The verifier of all connections of a context.
#[derive(Debug)]
pub(super) struct Lasting {
    /// Knows how hosts may sign, which is the same for all of them and asked before a handshake begins.
    any: Witness,
}

impl Lasting {
    /// Of connections whose witnesses are like this one, but for what they ask of their peers.
    pub(super) fn new(any: Witness) -> Self {
        Lasting { any }
    }

    /// Runs a handshake in which this witness is asked.
    pub(super) async fn during<F: Future>(witness: &Arc<Witness>, handshake: F) -> F::Output {
        PRESENT.scope(Arc::clone(witness), handshake).await
    }

    fn ask<T>(ask: impl FnOnce(&Witness) -> Result<T, Error>) -> Result<T, Error> {
        let absent = |_| Err(Error::General("nobody is there to look at the certificate".to_owned()));
        PRESENT.try_with(|witness| ask(witness)).unwrap_or_else(absent)
    }
}

impl ServerCertVerifier for Lasting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::ask(|witness| witness.look_at_host(end_entity, intermediates, now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::ask(|witness| witness.tls12(message, certificate, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::ask(|witness| witness.tls13(message, certificate, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any.schemes()
    }
}
