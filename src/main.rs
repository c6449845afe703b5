//! The `dragoman` command.

use std::process::ExitCode;

use dragoman::server::options::{self, Command};
use dragoman::server::run;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match options::parse(std::env::args()) {
        Ok(Command::Proxy(options)) => run::run(&options),
        _ => ExitCode::FAILURE,
    }
}
