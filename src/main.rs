//! The `dragoman` command.

use std::process::ExitCode;

use dragoman::server::demo::Demo;
use dragoman::server::options::{self, Command, Options};
use dragoman::server::{ready, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command answers where it was asked")]
fn main() -> ExitCode {
    match options::parse(std::env::args()) {
        Ok(Command::Proxy(options)) => run::run(&options),
        Ok(Command::Demo(options)) => demo(*options),
        Ok(Command::Ready(address)) => match ready::ask(&address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Ok(Command::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::PrintError(text)) => {
            eprint!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command answers where it was asked")]
fn demo(options: Options) -> ExitCode {
    match Demo::start(options) {
        Ok(demo) => {
            let code = run::run(demo.options());
            demo.stop();
            code
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
