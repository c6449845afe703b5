//! The `dragoman` command.

use std::process::ExitCode;

use dragoman::server::{command, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::execute(std::env::args(), run::run)
}
