//! Files that secrets name, replaced as Kubernetes does it: a link that leads elsewhere from one moment to the next.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use super::common::Proxy;
use super::secure::{Secure, pem};
use super::setup::{PATIENCE, with_each_program};

/// A folder with certificates in two folders of its own, of which `current` leads to one.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["server", "second"] {
            let inner = folder.path().join(name);
            std::fs::create_dir(&inner).unwrap();
            for kind in ["pem", "key"] {
                std::fs::copy(pem(&format!("{name}.{kind}")), inner.join(format!("tls.{kind}"))).unwrap();
            }
        }
        let mounted = Mounted(folder);
        mounted.lead_to("server");
        mounted
    }

    fn lead_to(&self, name: &str) {
        let fresh = self.0.path().join("fresh");
        symlink(name, &fresh).unwrap();
        std::fs::rename(fresh, self.0.path().join("current")).unwrap();
    }

    /// A file with a secret of what is current; `watched` goes into it.
    fn secret(&self, watched: &str) -> std::path::PathBuf {
        let folder = self.0.path().display();
        let file = self.0.path().join("sds.yaml");
        let secret = format!(
            "resources: [{{'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret, name: web, \
             tls_certificate: {{certificate_chain: {{filename: '{folder}/current/tls.pem'}}, private_key: {{filename: \
             '{folder}/current/tls.key'}}{watched}}}}}]"
        );
        std::fs::write(&file, secret).unwrap();
        file
    }
}

/// The bootstrap of a listener whose certificate is in this file.
fn bootstrap(secret: &Path) -> String {
    format!(
        r#"
node: {{id: test, cluster: test}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: echo
        typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificate_sds_secret_configs: [{{name: web, sds_config: {{path_config_source: {{path: "{}"}}}}}}]
"#,
        secret.display()
    )
}

/// Waits until this certificate is shown.
fn await_shown(proxy: &Proxy, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    while Secure::connect(proxy).unwrap().shown() != wanted {
        assert!(Instant::now() < deadline, "{wanted} is not shown");
    }
}

#[test]
fn files_of_a_secret_are_read_again_when_something_is_moved_into_the_directory_that_is_watched() {
    with_each_program(|start| {
        let mounted = Mounted::new();
        let watched = format!(", watched_directory: {{path: '{}'}}", mounted.0.path().display());
        let (proxy, _directory) = start(&bootstrap(&mounted.secret(&watched)));
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "server");
        mounted.lead_to("second");
        await_shown(&proxy, "second");
    });
}

#[test]
fn files_of_a_secret_are_read_again_when_they_are_written_in_place_if_that_is_to_count() {
    with_each_program(|start| {
        let mounted = Mounted::new();
        let folder = mounted.0.path().join("server");
        let watched = format!(", watched_directory: {{path: '{}', watch_modify: true}}", folder.display());
        let (proxy, _directory) = start(&bootstrap(&mounted.secret(&watched)));
        assert_eq!(Secure::connect(&proxy).unwrap().shown(), "server");
        for kind in ["key", "pem"] {
            let bytes = std::fs::read(pem(&format!("second.{kind}"))).unwrap();
            std::fs::write(folder.join(format!("tls.{kind}")), bytes).unwrap();
        }
        await_shown(&proxy, "second");
    });
}

#[test]
fn files_that_cannot_be_used_leave_what_was_in_force() {
    with_each_program(|start| {
        let mounted = Mounted::new();
        let watched = format!(", watched_directory: {{path: '{}'}}", mounted.0.path().display());
        let (proxy, _directory) = start(&bootstrap(&mounted.secret(&watched)));
        let good = |name: &str| std::fs::read(pem(name)).unwrap();
        let cut = |name: &str| good(name)[..100].to_vec();
        let bad = [
            ("tls.key", good("stranger.key")),
            ("tls.pem", cut("second.pem")),
            ("tls.key", cut("second.key")),
        ];
        for (count, (file, content)) in bad.into_iter().enumerate() {
            for (file, whole) in [("tls.pem", "second.pem"), ("tls.key", "second.key")] {
                std::fs::copy(pem(whole), mounted.0.path().join("second").join(file)).unwrap();
            }
            std::fs::write(mounted.0.path().join("second").join(file), content).unwrap();
            mounted.lead_to("second");
            let deadline = Instant::now() + PATIENCE;
            let is_counted = || {
                let stats =
                    proxy.get("/stats?filter=^sds.web.(key_rotation_failed|update_rejected)$").unwrap().body;
                String::from_utf8(stats).unwrap().contains(&format!(": {}", count + 1))
            };
            while !is_counted() {
                assert!(Instant::now() < deadline, "it is not counted");
            }
            assert_eq!(Secure::connect(&proxy).unwrap().shown(), "server");
        }
        std::fs::copy(pem("second.key"), mounted.0.path().join("second/tls.key")).unwrap();
        mounted.lead_to("second");
        await_shown(&proxy, "second");
    });
}
