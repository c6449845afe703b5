//! What a context greets clients with, which changes with its secrets.

use std::sync::{Arc, OnceLock};

use crate::config::tls::{Certificate, DownstreamTls, Params, Tickets, Validation};

use super::Record;
use super::materials::Materials;
use super::own::{Certificates, Own};
use super::record::{Expirations, Ledger};
use super::resumption::{Resumption, audience};
use super::spoken::Spoken;

/// What changes with the secrets. Sessions end with it: they are resumed by those who were shown these certificates.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) certificates: Certificates,
    /// How the protocol is spoken where the certificate that is shown does not say.
    spoken: Spoken,
    /// The same for certificates that handshakes ask for.
    spoken_on_demand: OnceLock<Spoken>,
    pub(super) resumption: Resumption,
    pub(super) materials: Materials,
    _expirations: Expirations,
}

impl Ready {
    /// # Errors
    /// What cannot be used.
    pub(super) fn new(config: &DownstreamTls, record: &Record, materials: Materials) -> Result<Self, String> {
        let told = |error: rustls::Error| error.to_string();
        let own = materials.certificates.iter().map(|(_, own)| &**own);
        let validation = materials.validation.as_ref();
        let asked = validation.map(|(_, validation)| Arc::clone(validation));
        let speak = |params: &Params| Spoken::new(params, asked.clone(), record.stats());
        let certificates = Certificates::new(own, config, speak)?;
        let names = materials.certificates.iter().map(|(name, _)| name.as_str());
        let own = names.zip(certificates.iter().map(|own| &*own.info));
        let expirations = record.ledger.expirations(own, validation);
        let keys = match &config.tickets {
            Tickets::Keys(keys) => Some(keys),
            Tickets::Secret(_) => materials.ticket_keys.as_ref(),
            Tickets::Own | Tickets::Disabled => None,
        };
        let own = certificates.iter().map(|own| &*own.info);
        let audience = audience(config, own, asked.as_deref());
        let resumption = Resumption::new(config, keys.map(|keys| &**keys), audience).map_err(told)?;
        let spoken = speak(&config.common.params).map_err(told)?;
        Ok(Ready {
            certificates,
            spoken,
            spoken_on_demand: OnceLock::new(),
            resumption,
            materials,
            _expirations: expirations,
        })
    }

    /// How the protocol is spoken with those who are shown this certificate; `on_demand` is where it is counted what is
    /// found of them, where certificates are asked for.
    pub(super) fn spoken<'s>(&'s self, own: Option<&'s Own>, on_demand: Option<&Ledger>) -> &'s Spoken {
        match (own.and_then(|own| own.spoken.as_deref()), on_demand) {
            (Some(spoken), _) => spoken,
            (None, None) => &self.spoken,
            (None, Some(ledger)) => {
                self.spoken_on_demand.get_or_init(|| self.spoken.counted_by(ledger.stats()))
            }
        }
    }
}

/// A certificate that handshakes ask for, of the secret of this name.
///
/// # Errors
/// It cannot be used.
pub(super) fn own_on_demand(
    config: &DownstreamTls,
    (name, certificate): (&str, &Certificate),
    ledger: &Ledger,
    validation: Option<&(String, Arc<Validation>)>,
) -> Result<(Own, Expirations), String> {
    let asked = validation.map(|(_, validation)| Arc::clone(validation));
    // As in Envoy these statistics are there once a certificate has come.
    let stats = ledger.stats();
    let own = Own::new(certificate, config, &|params| Spoken::new(params, asked.clone(), stats))?;
    let expirations = ledger.expirations([(name, &*own.info)].into_iter(), validation);
    Ok((own, expirations))
}
