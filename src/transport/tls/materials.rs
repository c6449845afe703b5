//! What a context is made of, wherever it comes from: its configuration, or secrets that come later.

use std::sync::{Arc, Weak};

use crate::config::field;
use crate::config::tls::{
    Certificate, Certificates, CommonTls, Secret, SecretContent, SecretRef, TicketKeys, Validation,
    ValidationSource,
};

use super::secrets::{Follow, Secrets, Slot};

/// Own certificates and what is asked of the peer's, each with its name in statistics.
#[derive(Debug)]
pub(super) struct Materials {
    pub(super) certificates: Vec<(String, Arc<Certificate>)>,
    pub(super) validation: Option<(String, Arc<Validation>)>,
    /// Those that a secret brought.
    pub(super) ticket_keys: Option<Arc<TicketKeys>>,
}

/// Where a context takes them from.
#[derive(Debug)]
pub(super) struct Sources {
    certificates: Vec<Arc<Slot>>,
    validation: Option<Arc<Slot>>,
    ticket_keys: Option<Arc<Slot>>,
}

impl Sources {
    /// Those of a configuration, and with keys of tickets from a secret where there are such.
    ///
    /// # Errors
    /// The bootstrap has no such secret.
    pub(super) fn find(
        config: &CommonTls,
        ticket_keys: Option<&SecretRef>,
        secrets: &Secrets,
    ) -> Result<Self, String> {
        let certificates = match &config.certificates {
            Certificates::Inline(_) => Vec::new(),
            Certificates::Secrets(references) => {
                let slots = references.iter().map(|one| secrets.slot(one));
                slots.collect::<Result<_, _>>()?
            }
        };
        let validation = match &config.validation {
            Some(ValidationSource::Secret { secret, .. }) => Some(secrets.slot(secret)?),
            Some(ValidationSource::Inline(_)) | None => None,
        };
        let ticket_keys = ticket_keys.map(|secret| secrets.slot(secret)).transpose()?;
        Ok(Sources { certificates, validation, ticket_keys })
    }

    /// The places of all secrets.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.certificates.iter().chain(&self.validation).chain(&self.ticket_keys)
    }

    /// Whether nobody need wait for any of them.
    pub(super) fn are_settled(&self) -> bool {
        self.slots().all(|slot| slot.is_settled())
    }

    /// Tells this follower of secrets to come.
    pub(super) fn follow(&self, follower: &Weak<dyn Follow>) {
        self.slots().for_each(|slot| slot.follow(Weak::clone(follower)));
    }

    /// What there is, with the `fresh` secret in its place; `None` where something has not come yet.
    ///
    /// # Errors
    /// Why a secret cannot be used.
    pub(super) fn materials(
        &self,
        config: &CommonTls,
        fresh: Option<(&Slot, &Arc<Secret>)>,
    ) -> Result<Option<Materials>, String> {
        let secret = |slot: &Arc<Slot>| match fresh {
            Some((place, secret)) if std::ptr::eq(place, &raw const **slot) => Some(Arc::clone(secret)),
            _ => slot.secret(),
        };
        let mut certificates = Vec::new();
        if let Certificates::Inline(inline) = &config.certificates {
            certificates.extend(inline.iter().map(|own| (own.unnamed.clone(), Arc::clone(own))));
        }
        for slot in &self.certificates {
            let Some(secret) = secret(slot) else { return Ok(None) };
            if let SecretContent::Certificate(own) = &secret.content {
                certificates.push((secret.name.clone(), Arc::clone(own)));
            }
        }
        let validation = match (&config.validation, &self.validation) {
            (Some(ValidationSource::Inline(inline)), _) => Some((inline.unnamed.clone(), Arc::clone(inline))),
            (Some(ValidationSource::Secret { default, .. }), Some(slot)) => {
                let Some(secret) = secret(slot) else { return Ok(None) };
                Some((secret.name.clone(), Arc::new(merged(default, &secret)?)))
            }
            _ => None,
        };
        let mut ticket_keys = None;
        if let Some(slot) = &self.ticket_keys {
            let Some(secret) = secret(slot) else { return Ok(None) };
            if let SecretContent::TicketKeys(keys) = &secret.content {
                ticket_keys = Some(Arc::clone(keys));
            }
        }
        Ok(Some(Materials { certificates, validation, ticket_keys }))
    }
}

fn merged(default: &[u8], secret: &Secret) -> Result<Validation, String> {
    let SecretContent::Validation(context) = &secret.content else {
        return Err("the secret is no validation_context".to_owned());
    };
    let texts =
        |errors: Vec<field::Error>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Validation::merged(default, context).map_err(texts)
}
