//! How far the handshake with a client has come, for what is told of one that fails.

use std::sync::Arc;

use rustls::CommonState;

use crate::observability::stream_info::{CertificateInfo, TlsInfo};

use super::record;
use super::witness::Witness;

/// What is known of a handshake that goes on.
#[derive(Debug)]
pub(super) struct Progress {
    version: &'static str,
    cipher: &'static str,
    local: Option<Arc<CertificateInfo>>,
    witness: Option<Arc<Witness>>,
}

impl Progress {
    /// Of a client that has said nothing yet. As BoringSSL tells it, which begins with the older version and the
    /// `first` of the certificates.
    pub(super) fn new(first: Option<&Arc<CertificateInfo>>) -> Self {
        Progress { version: "TLSv1.2", cipher: "", local: first.cloned(), witness: None }
    }

    /// The client has greeted, and is answered in TLS 1.3 or not.
    pub(super) fn greeted(
        &mut self,
        is_tls13: bool,
        local: Option<&Arc<CertificateInfo>>,
        witness: &Arc<Witness>,
    ) {
        self.version = if is_tls13 { "TLSv1.3" } else { self.version };
        self.local = local.cloned().or_else(|| self.local.take());
        self.witness = Some(Arc::clone(witness));
    }

    /// The client has been answered.
    pub(super) fn answered(&mut self, session: &CommonState) {
        self.cipher = record::agreed(session).cipher;
    }

    /// What logs tell of it.
    pub(super) fn seen(self) -> TlsInfo {
        TlsInfo {
            version: self.version,
            cipher: self.cipher,
            group: "",
            sni: Box::default(),
            alpn: Box::default(),
            local: self.local,
            peer: self.witness.map(|witness| witness.refused()).unwrap_or_default(),
            took: None,
            validated: false,
        }
    }
}
