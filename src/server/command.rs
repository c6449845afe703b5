//! From the words of the command line to an exit code.

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use super::demo::Demo;
use super::options::{self, Command, Options};
use super::ready;
use super::run::EXTENSIONS;
use crate::check;

/// Does what `words`, the program's name first, ask for. `run` is the life of a proxy with these options.
pub fn execute(words: impl IntoIterator<Item = String>, run: impl FnOnce(&Options) -> ExitCode) -> ExitCode {
    match options::parse(words) {
        Ok(Command::Proxy(options)) => {
            write_base_id(&options);
            run(&options)
        }
        Ok(Command::Demo(options)) => demo(*options, run),
        Ok(Command::Check(options)) => {
            check::run(&options, &EXTENSIONS, &mut io::stdout().lock(), &mut io::stderr().lock())
                .unwrap_or_else(|error| {
                    if error.kind() == ErrorKind::BrokenPipe { ExitCode::SUCCESS } else { done(Err(error)) }
                })
        }
        Ok(Command::Ready(address)) => done(ready::ask(&address)),
        Ok(Command::Print(text)) => done(write(io::stdout(), &text)),
        Ok(Command::PrintError(text)) => done(write(io::stderr(), &text)),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn demo(options: Options, run: impl FnOnce(&Options) -> ExitCode) -> ExitCode {
    match Demo::start(options) {
        Ok(demo) => {
            let code = run(demo.options());
            demo.stop();
            code
        }
        error => done(error.map(drop)),
    }
}

/// What `--base-id-path` asks for. As in Envoy, a path that cannot be written to stops nothing.
fn write_base_id(options: &Options) {
    let Some(path) = &options.base_id_path else { return };
    if let Err(error) = std::fs::write(path, options.base_id.to_string()) {
        let path = path.display();
        complain(&format!("error: cannot open base id output file {path} for writing: {error}\n"));
    }
}

/// The exit code of what was tried; why it failed goes to standard error.
fn done(tried: Result<(), impl Error>) -> ExitCode {
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {}\n", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// `this: because of that: because of that`.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn complain(text: &str) {
    // There is nobody else to tell.
    write(io::stderr(), text).unwrap_or_default();
}

fn write(mut out: impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execute_words(words: &[&str]) -> (ExitCode, bool) {
        let mut ran = false;
        let words = std::iter::once("dragoman").chain(words.iter().copied()).map(str::to_owned);
        let code = execute(words, |_| {
            ran = true;
            ExitCode::from(7)
        });
        (code, ran)
    }

    #[test]
    fn only_a_proxy_runs() {
        assert_eq!(execute_words(&["-c", "x"]), (ExitCode::from(7), true));
        assert_eq!(execute_words(&["--version"]), (ExitCode::SUCCESS, false));
        assert_eq!(execute_words(&["--hot-restart-version"]), (ExitCode::SUCCESS, false));
        assert_eq!(execute_words(&["--nonsense"]), (ExitCode::FAILURE, false));
        assert_eq!(execute_words(&["ready", "/nowhere"]), (ExitCode::FAILURE, false));
        assert_eq!(execute_words(&["demo", "-c", "x"]), (ExitCode::FAILURE, false));
    }

    #[test]
    fn the_base_id_is_written_before_the_proxy_runs() {
        let path = std::env::temp_dir().join(format!("dragoman-base-id-{}", std::process::id()));
        let words = ["--base-id", "7", "--base-id-path", path.to_str().unwrap()];
        assert_eq!(execute_words(&words), (ExitCode::from(7), true));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "7");
        std::fs::remove_file(&path).unwrap();
        let words = ["--base-id-path", "/nowhere/id"];
        assert_eq!(execute_words(&words), (ExitCode::from(7), true));
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = ready::ask("/nowhere").unwrap_err();
        let told = with_causes(&error);
        assert!(told.starts_with("cannot ask /nowhere for /ready: No such file"), "{told}");
    }
}
