//! One resource: through the conversion that serves traffic, for what is found on the way.

use std::sync::Arc;

use dragoman_proto::Diagnostic;
use dragoman_proto::encode::{self, Options, Unknown};
use dragoman_proto::tree::{self, Node, Position};
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;

use super::finding::{Finding, Severity, split_hint};
use super::input::{Content, Input};
use super::shape::{self, BOOTSTRAP, Piece};
use crate::config::bootstrap::NodeOverrides;
use crate::config::discovered_config::DiscoveredConfig;
use crate::config::extension::{self, Extension, Extensions};
use crate::config::field::{self, Error, ErrorKind, Findings, NoteKind};
use crate::config::listener::DiscoveredChain;
use crate::config::route::ScopedRoute;
use crate::config::tls::Secret;
use crate::config::{Bootstrap, Cluster, Listener, LoadAssignment, RouteConfiguration};

/// Runs the conversion of one type of resource.
type Examine = fn(&[u8], &Extensions) -> Findings;

/// The resources that are served, by the full names of their messages.
const SERVED: [(&str, Examine); 10] = [
    (BOOTSTRAP, bootstrap),
    ("envoy.config.listener.v3.Listener", |bytes, known| {
        field::examine(bytes, known, Listener::from_proto).1
    }),
    ("envoy.config.cluster.v3.Cluster", |bytes, known| field::examine(bytes, known, Cluster::from_proto).1),
    ("envoy.config.route.v3.RouteConfiguration", |bytes, known| {
        field::examine(bytes, known, RouteConfiguration::from_proto).1
    }),
    ("envoy.config.endpoint.v3.ClusterLoadAssignment", |bytes, known| {
        field::examine(bytes, known, LoadAssignment::from_proto).1
    }),
    ("envoy.config.route.v3.ScopedRouteConfiguration", |bytes, known| {
        field::examine(bytes, known, ScopedRoute::from_proto).1
    }),
    (DiscoveredConfig::MESSAGE, |bytes, known| field::examine(bytes, known, DiscoveredConfig::from_proto).1),
    (Secret::MESSAGE, |bytes, known| field::examine(bytes, known, Secret::read_closely).1),
    (DiscoveredChain::MESSAGE, |bytes, known| field::examine(bytes, known, DiscoveredChain::from_proto).1),
    ("envoy.config.route.v3.VirtualHost", |bytes, known| {
        field::examine(bytes, known, RouteConfiguration::read_host).1
    }),
];

/// What dumps show in place of what nobody may see, as a text and as bytes in base64.
const REDACTED: [&str; 2] = ["[redacted]", "W3JlZGFjdGVkXQ=="];

/// Fields that dumps do not show, and of which something is said when they make no sense.
const SENSITIVE: [&str; 4] = ["private_key", "pkcs12", "password", "keys"];

fn bootstrap(bytes: &[u8], extensions: &Extensions) -> Findings {
    // Who the node is may come from the command line; a bootstrap without it is no fault.
    let node = NodeOverrides { id: "node".into(), cluster: "cluster".into(), zone: String::new() };
    field::examine(bytes, extensions, |message, at| Bootstrap::from_proto(message, &node, at)).1
}

/// A resource as it was found, for the checks that look at several.
#[derive(Debug)]
pub(super) struct Resource<'a> {
    /// Full name of its message.
    pub(super) message: String,
    /// The message in protobuf's wire format.
    pub(super) bytes: Vec<u8>,
    origin: Origin<'a>,
}

/// Where a resource stands.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    input: &'a Input,
    node: Option<&'a Node>,
}

impl Resource<'_> {
    /// A finding at a path within it.
    pub(super) fn finding(
        &self,
        severity: Severity,
        id: &'static str,
        path: &str,
        reason: String,
    ) -> Finding {
        self.origin.finding(severity, id, self.label(), path, reason)
    }

    /// Which set it belongs to.
    pub(super) fn set(&self) -> &Arc<str> {
        &self.origin.input.set
    }

    /// Whether the field at a path was left out by the dump that this was found in, so that nothing is known of it.
    fn is_redacted(&self, path: &str) -> bool {
        let last = path.rsplit('.').next().unwrap_or(path);
        let name = last.split('[').next().unwrap_or(last);
        let field = self.origin.node.filter(|_| SENSITIVE.contains(&name));
        let field = field.and_then(|node| tree::locate(&[node], path)).map(|found| found.node);
        field.is_some_and(|field| {
            field
                .entries()
                .iter()
                .any(|entry| entry.value.as_str().is_some_and(|text| REDACTED.contains(&text)))
        })
    }

    /// `cluster "app"`, as findings call it; empty for a bootstrap, of which there is one.
    fn label(&self) -> String {
        label(&self.message, self.origin.node)
    }
}

impl Origin<'_> {
    fn finding(
        self,
        severity: Severity,
        id: &'static str,
        resource: String,
        path: &str,
        reason: String,
    ) -> Finding {
        let found = self.node.and_then(|node| tree::locate(&[node], path));
        let at = found.map_or(Position::default(), |found| found.node.at);
        let (reason, hint) = split_hint(reason);
        Finding { severity, id, resource, hint, ..self.at(at, path, reason) }
    }

    fn at(self, at: Position, path: &str, reason: String) -> Finding {
        let line = if at.line > 0 { at.line + self.input.line_offset } else { 0 };
        Finding::of_source(&self.input.name, Position { line, ..at }, path, reason)
    }
}

/// Every resource of an input, and what is found in each.
pub(super) fn examine<'a>(
    input: &'a Input,
    extensions: &Extensions,
    findings: &mut Vec<Finding>,
) -> Vec<Resource<'a>> {
    match &input.content {
        Content::Bootstrap(bytes) => {
            let origin = Origin { input, node: None };
            let resource = Resource { message: BOOTSTRAP.to_owned(), bytes: bytes.clone(), origin };
            let before = findings.len();
            convert(&resource, extensions, findings, before);
            vec![resource]
        }
        Content::Tree(root) => {
            let pieces = shape::pieces(root);
            if pieces.is_none() {
                let reason = "there is no bootstrap, resource, discovery response or dump here".to_owned();
                findings.push(Origin { input, node: None }.at(root.at, "", reason));
            }
            let examined =
                pieces.into_iter().flatten().map(|piece| from_piece(input, piece, extensions, findings));
            examined.flatten().collect()
        }
    }
}

/// The resource that a piece of a tree stands for, if it can be encoded.
fn from_piece<'a>(
    input: &'a Input,
    piece: Piece<'a>,
    extensions: &Extensions,
    findings: &mut Vec<Finding>,
) -> Option<Resource<'a>> {
    let origin = Origin { input, node: Some(piece.node) };
    let name = label(piece.message, origin.node);
    let before = findings.len();
    let mut say = |severity, id, found: Vec<Diagnostic>| {
        findings.extend(found.into_iter().map(|found| {
            let at = Position { line: found.line, column: found.column };
            let (reason, hint) = split_hint(found.message);
            let resource = name.clone();
            Finding { severity, id, resource, hint, ..origin.at(at, &found.path, reason) }
        }));
    };
    let message = if piece.typed { "google.protobuf.Any" } else { piece.message };
    match dragoman_proto::encode(piece.node, message, &Options { unknown: Unknown::Collect }) {
        Err(errors) => {
            say(Severity::Error, "invalid", errors);
            None
        }
        Ok(encode::Encoded { bytes, warnings, unknown }) => {
            say(Severity::Deprecated, "deprecated", warnings);
            // Of a bootstrap such fields are errors unless a flag says otherwise, of other resources never.
            let severity = if piece.message == BOOTSTRAP { Severity::Error } else { Severity::Unknown };
            say(severity, "unknown-field", unknown);
            let bytes = if piece.typed { Any::decode(bytes.as_slice()).ok()?.value } else { bytes };
            let resource = Resource { message: piece.message.to_owned(), bytes, origin };
            convert(&resource, extensions, findings, before);
            Some(resource)
        }
    }
}

/// Runs the conversion and notes what it finds.
///
/// What was found from `before` on is about the same resource.
fn convert(resource: &Resource<'_>, extensions: &Extensions, findings: &mut Vec<Finding>, before: usize) {
    let found = match SERVED.iter().find(|(message, _)| *message == resource.message) {
        Some((_, examine)) => examine(&resource.bytes, extensions),
        None => fragment(resource, extensions),
    };
    let more = found.more();
    let errors = found.errors().iter().filter(|error| !resource.is_redacted(&error.path));
    let errors = errors.chain(&more).map(|Error { path, message, kind }| {
        let (severity, id) = match kind {
            ErrorKind::Unsupported => (Severity::Unsupported, "unsupported"),
            ErrorKind::Decode | ErrorKind::Apply => (Severity::Error, "invalid"),
        };
        resource.finding(severity, id, path, message.clone())
    });
    findings.extend(errors);
    for note in found.notes() {
        let (severity, id) = match note.kind {
            NoteKind::Ignored => (Severity::Ignored, "ignored"),
            NoteKind::Unknown => (Severity::Unknown, "unknown-field"),
            NoteKind::Deprecated => (Severity::Deprecated, "deprecated"),
        };
        let finding = resource.finding(severity, id, &note.path, note.message.clone());
        // Of its unknown and deprecated fields a text tells itself, by the names that it has for them.
        let path = shape::snake_case(&finding.path);
        let is_told = |other: &Finding| other.id == id && shape::snake_case(&other.path) == path;
        if note.kind == NoteKind::Ignored || !findings[before..].iter().any(is_told) {
            findings.push(finding);
        }
    }
}

/// The configuration of an extension by itself, or a resource that is not served.
fn fragment(resource: &Resource<'_>, extensions: &Extensions) -> Findings {
    let mut findings = Findings::new(extensions);
    let known = extensions.by_category().flat_map(|(_, known)| known);
    let known: Vec<Extension> = known.copied().collect();
    let mut at = findings.scope();
    match extension::find(&resource.message, &known) {
        Some(extension) => {
            at.inspect(&resource.bytes, &resource.message);
            // Only what is found on the way is of interest.
            drop((extension.parse)(&resource.bytes, &mut at));
        }
        None => at.unsupported(format!("{} is not served", resource.message)),
    }
    findings
}

/// `cluster "app"`: the message's last name and the resource's own.
fn label(message: &str, node: Option<&Node>) -> String {
    let kind = match message.rsplit('.').next().unwrap_or(message) {
        "Bootstrap" => return String::new(),
        "RouteConfiguration" => "route configuration",
        "ClusterLoadAssignment" => "load assignment",
        "Listener" => "listener",
        "Cluster" => "cluster",
        "Secret" => "secret",
        "TypedExtensionConfig" => "extension",
        other => other,
    };
    match node.and_then(|node| shape::NAMES.iter().find_map(|key| node.get(key)?.as_str())) {
        Some(name) => format!("{kind} \"{name}\""),
        None => kind.to_owned(),
    }
}
