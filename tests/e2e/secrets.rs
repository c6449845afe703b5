//! Secrets over SDS: in force while connections stay, whatever becomes of them.

use std::sync::Arc;

use dragoman_xds::{Server, load_str};
use rustls::pki_types::CertificateDer;

use super::common::Proxy;
use super::secure::{Secure, pem};
use super::setup::{
    PATIENCE, Plane, Upstream, Variant, bootstrap, cluster, listener, routes_to, start, start_program,
};

/// Rotations under requests.
const ROTATIONS: usize = 60;

/// The secret `web` with the certificate of this name and the key of that.
fn secret(certificate: &str, key: &str) -> String {
    format!(
        "- {{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: web, tls_certificate: \
         {{certificate_chain: {{filename: '{}'}}, private_key: {{filename: '{}'}}}}}}\n",
        pem(&format!("{certificate}.pem")).display(),
        pem(&format!("{key}.key")).display(),
    )
}

/// The listener with TLS, its certificate the secret `web` from this source.
fn secured(source: &str) -> String {
    let listener = listener("");
    let chain = "  - filters:\n";
    assert!(listener.contains(chain));
    let socket = format!(
        "  - transport_socket:\n      name: envoy.transport_sockets.tls\n      typed_config:\n        '@type': \
         type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\n        \
         common_tls_context: {{tls_certificate_sds_secret_configs: [{{name: web, sds_config: {source}}}]}}\n    \
         filters:\n"
    );
    listener.replace(chain, &socket)
}

/// The line of a statistic.
fn stat(proxy: &Proxy, name: &str) -> String {
    String::from_utf8(proxy.get(&format!("/stats?filter=^{name}$")).unwrap().body).unwrap()
}

fn resources(up: &Upstream, more: &[String]) -> String {
    [cluster("up", up), routes_to("up"), secured("{ads: {}}"), more.concat()].concat()
}

#[test]
fn a_certificate_is_swapped_for_who_comes_while_connections_stay() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let up = Upstream::named("up");
        let plane = Plane::with(&resources(&up, &[secret("server", "server")]));
        let (proxy, _directory) = start(&plane, variant);
        let mut before = Secure::connect(&proxy).unwrap();
        assert_eq!(
            (before.shown(), before.get().unwrap().as_str()),
            ("server", "HTTP/1.1 200"),
            "{variant:?}"
        );
        plane.set(&resources(&up, &[secret("second", "second")])).unwrap();
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "second", "{variant:?}");
        assert_eq!(before.get().unwrap(), "HTTP/1.1 200", "{variant:?}");
    }
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_and_the_one_before_stays() {
    for variant in [Variant::Sotw, Variant::Delta] {
        let up = Upstream::named("up");
        let plane = Plane::with(&resources(&up, &[secret("server", "server")]));
        let (proxy, _directory) = start(&plane, variant);
        let nack = plane.set(&resources(&up, &[secret("second", "server")])).unwrap_err().to_string();
        assert!(nack.contains("web: ") && nack.contains("KEY_VALUES_MISMATCH"), "{nack}");
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "server", "{variant:?}");
        plane.set(&resources(&up, &[secret("second", "second")])).unwrap();
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "second", "{variant:?}");
    }
}

#[test]
fn a_listener_waits_for_its_secret_and_serves_once_it_is_there() {
    let up = Upstream::named("up");
    let plane = Plane::with(&[cluster("up", &up), routes_to("up"), listener("")].concat());
    let (proxy, _directory) = start(&plane, Variant::Delta);
    // The plane is content with a listener that warms; what it replaces serves on.
    plane.set(&resources(&up, &[])).unwrap();
    assert_eq!(super::setup::Client::connect(&proxy).get("/"), "up");
    let dump = String::from_utf8(proxy.get("/init_dump").unwrap().body).unwrap();
    assert!(dump.contains("init manager Listener-local-init-manager web"), "{dump}");
    assert!(dump.contains("shared target SdsApi web"), "{dump}");
    plane.set(&resources(&up, &[secret("server", "server")])).unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut secure = loop {
        match Secure::connect(&proxy) {
            Ok(secure) => break secure,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!((secure.shown(), secure.get().unwrap().as_str()), ("server", "HTTP/1.1 200"));
}

#[test]
fn certificates_rotate_under_requests_and_none_fails() {
    let up = Upstream::named("up");
    let plane = Plane::with(&resources(&up, &[secret("server", "server")]));
    let (proxy, _directory) = start(&plane, Variant::Delta);
    let (stop, proxy) = (std::sync::atomic::AtomicBool::new(false), &proxy);
    let running = || !stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        // One keeps its connection, the other makes a new one for each request.
        let kept = scope.spawn(move || {
            let mut client = Secure::connect(proxy).unwrap();
            let mut served = 0;
            while running() || served == 0 {
                assert_eq!(client.get().unwrap(), "HTTP/1.1 200");
                served += 1;
            }
            served
        });
        let fresh = scope.spawn(move || {
            let mut served = 0;
            while running() || served == 0 {
                assert_eq!(Secure::connect(proxy).unwrap().get().unwrap(), "HTTP/1.1 200");
                served += 1;
            }
            served
        });
        for rotation in 0..ROTATIONS {
            let name = ["second", "server"][rotation % 2];
            plane.set(&resources(&up, &[secret(name, name)])).unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(kept.join().unwrap() > 0 && fresh.join().unwrap() > 0);
    });
    assert_eq!(stat(proxy, "sds.web.update_success"), format!("sds.web.update_success: {}\n", ROTATIONS + 1));
}

/// The bootstrap of a proxy with another cluster of this endpoint and these settings.
pub(crate) fn with_cluster(bootstrap: &str, name: &str, endpoint: &str, settings: &str) -> String {
    format!(
        "{bootstrap}  - name: {name}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {endpoint}}}}}]}}]}}
{settings}"
    )
}

pub(crate) fn run(bootstrap: &str) -> (Proxy, tempfile::TempDir) {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_dragoman"));
    start_program(program, &["--concurrency", "1"], bootstrap)
}

#[test]
fn secrets_come_from_a_server_of_their_own_behind_a_unix_socket() {
    let up = Upstream::named("up");
    for (variant, api_type) in [(Variant::Sotw, "GRPC"), (Variant::Delta, "DELTA_GRPC")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address: dragoman_xds::Address = format!("unix:{}", path.display()).parse().unwrap();
        let with = |name: &str| load_str(&secret(name, name)).unwrap();
        let agent = Plane::start(Server::builder().resources(with("server")).listen(address));
        let source = format!(
            "{{api_config_source: {{api_type: {api_type}, transport_api_version: V3, grpc_services: [{{envoy_grpc: \
             {{cluster_name: agent}}}}]}}}}"
        );
        let plane = Plane::with(&[cluster("up", &up), routes_to("up"), secured(&source)].concat());
        let pipe = format!("{{pipe: {{path: '{}'}}}}", path.display());
        let (proxy, _directory) = run(&with_cluster(&bootstrap(&plane, variant), "agent", &pipe, ""));
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "server", "{variant:?}");
        agent.set(&secret("second", "second")).unwrap();
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "second", "{variant:?}");
    }
}

/// Takes connections with TLS and hands them on in plain text; its port.
fn terminator(to: u16) -> u16 {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject as _;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_file(pem("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(pem("server.key")).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut secure) = acceptor.accept(stream).await else { return };
                    assert_eq!(secure.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                    let mut plain = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    tokio::io::copy_bidirectional(&mut secure, &mut plain).await.ok();
                });
            }
        });
    });
    port
}

/// How the management server is greeted: who it has to be stands in a file of secrets.
fn greeted(name: &str, trusted: &std::path::Path) -> String {
    format!(
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: {name}
        common_tls_context:
          combined_validation_context:
            default_validation_context: {{match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {name}}}}}]}}
            validation_context_sds_secret_config: {{name: trusted, sds_config: {{path_config_source: {{path: '{}'}}}}}}
",
        trusted.display()
    )
}

#[test]
fn a_management_server_is_spoken_to_over_tls() {
    let (up, directory) = (Upstream::named("up"), tempfile::tempdir().unwrap());
    let trusted = directory.path().join("trusted.yaml");
    let content = format!(
        "resources: [{{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: trusted, \
         validation_context: {{trusted_ca: {{filename: '{}'}}}}}}]",
        pem("ca.pem").display()
    );
    std::fs::write(&trusted, content).unwrap();
    for variant in [Variant::Sotw, Variant::Delta] {
        let plane = Plane::with(&resources(&up, &[secret("server", "server")]));
        let plain = bootstrap(&plane, variant).replace("cluster_name: plane}", "cluster_name: secured}");
        let port = terminator(plane.handle.port());
        let endpoint = format!("{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}");
        let settings = greeted("server.example", &trusted);
        let (proxy, _directory) = run(&with_cluster(&plain, "secured", &endpoint, &settings));
        assert_eq!(Secure::connect(&proxy).unwrap().get().unwrap(), "HTTP/1.1 200", "{variant:?}");
        let handshakes = stat(&proxy, "cluster.secured.ssl.handshake");
        assert_eq!(handshakes, "cluster.secured.ssl.handshake: 1\n", "{variant:?}");
    }
}
