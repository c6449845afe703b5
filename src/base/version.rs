//! Which program this is, and which Envoy it stands in for.

/// The Envoy release whose behaviour, interfaces and names this program follows.
///
/// Reported wherever Envoy reports its own version, since that is what tools ask for: whether a
/// feature of Envoy's is there.
pub const ENVOY_VERSION: &str = "1.40.0";

/// This program's own version, from `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How this binary was built, in Envoy's words.
pub const BUILD_TYPE: &str = if cfg!(debug_assertions) { "DEBUG" } else { "RELEASE" };

/// The version string of `/server_info`, of the log flag `%N` and of the first line of `--version`.
///
/// Envoy's form `REVISION/VERSION/TREE/BUILD/TLS`, which scripts split at the slashes or search for the
/// first `1.2.3`. The program's name stands where Envoy has its revision; the last part names the TLS
/// library, `none` as long as there is none.
pub fn build_label() -> String {
    format!("dragoman/{ENVOY_VERSION}/Clean/{BUILD_TYPE}/none")
}
