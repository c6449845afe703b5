//! What `envoy.config.core.v3.Node` says beside who the proxy is and where it runs, for expressions to look into.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::core::v3;
use envoy_types::pb::envoy::r#type::v3::SemanticVersion;
use envoy_types::pb::xds::core::v3::ContextParams;

use crate::config::cel::{Field, Record};
use crate::config::metadata;

/// Of a node as management servers get it.
pub(super) fn of_node(node: &v3::Node, built: &v3::BuildVersion) -> Record {
    // What else it says of its version Envoy does not keep.
    let version = match &node.user_agent_version_type {
        Some(v3::node::UserAgentVersionType::UserAgentBuildVersion(version)) => version,
        _ => built,
    };
    #[expect(deprecated, reason = "expressions still find them, as in Envoy")]
    let addresses = node.listening_addresses.iter().map(|of| Field::Message(address(of), true));
    Record {
        type_name: "envoy.config.core.v3.Node",
        fields: vec![
            ("user_agent_build_version", Field::Message(build_version(version), true)),
            ("extensions", Field::List(node.extensions.iter().map(extension).collect())),
            ("listening_addresses", Field::List(addresses.collect())),
            ("dynamic_parameters", Field::Map(parameters(&node.dynamic_parameters))),
        ],
    }
}

fn build_version(message: &v3::BuildVersion) -> Record {
    let metadata = message.metadata.clone().map(metadata::to_object);
    Record {
        type_name: "envoy.config.core.v3.BuildVersion",
        fields: vec![
            (
                "version",
                Field::Message(semantic(message.version.unwrap_or_default()), message.version.is_some()),
            ),
            ("metadata", Field::Struct(metadata.unwrap_or_default())),
        ],
    }
}

fn semantic(version: SemanticVersion) -> Record {
    Record {
        type_name: "envoy.type.v3.SemanticVersion",
        fields: vec![
            ("major_number", Field::Uint(version.major_number.into())),
            ("minor_number", Field::Uint(version.minor_number.into())),
            ("patch", Field::Uint(version.patch.into())),
        ],
    }
}

fn extension(message: &v3::Extension) -> Field {
    let version = message.version.clone();
    let is_set = version.is_some();
    let type_urls = message.type_urls.iter().cloned().map(Field::Text).collect();
    #[expect(deprecated, reason = "expressions still find it, as in Envoy")]
    let type_descriptor = message.type_descriptor.clone();
    let record = Record {
        type_name: "envoy.config.core.v3.Extension",
        fields: vec![
            ("name", Field::Text(message.name.clone())),
            ("category", Field::Text(message.category.clone())),
            ("type_descriptor", Field::Text(type_descriptor)),
            ("version", Field::Message(build_version(&version.unwrap_or_default()), is_set)),
            ("disabled", Field::Bool(message.disabled)),
            ("type_urls", Field::List(type_urls)),
        ],
    };
    Field::Message(record, true)
}

fn parameters(messages: &HashMap<String, ContextParams>) -> BTreeMap<String, Field> {
    let record = |message: &ContextParams| {
        let texts = message.params.iter().map(|(key, value)| (key.clone(), Field::Text(value.clone())));
        Record {
            type_name: "xds.core.v3.ContextParams",
            fields: vec![("params", Field::Map(texts.collect()))],
        }
    };
    messages.iter().map(|(name, message)| (name.clone(), Field::Message(record(message), true))).collect()
}

fn address(message: &v3::Address) -> Record {
    use v3::address::Address as Kind;
    let (mut socket, mut pipe, mut internal) = (None, None, None);
    match message.address.clone() {
        Some(Kind::SocketAddress(address)) => socket = Some(address),
        Some(Kind::Pipe(address)) => pipe = Some(address),
        Some(Kind::EnvoyInternalAddress(address)) => internal = Some(address),
        None => {}
    }
    let is_set = (socket.is_some(), pipe.is_some(), internal.is_some());
    Record {
        type_name: "envoy.config.core.v3.Address",
        fields: vec![
            ("socket_address", Field::Message(socket_address(socket.unwrap_or_default()), is_set.0)),
            ("pipe", Field::Message(pipe_address(pipe.unwrap_or_default()), is_set.1)),
            (
                "envoy_internal_address",
                Field::Message(internal_address(internal.unwrap_or_default()), is_set.2),
            ),
        ],
    }
}

fn socket_address(message: v3::SocketAddress) -> Record {
    use v3::socket_address::PortSpecifier;
    let (port, name) = match message.port_specifier {
        Some(PortSpecifier::PortValue(port)) => (port, String::new()),
        Some(PortSpecifier::NamedPort(name)) => (0, name),
        None => (0, String::new()),
    };
    Record {
        type_name: "envoy.config.core.v3.SocketAddress",
        fields: vec![
            ("protocol", Field::Int(message.protocol.into())),
            ("address", Field::Text(message.address)),
            ("port_value", Field::Uint(port.into())),
            ("named_port", Field::Text(name)),
            ("resolver_name", Field::Text(message.resolver_name)),
            ("ipv4_compat", Field::Bool(message.ipv4_compat)),
            ("network_namespace_filepath", Field::Text(message.network_namespace_filepath)),
        ],
    }
}

fn pipe_address(message: v3::Pipe) -> Record {
    let fields = vec![("path", Field::Text(message.path)), ("mode", Field::Uint(message.mode.into()))];
    Record { type_name: "envoy.config.core.v3.Pipe", fields }
}

fn internal_address(message: v3::EnvoyInternalAddress) -> Record {
    use v3::envoy_internal_address::AddressNameSpecifier::ServerListenerName;
    let name = match message.address_name_specifier {
        Some(ServerListenerName(name)) => name,
        None => String::new(),
    };
    let fields =
        vec![("server_listener_name", Field::Text(name)), ("endpoint_id", Field::Text(message.endpoint_id))];
    Record { type_name: "envoy.config.core.v3.EnvoyInternalAddress", fields }
}
