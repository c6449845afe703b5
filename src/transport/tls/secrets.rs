//! Secrets in use: who brings them and who uses them meet here.
//!
//! A context takes a [`Slot`] for each secret that it refers to, and follows it. Whoever brings secrets offers each to
//! its slot: every follower makes what it will be with the new one, and only when all could, all are changed. So a
//! secret that one of them cannot use is refused as a whole, and the one before stays in force.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::mpsc;

use super::key_log::KeyLog;
use super::on_demand::Ask;
use super::shown::Shown;
use super::{ClientContext, ServerContext};
use crate::config::tls::{CommonTls, Secret, SecretRef};
use crate::observability::access_log::Sinks;

/// A change of a follower that cannot fail any more.
pub(super) type Change = Box<dyn FnOnce()>;

/// Whoever uses secrets.
pub(super) trait Follow: fmt::Debug + Send + Sync {
    /// What changes with this secret in the slot.
    ///
    /// # Errors
    /// Why the secret cannot be used.
    fn prepare(&self, slot: &Slot, secret: &Arc<Secret>) -> Result<Change, String>;

    /// The source has no such secret any more. The one in force stays so, unless it was there for who asked for it alone.
    fn removed(&self) {}
}

/// All secrets in use. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Arc<Book>);

#[derive(Debug, Default)]
struct Book {
    /// `static_resources.secrets`
    fixed: Vec<Arc<Secret>>,
    /// Where logs of keys are written.
    logs: Option<Arc<Sinks>>,
    slots: Mutex<HashMap<String, Vec<Weak<Slot>>>>,
    /// Contexts of listeners, and those for hosts, which whoever reaches the same hosts may share.
    servers: Mutex<Vec<Weak<ServerContext>>>,
    clients: Mutex<HashMap<String, Vec<Weak<ClientContext>>>>,
    /// Where the control thread hears what handshakes ask for.
    asks: OnceLock<mpsc::UnboundedSender<Ask>>,
    version: Arc<AtomicU64>,
}

/// The place of one secret, there as long as somebody uses it.
pub struct Slot {
    reference: SecretRef,
    state: Mutex<State>,
    version: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    secret: Option<Arc<Secret>>,
    settled: bool,
    followers: Vec<Weak<dyn Follow>>,
}

impl Secrets {
    /// With those of the bootstrap, and the files of logs, to which contexts may have to write their keys.
    pub fn new(fixed: Vec<Arc<Secret>>, logs: Arc<Sinks>) -> Self {
        Secrets(Arc::new(Book { fixed, logs: Some(logs), ..Book::default() }))
    }

    /// The log of keys that a context asks for.
    ///
    /// # Errors
    /// Its file cannot be opened.
    pub(super) fn key_log(&self, config: &CommonTls) -> Result<Option<KeyLog>, String> {
        let open = |log| KeyLog::open(log, self.0.logs.as_deref());
        config.key_log.as_ref().map(open).transpose()
    }

    /// Changes whenever a secret is referred to for the first time, or no longer.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// What handshakes ask for, for the control thread. Each is one in progress, so there are no more than connections.
    pub fn receive_asks(&self) -> mpsc::UnboundedReceiver<Ask> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.asks.get_or_init(|| sender);
        receiver
    }

    /// Asks for a certificate. Where nobody hears it, the answer is that there is none.
    pub(super) fn ask(&self, ask: Ask) {
        if let Some(sender) = self.0.asks.get() {
            // A control thread that is gone drops it.
            drop(sender.send(ask));
        }
    }

    /// The secrets in use that come from elsewhere than the bootstrap.
    pub fn slots(&self) -> Vec<Arc<Slot>> {
        let mut slots = lock(&self.0.slots);
        slots.retain(|_, slots| {
            slots.retain(|slot| slot.strong_count() > 0);
            !slots.is_empty()
        });
        slots.values().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Why a secret of the bootstrap cannot be used that is referred to here; none where all can.
    pub fn unknown<'r>(&self, references: impl Iterator<Item = &'r SecretRef>) -> Option<String> {
        let fixed = || self.0.fixed.iter().map(|secret| &**secret);
        let mut referred = references.filter(|reference| reference.source.is_none());
        let unknown = referred.find(|reference| !fixed().any(|secret| reference.is_for(secret)))?;
        Some(unknown.unknown(fixed()))
    }

    /// The certificates of all contexts in force: those of listeners as they came, then those for hosts by their owners.
    pub fn shown(&self) -> Vec<Shown> {
        let servers: Vec<_> = lock(&self.0.servers).iter().filter_map(Weak::upgrade).collect();
        let clients: Vec<_> = {
            let clients = lock(&self.0.clients);
            let mut owners: Vec<_> = clients.iter().collect();
            owners.sort_unstable_by_key(|(owner, _)| *owner);
            owners.into_iter().flat_map(|(_, contexts)| contexts).filter_map(Weak::upgrade).collect()
        };
        let servers = servers.iter().filter_map(|context| context.shown());
        servers.chain(clients.iter().filter_map(|context| context.shown())).collect()
    }

    /// Takes note of the context of a listener.
    pub(super) fn add_server(&self, context: &Arc<ServerContext>) {
        let mut servers = lock(&self.0.servers);
        if servers.len().is_power_of_two() {
            servers.retain(|server| server.strong_count() > 0);
        }
        servers.push(Arc::downgrade(context));
    }

    /// The context for hosts of this owner that is what is wanted.
    pub(super) fn find_client(
        &self,
        owner: &str,
        is_wanted: impl Fn(&Arc<ClientContext>) -> bool,
    ) -> Option<Arc<ClientContext>> {
        let clients = lock(&self.0.clients);
        clients.get(owner)?.iter().filter_map(Weak::upgrade).find(is_wanted)
    }

    /// Lets others share a context for hosts of this owner.
    pub(super) fn add_client(&self, owner: &str, context: &Arc<ClientContext>) {
        let mut clients = lock(&self.0.clients);
        // What is gone is forgotten now and then, so that many clusters are not looked through for each.
        if clients.len().is_power_of_two() {
            clients.retain(|_, contexts| contexts.iter().any(|context| context.strong_count() > 0));
        }
        let contexts = clients.entry(owner.to_owned()).or_default();
        contexts.retain(|context| context.strong_count() > 0);
        contexts.push(Arc::downgrade(context));
    }

    /// The place of a secret.
    ///
    /// # Errors
    /// The bootstrap has no such secret for this purpose.
    pub(super) fn slot(&self, reference: &SecretRef) -> Result<Arc<Slot>, String> {
        match &reference.source {
            Some(_) => Ok(self.dynamic(reference)),
            None => self.fixed(reference),
        }
    }

    fn fixed(&self, reference: &SecretRef) -> Result<Arc<Slot>, String> {
        let secrets = &self.0.fixed;
        let found = secrets.iter().find(|secret| reference.is_for(secret));
        let secret = found.ok_or_else(|| reference.unknown(secrets.iter().map(|secret| &**secret)))?;
        let state = State { secret: Some(Arc::clone(secret)), settled: true, followers: Vec::new() };
        Ok(Arc::new(Slot { reference: reference.clone(), state: Mutex::new(state), version: Arc::default() }))
    }

    /// The place of a secret that comes from elsewhere than the bootstrap.
    pub(super) fn dynamic(&self, reference: &SecretRef) -> Arc<Slot> {
        let from = |reference: &SecretRef| reference.source.as_ref().map(|source| source.from.clone());
        let mut slots = lock(&self.0.slots);
        let slots = slots.entry(reference.name.clone()).or_default();
        let mut known = slots.iter().filter_map(Weak::upgrade);
        let same = |slot: &Arc<Slot>| {
            slot.reference.purpose == reference.purpose && from(&slot.reference) == from(reference)
        };
        if let Some(slot) = known.find(same) {
            return slot;
        }
        let slot = Arc::new(Slot {
            reference: reference.clone(),
            state: Mutex::default(),
            version: Arc::clone(&self.0.version),
        });
        slots.push(Arc::downgrade(&slot));
        self.0.version.fetch_add(1, Ordering::Release);
        slot
    }
}

impl Slot {
    /// How it is referred to.
    pub fn reference(&self) -> &SecretRef {
        &self.reference
    }

    /// Whether nobody need wait for the secret: it is there, or its time is up.
    pub fn is_settled(&self) -> bool {
        lock(&self.state).settled
    }

    /// Lets nobody wait for the secret any longer.
    pub fn settle(&self) {
        lock(&self.state).settled = true;
    }

    /// Puts a secret in force for all who use it.
    ///
    /// # Errors
    /// Why one of them cannot; the one before stays in force for all.
    pub fn offer(&self, secret: &Arc<Secret>) -> Result<(), String> {
        let purpose = self.reference.purpose;
        if !purpose.suits(&secret.content) {
            return Err(format!("the secret is used as a {}, and is none", purpose.field()));
        }
        let followers: Vec<_> = {
            let mut state = lock(&self.state);
            state.followers.retain(|follower| follower.strong_count() > 0);
            state.followers.iter().filter_map(Weak::upgrade).collect()
        };
        let changes = followers.iter().map(|follower| follower.prepare(self, secret));
        let changes: Vec<Change> = changes.collect::<Result<_, _>>()?;
        {
            let mut state = lock(&self.state);
            (state.secret, state.settled) = (Some(Arc::clone(secret)), true);
        }
        changes.into_iter().for_each(|change| change());
        Ok(())
    }

    /// Tells all who use it that the source has no such secret any more.
    pub fn remove(&self) {
        let followers: Vec<_> = lock(&self.state).followers.iter().filter_map(Weak::upgrade).collect();
        followers.iter().for_each(|follower| follower.removed());
    }

    /// The secret in force, if one has come.
    pub(super) fn secret(&self) -> Option<Arc<Secret>> {
        lock(&self.state).secret.clone()
    }

    /// Tells this follower of secrets to come.
    pub(super) fn follow(&self, follower: Weak<dyn Follow>) {
        let followers = &mut lock(&self.state).followers;
        // Those that are gone are forgotten now and then: a secret that stays outlives many contexts.
        if followers.len().is_power_of_two() {
            followers.retain(|follower| follower.strong_count() > 0);
        }
        followers.push(follower);
    }
}

/// What is behind a lock is whole between any two statements, so a panic elsewhere has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("name", &self.reference.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::format::FormatSecret;
    use crate::config::source::{ConfigSource, SourceKind};
    use crate::config::tls::Purpose;

    #[test]
    fn who_does_not_use_a_secret_any_more_is_forgotten() {
        let secrets = Secrets::default();
        let user = || {
            let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
            let name = "word".to_owned();
            let reference = SecretRef { name, source: Some(source), purpose: Purpose::Generic };
            let user = [Arc::new(FormatSecret::new(reference))];
            secrets.serve(&user).expect("a secret that may come");
            user
        };
        let _kept = user();
        let [slot] = &secrets.slots()[..] else { panic!("one secret is wanted") };
        (0..100).for_each(|_| drop(user()));
        let followers = lock(&slot.state).followers.len();
        assert!(followers < 5, "{followers}");
    }
}
