//! The `dragoman` command.

use std::process::ExitCode;

use dragoman::server::{command, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    without_huge_pages();
    command::execute(std::env::args(), run::run)
}

/// Where the system gives huge pages to whoever does not ask (`transparent_hugepage/enabled` is `always`), a proxy
/// that needs one megabyte would hold twelve, and requests would not be served any faster.
#[cfg(target_os = "linux")]
fn without_huge_pages() {
    match nix::sys::prctl::set_thp_disable(true) {
        // A kernel that does not know them gives none.
        Ok(()) | Err(_) => (),
    }
}

/// Only Linux gives huge pages unasked.
#[cfg(not(target_os = "linux"))]
fn without_huge_pages() {}
