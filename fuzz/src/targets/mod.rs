//! The targets: each a parser that outsiders, configuration or a control plane can reach.

mod check;
mod configuration;
mod formats;
mod greetings;
mod http1;
mod http2;
mod paths;
mod resources;
mod secrets;

use std::io;

/// A function to be fed, and what to feed it with.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The function. It panics when a property does not hold.
    pub run: fn(&[u8]),
    /// The inputs that it starts from, made of files of the repository.
    pub seeds: fn() -> io::Result<Vec<Vec<u8>>>,
    /// Words of its language.
    pub dictionary: &'static [&'static [u8]],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    check::CHECK,
    configuration::YAML,
    configuration::JSON,
    configuration::TEXT,
    configuration::WIRE,
    configuration::BOOTSTRAP_VALUES,
    formats::FORMATS,
    resources::RESOURCES,
    resources::ROUTES,
    secrets::SECRETS,
    paths::PATHS,
    http1::REQUESTS,
    http1::RESPONSES,
    http2::HEADS,
    greetings::CLIENT_HELLO,
    greetings::PROXY_HEADER,
];
