//! Certificates that handshakes ask for by the names of their secrets: `OnDemandSecrets`.
//!
//! A worker looks among those that have come. For any other it tells the control thread, which alone changes what there
//! is, and waits: until the secret has come, or is said not to exist. What has come stays until its source takes it back;
//! then whoever wants it asks anew.
//!
//! Clients choose names. So of those that have not come no more than 1,024 are asked for: another takes the place of one
//! that nobody waits for any longer, or is refused (`entry`).

mod entry;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use tokio::sync::oneshot;

use crate::base::io::Socket;
use crate::config::tls::{Certificate, OnDemandSecrets, Secret, SecretContent};
use crate::observability::stats::Registry;
use crate::observability::stats::tls::OnDemandSecretStats;

use super::ServerContext;
use super::own::Own;
use super::record::{Expirations, Ledger};
use super::secrets::{Change, Follow, Secrets, Slot};
use entry::{Entries, Entry, Made, make_room};

/// The certificates of a context that handshakes ask for.
#[derive(Debug)]
pub(super) struct OnDemand {
    config: Arc<OnDemandSecrets>,
    context: Weak<ServerContext>,
    secrets: Secrets,
    /// As in Envoy what is found of clients' certificates is counted here, and not where handshakes are.
    pub(super) ledger: Ledger,
    stats: OnDemandSecretStats,
    this: Weak<Self>,
    /// Workers only read, for the time of looking one up.
    entries: RwLock<Entries>,
}

/// Hears of one secret.
#[derive(Debug)]
struct Place {
    on_demand: Weak<OnDemand>,
    name: Box<str>,
}

/// What a handshake asks the control thread for.
#[derive(Debug)]
pub struct Ask {
    of: Weak<OnDemand>,
    name: Box<str>,
    answer: oneshot::Sender<()>,
}

impl Ask {
    /// Sees to it that the secret is asked for; the handshake goes on once there is an answer.
    pub fn take(self) {
        if let Some(on_demand) = self.of.upgrade() {
            on_demand.follow(&self.name, Some(self.answer));
        }
    }
}

impl OnDemand {
    /// Those of a context whose statistics begin with `owner`.
    pub(super) fn new(
        config: &Arc<OnDemandSecrets>,
        context: &Weak<ServerContext>,
        registry: &Registry,
        owner: &str,
        secrets: &Secrets,
    ) -> Arc<Self> {
        let owner = format!("{owner}on_demand_secret.");
        Arc::new_cyclic(|this| OnDemand {
            config: Arc::clone(config),
            context: Weak::clone(context),
            secrets: secrets.clone(),
            ledger: Ledger::new(registry, &owner),
            stats: OnDemandSecretStats::new(registry, &owner),
            this: Weak::clone(this),
            entries: RwLock::default(),
        })
    }

    /// Asks for what is wanted before any client comes.
    pub(super) fn prefetch(&self) {
        for name in &self.config.prefetch {
            self.follow(name, None);
        }
    }

    /// The certificate for a client that asks for this host, or for none; `None` where there is none. Waits for it as long
    /// as the client does.
    pub(super) async fn certificate(&self, sni: &str, client: &Socket) -> Option<Arc<Own>> {
        let name = self.config.name(sni);
        if let Some(own) = self.find(name) {
            return Some(own);
        }
        let (answer, answered) = oneshot::channel();
        self.secrets.ask(Ask { of: Weak::clone(&self.this), name: name.into(), answer });
        tokio::select! {
            // It is told by dropping the sender.
            _ = answered => self.find(name),
            () = gone(client) => None,
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Own>> {
        self.read().get(name)?.own()
    }

    /// Asks for a secret, unless that has been done. On the control thread.
    fn follow(&self, name: &str, answer: Option<oneshot::Sender<()>>) {
        let mut entries = self.write();
        if let Some(entry) = entries.get_mut(name) {
            return entry.wait(answer);
        }
        if !make_room(&mut entries) {
            // No more than that, since a client could fill the log with it.
            tracing::debug!(target: "config", name, "too many secrets have not come: another is not asked for");
            return;
        }
        let place = Arc::new(Place { on_demand: Weak::clone(&self.this), name: name.into() });
        let slot = self.secrets.dynamic(&self.config.secret(name));
        let follower: Arc<dyn Follow> = Arc::<Place>::clone(&place);
        slot.follow(Arc::downgrade(&follower));
        let secret = slot.secret();
        let mut entry = Entry::new(slot, place, &self.stats);
        // Others may have asked for it already.
        match secret.map(|secret| self.make(&secret)) {
            Some(Ok(made)) => {
                entry.put(made);
                self.stats.cert_updated().inc();
            }
            Some(Err(problem)) => {
                tracing::warn!(target: "config", name, problem, "a secret cannot be used");
            }
            None => {}
        }
        entry.wait(answer);
        entries.insert(name.into(), entry);
    }

    fn make(&self, secret: &Secret) -> Result<Made, String> {
        let SecretContent::Certificate(certificate) = &secret.content else {
            return Err("the secret is no tls_certificate".to_owned());
        };
        let context = self.context.upgrade().ok_or("the listener is gone")?;
        let own = context.own_on_demand(&secret.name, certificate, &self.ledger)?;
        Ok(Made::new(&secret.name, certificate, own))
    }

    fn put(&self, name: &str, made: Made) {
        if let Some(entry) = self.write().get_mut(name) {
            self.stats.cert_updated().inc();
            entry.put(made);
        }
    }

    /// What has come, made anew for a context that is about to be another.
    ///
    /// # Errors
    /// What it would be cannot be used.
    pub(super) fn renewed(
        &self,
        make: impl Fn(&str, &Certificate, &Ledger) -> Result<(Own, Expirations), String>,
    ) -> Result<Vec<(Box<str>, Made)>, String> {
        let entries = self.read();
        let made = entries.iter().filter_map(|(name, entry)| Some((name, entry.made()?)));
        let renewed = made.map(|(name, made)| {
            let own = make(&made.name, &made.certificate, &self.ledger)?;
            Ok((name.clone(), Made::new(&made.name, &made.certificate, own)))
        });
        renewed.collect()
    }

    /// Puts in force what [`renewed`](Self::renewed) made.
    pub(super) fn put_all(&self, renewed: Vec<(Box<str>, Made)>) {
        renewed.into_iter().for_each(|(name, made)| self.put(&name, made));
    }

    /// There is no such secret any more: whoever waits for it is told.
    fn forget(&self, name: &str) {
        let entry = self.write().remove(name);
        if entry.is_some() {
            // As in Envoy that is news, too.
            self.stats.cert_updated().inc();
        }
    }

    // What is behind the lock is whole between any two statements, so a panic elsewhere has left nothing half done.
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follow for Place {
    fn prepare(&self, _: &Slot, secret: &Arc<Secret>) -> Result<Change, String> {
        let Some(on_demand) = self.on_demand.upgrade() else { return Ok(Box::new(|| ())) };
        let made = on_demand.make(secret)?;
        let name = self.name.clone();
        Ok(Box::new(move || on_demand.put(&name, made)))
    }

    fn removed(&self) {
        if let Some(on_demand) = self.on_demand.upgrade() {
            on_demand.forget(&self.name);
        }
    }
}

/// Ready when the client has gone away.
async fn gone(client: &Socket) {
    // One that sends more before it is answered is there, and not looked at again.
    if matches!(client.peek(&mut [0]).await, Ok(1..)) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
