//! Secrets that formats write: each as it is at the time.

use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;

use super::secrets::{Change, Follow, Secrets, Slot};
use crate::config::format::{FormatSecret, SecretText};
use crate::config::tls::{Secret, SecretContent};

/// A secret in force, wanted as long as a format has it.
struct Current {
    secret: ArcSwapOption<Secret>,
    slot: Arc<Slot>,
    this: Weak<Self>,
}

impl Secrets {
    /// Lets formats write these secrets, those that come as well as those of the bootstrap.
    ///
    /// # Errors
    /// The bootstrap has no such secret.
    pub fn serve(&self, secrets: &[Arc<FormatSecret>]) -> Result<(), String> {
        for secret in secrets.iter().filter(|secret| !secret.is_bound()) {
            secret.bind(Current::new(self.slot(secret.reference())?));
        }
        Ok(())
    }
}

impl Current {
    fn new(slot: Arc<Slot>) -> Arc<Self> {
        let current =
            Arc::new_cyclic(|this| Current { secret: ArcSwapOption::empty(), slot, this: Weak::clone(this) });
        let follower: Weak<Self> = Arc::downgrade(&current);
        current.slot.follow(follower);
        current.secret.store(current.slot.secret());
        current
    }
}

impl SecretText for Current {
    fn write(&self, out: &mut Vec<u8>) {
        if let Some(secret) = &*self.secret.load()
            && let SecretContent::Generic(text) = &secret.content
        {
            out.extend_from_slice(text);
        }
    }
}

impl Follow for Current {
    fn prepare(&self, _: &Slot, secret: &Arc<Secret>) -> Result<Change, String> {
        let (this, secret) = (Weak::clone(&self.this), Arc::clone(secret));
        Ok(Box::new(move || {
            if let Some(this) = this.upgrade() {
                this.secret.store(Some(secret));
            }
        }))
    }
}

/// Without the secret.
impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(&self.slot).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::source::{ConfigSource, SourceKind};
    use crate::config::tls::{Purpose, SecretRef};

    fn secret(name: &str, text: &'static str) -> Arc<Secret> {
        let content = SecretContent::Generic(text.into());
        Arc::new(Secret { name: name.into(), content, message: Default::default(), watched: Vec::new() })
    }

    fn format_secret(name: &str, source: Option<ConfigSource>) -> [Arc<FormatSecret>; 1] {
        let reference = SecretRef { name: name.into(), source, purpose: Purpose::Generic };
        [Arc::new(FormatSecret::new(reference))]
    }

    fn written(secret: &FormatSecret) -> String {
        let mut out = Vec::new();
        secret.write(&mut out);
        String::from_utf8(out).expect("a text")
    }

    #[test]
    fn secrets_that_the_bootstrap_does_not_have_are_refused() {
        let secrets = Secrets::default();
        let unknown =
            "envoy.formatter.generic_secret: secret 'other' not found in static bootstrap resources";
        assert_eq!(secrets.serve(&format_secret("other", None)), Err(unknown.to_owned()));
    }

    #[test]
    fn what_comes_is_written_and_what_is_gone_is_wanted_no_longer() {
        let secrets = Secrets::default();
        let source = ConfigSource { from: SourceKind::Ads, initial_fetch_timeout: Duration::ZERO };
        let discovered = format_secret("word", Some(source));
        assert_eq!(written(&discovered[0]), "");
        assert_eq!(secrets.serve(&discovered), Ok(()));
        let [slot] = &secrets.slots()[..] else { panic!("one secret is wanted") };
        assert_eq!(slot.offer(&secret("word", "first")), Ok(()));
        assert_eq!(written(&discovered[0]), "first");
        assert_eq!(slot.offer(&secret("word", "second")), Ok(()));
        assert_eq!(written(&discovered[0]), "second");
        drop(discovered);
        assert_eq!(Arc::strong_count(slot), 1);
    }
}
