//! Certificates that handshakes ask for over the stream that all others come over: they change, are taken back while they
//! are in use, and come again. The same against dragoman and against Envoy.

use std::time::Instant;

use dragoman_xds::{Resource, Server, load_str};

use super::common::Proxy;
use super::secure::{Secure, pem};
use super::setup::{PATIENCE, Plane, Upstream, cluster, listener, routes_to, with_each};

/// The host that clients ask for, and so the secret's name.
const NAME: &str = "server.example";

/// A listener whose certificate comes once it is asked for, and that certificate if there is one.
fn resources(up: &Upstream, certificate: Option<&str>) -> Vec<Resource> {
    const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls";
    let chain = "  - filters:\n";
    let socket = format!(
        "  - transport_socket:\n      name: envoy.transport_sockets.tls\n      typed_config:\n        '@type': \
         {EXTENSIONS}.v3.DownstreamTlsContext\n        disable_stateless_session_resumption: true\n        \
         disable_stateful_session_resumption: true\n        common_tls_context: \
         {{custom_tls_certificate_selector: {{name: on-demand, typed_config: {{'@type': \
         {EXTENSIONS}.cert_selectors.on_demand_secret.v3.Config, config_source: {{ads: {{}}}}, certificate_mapper: \
         {{name: sni, typed_config: {{'@type': {EXTENSIONS}.cert_mappers.sni.v3.SNI, default_value: none}}}}}}}}}}\n    \
         filters:\n"
    );
    let listener = listener("").replace(chain, &socket);
    assert!(listener.contains("on-demand"));
    let secret = certificate.map(|file| {
        let (chain, key) = (pem(&format!("{file}.pem")), pem(&format!("{file}.key")));
        format!(
            "- {{'@type': {EXTENSIONS}.v3.Secret, name: {NAME}, tls_certificate: {{certificate_chain: {{filename: '{}'}}, \
             private_key: {{filename: '{}'}}}}}}\n",
            chain.display(),
            key.display()
        )
    });
    let rest = [cluster("up", up), routes_to("up"), listener].concat();
    let all = load_str(&(rest + &secret.unwrap_or_default())).unwrap();
    all.into_iter().map(|one| if &*one.name == NAME { one.only_by_name() } else { one }).collect()
}

/// The certificate that the next client is shown; `None` where it cannot connect.
fn shown(proxy: &Proxy) -> Option<&'static str> {
    Secure::connect(proxy).ok().map(|client| client.shown())
}

/// Waits until the next client is shown this. Workers of Envoy hear of it later than the management server does.
fn until_shown(proxy: &Proxy, wanted: Option<&str>) {
    let end = Instant::now() + PATIENCE;
    while shown(proxy) != wanted {
        assert!(Instant::now() < end, "not shown: {wanted:?}\n{}", proxy.log());
    }
}

#[test]
fn a_certificate_that_is_asked_for_changes_is_taken_back_while_it_is_used_and_comes_again() {
    with_each(|start| {
        let up = Upstream::named("up");
        let plane = Plane::start(Server::builder().resources(resources(&up, Some("server"))));
        let (proxy, _directory) = start(&plane);
        let mut first = Secure::connect(&proxy).unwrap();
        assert_eq!(first.shown(), "server");
        plane.publish(resources(&up, Some("second"))).unwrap();
        until_shown(&proxy, Some("second"));
        plane.publish(resources(&up, None)).unwrap();
        until_shown(&proxy, None);
        assert_eq!(first.get().unwrap(), "HTTP/1.1 200", "who has been shown it stays");
        plane.publish(resources(&up, Some("server"))).unwrap();
        until_shown(&proxy, Some("server"));
    });
}
