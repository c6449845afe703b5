//! The scenarios: where the configuration comes from, and what traffic there is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use dragoman_xds::{Handle, Server, load_str};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::Inventory;
use super::common::Proxy;
use super::upstream;

/// A bootstrap, and requests.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    source: Source,
    paths: &'static [&'static str],
}

/// Where a scenario's configuration comes from.
#[derive(Clone, Copy)]
enum Source {
    Static,
    Files,
    /// ADS with this `api_type`.
    Ads(&'static str),
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "static",
        source: Source::Static,
        paths: &["/", "/", "/500", "/refused", "/dns", "/empty", "/h2", "/"],
    },
    Scenario { name: "files", source: Source::Files, paths: &["/", "/500", "/"] },
    Scenario { name: "sotw", source: Source::Ads("GRPC"), paths: &["/", "/500", "/"] },
    Scenario { name: "delta", source: Source::Ads("DELTA_GRPC"), paths: &["/", "/500", "/"] },
];

/// A program that has had its traffic.
pub(crate) struct Running {
    proxy: Proxy,
    _plane: Option<(Runtime, Handle)>,
    _directory: tempfile::TempDir,
}

impl Scenario {
    /// Starts a program and plays the traffic.
    pub(crate) fn start(&self, program: &Path) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let (up, refused) = (upstream::start(), upstream::refused());
        let fill =
            |text: &str| text.replace("{up}", &up.to_string()).replace("{refused}", &refused.to_string());
        let mut plane = None;
        let bootstrap = match self.source {
            Source::Static => fill(include_str!("bootstrap/static.yaml")),
            Source::Files => files(&fill(include_str!("bootstrap/resources.yaml")), directory.path()),
            Source::Ads(api_type) => {
                let (runtime, handle) = serve(&fill(include_str!("bootstrap/resources.yaml")));
                let port = handle.port().to_string();
                plane = Some((runtime, handle));
                include_str!("bootstrap/ads.yaml").replace("{type}", api_type).replace("{plane}", &port)
            }
        };
        let config = directory.path().join("bootstrap.yaml");
        std::fs::write(&config, bootstrap).unwrap();
        let args = ["--concurrency", "1", "--disable-hot-restart", "-l", "warning"];
        let proxy =
            Proxy::start(program, &config, &args, directory.path()).unwrap_or_else(|error| panic!("{error}"));
        self.paths.iter().for_each(|path| ask(&proxy, path));
        Running { proxy, _plane: plane, _directory: directory }
    }
}

impl Running {
    /// What `/stats` shows now.
    pub(crate) fn statistics(&self) -> Inventory {
        let answer = self.proxy.get("/stats?format=json").unwrap();
        let shown: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut inventory = Inventory::new();
        for stat in shown["stats"].as_array().unwrap() {
            match stat["name"].as_str() {
                Some(name) => inventory.insert(name.to_owned(), stat["value"].to_string()),
                None => None,
            };
            for histogram in stat["histograms"]["computed_quantiles"].as_array().into_iter().flatten() {
                inventory.insert(histogram["name"].as_str().unwrap().to_owned(), "histogram".to_owned());
            }
        }
        inventory
    }
}

/// A management server with these resources, on a runtime of its own.
fn serve(resources: &str) -> (Runtime, Handle) {
    let resources = resources.replace("{source}", "ads: {}").replace("{filters}", "ads: {}");
    let runtime = Runtime::new().unwrap();
    let server = Server::builder().resources(load_str(&resources).unwrap());
    let handle = runtime.block_on(server.start()).unwrap();
    (runtime, handle)
}

/// Writes a file for each type; the bootstrap that names them.
fn files(resources: &str, directory: &Path) -> String {
    let place = directory.display().to_string();
    let parts = resources.split("---\n").zip(["cds", "eds", "lds", "rds", "ecds"]);
    let path = |kind: &str| format!("path_config_source: {{path: {place}/{kind}.yaml}}");
    for (part, kind) in parts {
        let wanted = if kind == "cds" { "eds" } else { "rds" };
        let part = part.replace("{source}", &path(wanted)).replace("{filters}", &path("ecds"));
        let content = format!("version_info: \"1\"\nresources:\n{part}");
        std::fs::write(directory.join(format!("{kind}.yaml")), content).unwrap();
    }
    include_str!("bootstrap/files.yaml").replace("{directory}", &place)
}

/// A request on a connection of its own, to its end.
fn ask(proxy: &Proxy, path: &str) {
    let address = proxy.listeners().unwrap()["web"];
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{path}: {}", String::from_utf8_lossy(&answer));
}
