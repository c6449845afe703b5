//! Resources from a file that holds a `DiscoveryResponse`: `path_config_source`.
//!
//! The file is read at once and whenever it is moved into place. A file that cannot be read or understood changes
//! nothing. What happens to its content after that is what happens to a response of a server that listens to
//! no answers, so the same state machine does it.

use std::path::PathBuf;

use dragoman_proto::encode::Unknown;
use dragoman_proto::{Diagnostic, encode, encode_text, tree};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::ads::Ads;
use super::handle::Order;
use super::message::{Event, Notice, SubscriptionId};
use super::sotw::Sotw;
use super::stream::{now, until};
use super::watch::Watch;
use crate::config::watched::WatchedDirectory;
use crate::observability::stats::server::ServerStats;

const MESSAGE: &str = "envoy.service.discovery.v3.DiscoveryResponse";

/// Where the file is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// The directory that is watched instead of the file.
    pub(super) watched_directory: Option<WatchedDirectory>,
    /// What becomes of unknown fields.
    pub(super) unknown_fields: UnknownFields,
    /// Where they are counted.
    pub(super) stats: ServerStats,
}

/// What becomes of fields in a text that the API does not have. Those in binary files are found with the others of their
/// resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// The file is refused: `--reject-unknown-dynamic-fields`.
    Reject,
    /// They are left out; the text is counted and logged once, as by Envoy.
    #[default]
    Tell,
    /// They are left out: `--ignore-unknown-dynamic-fields`.
    Ignore,
}

/// Serves until the subscription ends.
pub(super) async fn run(
    source: Source,
    mut orders: mpsc::UnboundedReceiver<Order>,
    notices: mpsc::Sender<Notice>,
) {
    // The watch comes first, so that no move falls between reading and watching.
    let mut watch = Watch::new(&source.path, source.watched_directory.as_ref());
    let Some(Order::Subscribe { id, type_url, interest, fetch_timeout }) = orders.recv().await else {
        return;
    };
    let mut state = Ads::new(Node::default(), false);
    state.connect();
    state.subscribe(id, &type_url, interest, fetch_timeout, now());
    let mut file = File { source, id, type_url, state, notices, content: None };
    file.tell(Event::Connected).await;
    file.read().await;
    loop {
        let deadline = file.state.next_deadline().map(Instant::from_std);
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => file.obey(order).await,
                None => return,
            },
            () = until(deadline) => {
                for notice in file.state.expire(now()) {
                    file.tell(notice.event).await;
                }
            }
            () = watch.moved() => file.read().await,
        }
    }
}

struct File {
    source: Source,
    id: SubscriptionId,
    type_url: String,
    state: Ads<Sotw>,
    notices: mpsc::Sender<Notice>,
    /// What was read last, for names that are wanted later.
    content: Option<DiscoveryResponse>,
}

impl File {
    async fn obey(&mut self, order: Order) {
        match order {
            Order::SetNames { id, names } => {
                self.state.set_names(id, names, now());
                self.deliver().await;
            }
            Order::Settle { id, token, verdict } => self.state.settle(id, token, verdict),
            // The first order was the only one to subscribe; and the last handle closes the channel.
            Order::Subscribe { .. } | Order::Unsubscribe { .. } => {}
        }
    }

    async fn read(&mut self) {
        match load(&self.source.path, self.source.unknown_fields).await {
            Ok(Content { response: content, unknown }) => {
                self.tell_unknown(&unknown);
                self.content = Some(DiscoveryResponse { type_url: self.type_url.clone(), ..content });
                self.deliver().await;
            }
            Err(error) => {
                tracing::warn!(path = %self.source.path.display(), error, "the file cannot be used");
                self.tell(Event::Rejected { version: String::new(), error }).await;
            }
        }
    }

    fn tell_unknown(&self, unknown: &[String]) {
        if unknown.is_empty() || self.source.unknown_fields == UnknownFields::Ignore {
            return;
        }
        self.source.stats.dynamic_unknown_fields().inc();
        tracing::warn!(target: "config", "{}:{}", self.source.path.display(), unknown.join("; "));
    }

    async fn deliver(&mut self) {
        let Some(content) = self.content.clone() else { return };
        if let Some(notice) = self.state.receive(content, now()) {
            self.tell(notice.event).await;
        }
        // A file takes no answers.
        while self.state.next_request().is_some() {}
    }

    async fn tell(&self, event: Event) {
        // Whoever does not listen does not want to know.
        drop(self.notices.send(Notice { subscription: self.id, event }).await);
    }
}

/// A file that was understood.
#[derive(Debug, Default)]
struct Content {
    response: DiscoveryResponse,
    /// Fields that were left out.
    unknown: Vec<String>,
}

async fn load(path: &std::path::Path, unknown_fields: UnknownFields) -> Result<Content, String> {
    let name = path.display();
    let bytes = tokio::fs::read(path).await.map_err(|error| format!("cannot read {name}: {error}"))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    // A large text takes long to understand, and this thread has others to answer.
    let parsed = tokio::task::spawn_blocking(move || parse(bytes, &extension, unknown_fields)).await;
    let parsed = parsed.unwrap_or_else(|error| Err(format!(" cannot be understood: {error}")));
    parsed.map_err(|error| format!("{name}:{error}"))
}

/// The message in a file with this extension: as for Envoy, what is not known is JSON.
fn parse(bytes: Vec<u8>, extension: &str, unknown_fields: UnknownFields) -> Result<Content, String> {
    let (bytes, unknown) = match extension {
        "pb" => (bytes, Vec::new()),
        _ => {
            let text = String::from_utf8(bytes).map_err(|error| format!(" not UTF-8: {error}"))?;
            encoded(&text, extension, unknown_fields)?
        }
    };
    let response = DiscoveryResponse::decode(&bytes[..]);
    let response = response.map_err(|error| format!(" not a DiscoveryResponse: {error}"))?;
    Ok(Content { response, unknown })
}

/// The message of a text, and the fields that were left out.
fn encoded(
    text: &str,
    extension: &str,
    unknown_fields: UnknownFields,
) -> Result<(Vec<u8>, Vec<String>), String> {
    let document = match extension {
        "pb_text" => {
            let bytes = encode_text(text, MESSAGE).map_err(|error| error.to_string())?;
            return Ok((bytes, Vec::new()));
        }
        "yaml" | "yml" => tree::parse_yaml(text),
        _ => tree::parse_json(text),
    };
    let document = document.map_err(|error| error.to_string())?;
    let unknown = match unknown_fields {
        UnknownFields::Reject => Unknown::Reject,
        UnknownFields::Tell | UnknownFields::Ignore => Unknown::Collect,
    };
    let told = |found: Vec<Diagnostic>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    match encode(&document.root, MESSAGE, &encode::Options { unknown }) {
        Ok(encoded) => Ok((encoded.bytes, told(encoded.unknown))),
        Err(errors) => Err(told(errors).join("; ")),
    }
}

#[cfg(test)]
mod tests;
