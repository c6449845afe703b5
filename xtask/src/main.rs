//! Tasks of the repository that are no part of a build.
//!
//! ```text
//! cargo run -p xtask -- descriptors          writes proto/descriptors.bin
//! cargo run -p xtask -- descriptors --check  fails when the committed file is not what it would write
//! cargo run -p xtask -- support              writes docs/support.md
//! cargo run -p xtask -- support --check      fails when the page is not what it would write
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["descriptors"] => xtask::descriptors::write(),
        ["descriptors", "--check"] => xtask::descriptors::check(),
        ["support"] => xtask::support::write(),
        ["support", "--check"] => xtask::support::check(),
        _ => Err("usage: cargo run -p xtask -- (descriptors | support) [--check]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the error stream is a task's only voice")]
fn report(error: &dyn std::error::Error) {
    eprintln!("xtask: {error}");
}
