//! The argument of `SECRET`: a secret, by the name that the formatter beside the format gives it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::config::tls::SecretRef;

/// A secret that formats write as it is at the time.
///
/// Whoever owns the resource with the format [binds](Self::bind) it to what is known of the secret. Until then, and
/// until the secret has come, it is not there.
pub struct FormatSecret {
    reference: SecretRef,
    text: OnceLock<Arc<dyn SecretText>>,
}

/// What is known of a secret.
pub trait SecretText: Send + Sync {
    /// Writes its value; nothing where it has none, or has not come.
    fn write(&self, out: &mut Vec<u8>);
}

impl FormatSecret {
    /// One that nobody knows anything of yet.
    pub fn new(reference: SecretRef) -> Self {
        FormatSecret { reference, text: OnceLock::new() }
    }

    /// How it is referred to.
    pub fn reference(&self) -> &SecretRef {
        &self.reference
    }

    /// Whether somebody knows it.
    pub fn is_bound(&self) -> bool {
        self.text.get().is_some()
    }

    /// Takes its value from there from now on. The first counts.
    pub fn bind(&self, text: Arc<dyn SecretText>) {
        self.text.get_or_init(|| text);
    }

    /// Writes its value; nothing where there is none.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Some(text) = self.text.get() {
            text.write(out);
        }
    }
}

/// Two are the same if they refer to the same.
impl PartialEq for FormatSecret {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference
    }
}

/// Without the value.
impl fmt::Debug for FormatSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FormatSecret").field(&self.reference).finish()
    }
}
