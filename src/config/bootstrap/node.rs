//! `envoy.config.core.v3.Node` to [`Node`].

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
use envoy_types::pb::google::protobuf as pb;
use prost::Message as _;

use super::{Node, NodeOverrides, node_record};
use crate::config::endpoint::Locality;
use crate::config::extension::Extensions;
use crate::config::field::{Scope, open};
use crate::config::metadata;

/// What a management server that knows Envoy looks for.
const USER_AGENT_NAME: &str = "envoy";

/// The version of Envoy whose configuration is understood.
const ENVOY_VERSION: SemanticVersion = SemanticVersion { major_number: 1, minor_number: 40, patch: 0 };

/// What this client can do: resources of a SotW response may be wrapped in a `Resource`.
const CLIENT_FEATURES: [&str; 1] = ["xds.config.resource-in-sotw"];

impl Node {
    /// From its proto, the command line's words put in.
    pub(super) fn from_proto(mut message: v3::Node, overrides: &NodeOverrides, at: &mut Scope<'_>) -> Self {
        let NodeOverrides { id, cluster, zone } = overrides;
        for (word, place) in [(id, &mut message.id), (cluster, &mut message.cluster)] {
            if !word.is_empty() {
                place.clone_from(word);
            }
        }
        if !zone.is_empty() {
            message.locality.get_or_insert_default().zone.clone_from(zone);
        }
        let sent = to_be_sent(message.clone(), at.extensions());
        open! { at, v3::Node = message;
            implemented {
                id, cluster, metadata, locality, dynamic_parameters, user_agent_name, user_agent_version_type,
                extensions, client_features, listening_addresses,
            }
        }
        // Management servers get these, and expressions look into them as they do.
        drop((dynamic_parameters, user_agent_version_type, extensions, listening_addresses));
        Node {
            id,
            cluster,
            locality: at.message("locality", locality, Locality::from_proto).unwrap_or_default(),
            metadata: metadata.map(metadata::to_object).unwrap_or_default(),
            user_agent_name: if user_agent_name.is_empty() {
                USER_AGENT_NAME.to_owned()
            } else {
                user_agent_name
            },
            client_features,
            record: node_record::of_node(&sent, &build_version()),
            bytes: sent.encode_to_vec().into(),
        }
    }
}

/// The message as management servers get it: the configured one, and who we are.
fn to_be_sent(mut message: v3::Node, extensions: &Extensions) -> v3::Node {
    if message.user_agent_name.is_empty() {
        USER_AGENT_NAME.clone_into(&mut message.user_agent_name);
    }
    if message.user_agent_version_type.is_none() {
        message.user_agent_version_type =
            Some(v3::node::UserAgentVersionType::UserAgentBuildVersion(build_version()));
    }
    for feature in CLIENT_FEATURES {
        if !message.client_features.iter().any(|known| known == feature) {
            message.client_features.push(feature.to_owned());
        }
    }
    message.extensions = extensions
        .by_category()
        .flat_map(|(category, known)| known.iter().map(move |extension| (category, extension)))
        .map(|(category, extension)| v3::Extension {
            name: extension.name.to_owned(),
            category: category.to_owned(),
            type_urls: vec![extension.type_name.to_owned()],
            ..v3::Extension::default()
        })
        .collect();
    message
}

fn build_version() -> v3::BuildVersion {
    let version =
        pb::Value { kind: Some(pb::value::Kind::StringValue(env!("CARGO_PKG_VERSION").to_owned())) };
    v3::BuildVersion {
        version: Some(ENVOY_VERSION),
        metadata: Some(pb::Struct { fields: [("dragoman.version".to_owned(), version)].into() }),
    }
}

#[cfg(test)]
mod tests {
    use dragoman_proto::{encode, tree};

    use super::*;
    use crate::config::field;

    #[test]
    fn management_servers_get_the_node_as_configured_and_what_this_program_knows() {
        let yaml = "{id: a, cluster: b, metadata: {team: web}, locality: {region: r, zone: z, sub_zone: s}, \
            dynamic_parameters: {p: {params: {q: w}}}, user_agent_name: me, user_agent_version: '7', \
            extensions: [{name: theirs}], client_features: [f], \
            listening_addresses: [{socket_address: {address: 127.0.0.1, port_value: 80}}]}";
        let document = tree::parse_yaml(yaml).expect("YAML");
        let message = "envoy.config.core.v3.Node";
        let bytes = encode(&document.root, message, &encode::Options::default()).expect("a message").bytes;
        let configured = v3::Node::decode(bytes.as_slice()).expect("a node");
        let overrides = NodeOverrides::default();
        let node = field::read(&Extensions::BUILT_IN, |at| {
            Some(Node::from_proto(configured.clone(), &overrides, at))
        });
        let (node, _) = node.expect("a node");
        assert_eq!((node.id.as_str(), node.cluster.as_str()), ("a", "b"));
        assert_eq!(node.locality.sub_zone, "s");
        let mut sent = v3::Node::decode(node.bytes).expect("a node");
        // What the program can do takes the place of what is said of it.
        assert!(sent.extensions.iter().any(|extension| extension.name == "envoy.filters.http.router"));
        sent.extensions.clone_from(&configured.extensions);
        assert_eq!(sent.client_features, ["f", "xds.config.resource-in-sotw"]);
        sent.client_features.clone_from(&configured.client_features);
        assert_eq!(sent, configured);
    }
}
