//! Secrets over SDS that cannot be used, of every kind and over every transport: they are refused, and what was in force
//! stays so.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dragoman_xds::{Server, load_str};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::common::Proxy;
use super::secrets::{run, with_cluster};
use super::secure::{Secure, pem, trusting};
use super::setup::{PATIENCE, Plane, Upstream, Variant, bootstrap, cluster, listener, routes_to};

/// The secrets that a listener refers to, each as its `tls_certificate`, `validation_context` or `session_ticket_keys`.
const NAMES: [&str; 3] = ["web", "trusted", "keys"];

fn text(name: &str) -> String {
    std::fs::read_to_string(pem(name)).unwrap()
}

/// The beginning of a file, of which the rest is lost.
fn cut(name: &str) -> String {
    text(name)[..200].to_owned()
}

/// A source of data.
fn inline(text: &str) -> String {
    format!("{{inline_string: {}}}", serde_json::to_string(text).unwrap())
}

fn certificate(chain: &str, key: &str, password: &str) -> String {
    let (chain, key, password) = (inline(chain), inline(key), inline(password));
    format!("tls_certificate: {{certificate_chain: {chain}, private_key: {key}, password: {password}}}")
}

fn trust(authority: &str, crl: &str) -> String {
    let crl = if crl.is_empty() { String::new() } else { format!(", crl: {}", inline(crl)) };
    format!("validation_context: {{trusted_ca: {}{crl}}}", inline(authority))
}

fn ticket_keys(bytes: usize) -> String {
    format!("session_ticket_keys: {{keys: [{}]}}", inline(&"k".repeat(bytes)))
}

/// The content of each secret as it is good.
fn good() -> [String; 3] {
    [certificate(&text("server.pem"), &text("server.key"), ""), trust(&text("ca.pem"), ""), ticket_keys(80)]
}

/// What is wrong, the secret that it is in, its content, and what the refusal says.
fn bad() -> Vec<(&'static str, usize, String, &'static str)> {
    let (chain, key) = (&text("server.pem"), &text("server.key"));
    let mismatch = certificate(&text("second.pem"), key, "");
    vec![
        ("a key of another certificate", 0, mismatch, "KEY_VALUES_MISMATCH"),
        (
            "a chain cut off",
            0,
            certificate(&cut("server.pem"), key, ""),
            "Failed to load certificate chain from",
        ),
        ("a key cut off", 0, certificate(chain, &cut("server.key"), ""), "Failed to load private key from"),
        ("a chain that is none", 0, certificate("garbage", key, ""), "Failed to load certificate chain from"),
        ("a wrong password", 0, certificate(chain, &text("server-sealed.key"), "wrong"), "BAD_DECRYPT"),
        ("no password", 0, certificate(chain, &text("server-sealed.key"), ""), "BAD_PASSWORD_READ"),
        ("an authority that is none", 1, trust("garbage", ""), "Failed to load trusted CA certificates from"),
        ("an authority cut off", 1, trust(&cut("ca.pem"), ""), "Failed to load trusted CA certificates from"),
        ("a list that is none", 1, trust(&text("ca.pem"), "garbage"), "Failed to load CRL from"),
        ("a list cut off", 1, trust(&text("ca.pem"), &cut("revoked.crl.pem")), "Failed to load CRL from"),
        ("ticket keys too short", 2, ticket_keys(79), "Incorrect TLS session ticket key length"),
        ("ticket keys too long", 2, ticket_keys(81), "Incorrect TLS session ticket key length"),
    ]
}

/// A secret as a resource.
fn resource(index: usize, content: &str) -> String {
    format!(
        "{{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: {}, {content}}}",
        NAMES[index]
    )
}

/// All three, as a management server has them.
fn listed(contents: &[String; 3]) -> String {
    (0..3).map(|index| format!("- {}\n", resource(index, &contents[index]))).collect()
}

/// A listener with TLS, all of whose secrets come from where `source` says for their names.
fn secured(source: impl Fn(&str) -> String) -> String {
    let listener = listener("");
    let chain = "  - filters:\n";
    assert!(listener.contains(chain));
    let [web, trusted, keys] = NAMES.map(|name| format!("{{name: {name}, sds_config: {}}}", source(name)));
    let socket = format!(
        "  - transport_socket:\n      name: envoy.transport_sockets.tls\n      typed_config:\n        '@type': \
         type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\n        \
         require_client_certificate: true\n        disable_stateful_session_resumption: true\n        \
         session_ticket_keys_sds_secret_config: {keys}\n        common_tls_context: \
         {{tls_certificate_sds_secret_configs: [{web}], validation_context_sds_secret_config: {trusted}}}\n    \
         filters:\n"
    );
    listener.replace(chain, &socket)
}

fn client(name: &str) -> Arc<ClientConfig> {
    let chain = vec![CertificateDer::from_pem_file(pem(&format!("{name}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).unwrap();
    Arc::new(trusting().with_client_auth_cert(chain, key).unwrap())
}

/// Whether a client is served.
fn is_served(proxy: &Proxy, client: &Arc<ClientConfig>) -> bool {
    Secure::greet(proxy, client).and_then(|mut secure| secure.get()).is_ok()
}

/// Offers each of the bad secrets in its turn; `refuse` gives the reason for which the proxy refuses it, and `accept` waits
/// until the good one is there again.
fn check(
    proxy: &Proxy,
    refuse: impl Fn(usize, &[String; 3]) -> String,
    accept: impl Fn(usize, &[String; 3]),
) {
    let (known, stranger) = (client("client"), client("stranger"));
    assert!(is_served(proxy, &known) && !is_served(proxy, &stranger));
    for (what, index, content, expected) in bad() {
        let mut contents = good();
        contents[index] = content;
        let reason = refuse(index, &contents);
        assert!(reason.contains(expected), "{what}: {reason}");
        let mut after = Secure::greet(proxy, &known).unwrap();
        assert!(after.is_resumed(), "{what}: sessions end only with what they began with");
        assert_eq!((after.shown(), after.get().unwrap().as_str()), ("server", "HTTP/1.1 200"), "{what}");
        assert!(!is_served(proxy, &stranger), "{what}");
        accept(index, &good());
    }
}

#[test]
fn what_cannot_be_used_is_refused_over_ads() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let up = Upstream::named("up");
        let rest = [cluster("up", &up), routes_to("up"), secured(|_| "{ads: {}}".to_owned())].concat();
        let all = |secrets: &[String; 3]| rest.clone() + &listed(secrets);
        let plane = Plane::with(&all(&good()));
        let (proxy, _directory) = super::setup::start(&plane, variant);
        let refuse = |_, secrets: &[String; 3]| plane.set(&all(secrets)).unwrap_err().to_string();
        check(&proxy, refuse, |_, secrets| plane.set(&all(secrets)).unwrap());
    }
}

#[test]
fn what_cannot_be_used_is_refused_over_a_unix_socket() {
    let up = Upstream::named("up");
    for (variant, api_type) in [(Variant::Sotw, "GRPC"), (Variant::Delta, "DELTA_GRPC")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address: dragoman_xds::Address = format!("unix:{}", path.display()).parse().unwrap();
        let secrets = load_str(&listed(&good())).unwrap();
        let agent = Plane::start(Server::builder().resources(secrets).listen(address));
        let source = |_: &str| {
            format!(
                "{{api_config_source: {{api_type: {api_type}, transport_api_version: V3, grpc_services: [{{envoy_grpc: \
                 {{cluster_name: agent}}}}]}}}}"
            )
        };
        let plane = Plane::with(&[cluster("up", &up), routes_to("up"), secured(source)].concat());
        let pipe = format!("{{pipe: {{path: '{}'}}}}", path.display());
        let (proxy, _directory) = run(&with_cluster(&bootstrap(&plane, variant), "agent", &pipe, ""));
        let refuse = |_, secrets: &[String; 3]| agent.set(&listed(secrets)).unwrap_err().to_string();
        check(&proxy, refuse, |_, secrets| agent.set(&listed(secrets)).unwrap());
    }
}

/// Writes the secrets into a folder of their own, and leads `current` there.
fn mount(folder: &Path, version: usize, secrets: &[String; 3]) {
    let inner = folder.join(version.to_string());
    std::fs::create_dir(&inner).unwrap();
    for (index, name) in NAMES.iter().enumerate() {
        let secret = format!("resources: [{}]", resource(index, &secrets[index]));
        std::fs::write(inner.join(format!("{name}.yaml")), secret).unwrap();
    }
    let fresh = folder.join("fresh");
    symlink(version.to_string(), &fresh).unwrap();
    std::fs::rename(fresh, folder.join("current")).unwrap();
}

/// How often something has happened.
fn count(proxy: &Proxy, stat: &str) -> usize {
    let line = String::from_utf8(proxy.get(&format!("/stats?filter=^{stat}$")).unwrap().body).unwrap();
    line.trim().rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn await_more(proxy: &Proxy, stat: &str, before: usize) {
    let deadline = Instant::now() + PATIENCE;
    while count(proxy, stat) <= before {
        assert!(Instant::now() < deadline, "{stat} stays {before}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_from_files_whose_directory_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let versions = std::cell::Cell::new(0);
    let write = |secrets: &[String; 3]| {
        versions.set(versions.get() + 1);
        mount(folder.path(), versions.get(), secrets);
    };
    write(&good());
    let up = Upstream::named("up");
    let path = folder.path().display();
    let source = |name: &str| {
        format!(
            "{{path_config_source: {{path: '{path}/current/{name}.yaml', watched_directory: {{path: '{path}'}}}}}}"
        )
    };
    let plane = Plane::with(&[cluster("up", &up), routes_to("up"), secured(source)].concat());
    let (proxy, _directory) = super::setup::start(&plane, Variant::Delta);
    let refuse = |index: usize, secrets: &[String; 3]| {
        let stat = format!("sds.{}.update_rejected", NAMES[index]);
        let before = count(&proxy, &stat);
        write(secrets);
        await_more(&proxy, &stat, before);
        String::from_utf8(proxy.get("/config_dump").unwrap().body).unwrap()
    };
    check(&proxy, refuse, |index, secrets| {
        let stat = format!("sds.{}.update_attempt", NAMES[index]);
        let before = count(&proxy, &stat);
        write(secrets);
        await_more(&proxy, &stat, before);
    });
}
