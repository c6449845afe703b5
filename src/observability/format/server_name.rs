//! `REQUESTED_SERVER_NAME`: whom a client asked for.

use std::borrow::Cow;

use crate::base::headers::Known;
use crate::config::format::{HostSource, ServerName};

use super::command::text;
use super::{Context, Given};

pub(super) fn write(from: ServerName, host: HostSource, context: &Context<'_>, out: &mut Vec<u8>) -> Given {
    let sni = Some(&*context.info.connection.requested_server_name).filter(|name| !name.is_empty());
    let sni = sni.map(shown_name);
    let sni = sni.as_deref().map(str::as_bytes);
    let (original, current) = (Known::XEnvoyOriginalHost, Known::Authority);
    let host = match host {
        HostSource::OriginalOrHost => context.request.get(original).or_else(|| context.request.get(current)),
        HostSource::Original => context.request.get(original),
        HostSource::Host => context.request.get(current),
    };
    let name = match from {
        ServerName::SniOnly => sni,
        ServerName::SniFirst => sni.or(host),
        ServerName::HostFirst => host.or(sni),
    };
    text(name, out)
}

/// A name that a client asks for, as it may be shown: the client could write anything else, lines of its own among them.
fn shown_name(name: &str) -> Cow<'_, str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if name.chars().all(is_fine) {
        return Cow::Borrowed(name);
    }
    // As Envoy, which goes byte by byte.
    let shown = |c: char| match c {
        c if is_fine(c) => String::from(c),
        char::REPLACEMENT_CHARACTER => "_".into(),
        c => "_".repeat(c.len_utf8()),
    };
    Cow::Owned(std::iter::once("invalid:".to_owned()).chain(name.chars().map(shown)).collect())
}
