//! The texts of `--help`, `--version` and of a command line that does not parse, laid out as Envoy's.

use super::flags::FLAGS;
use crate::base::version::{VERSION, build_label};

/// Lines are at most this wide, where words allow it.
const WIDTH: usize = 75;

const SUBCOMMANDS: &str = "dragoman, an Envoy-compatible xDS proxy. Besides the flags: 'dragoman demo [flags]' \
    runs a proxy with a control plane and upstreams to try; 'dragoman ready [HOST:PORT]' asks the admin \
    interface there (default 127.0.0.1:9901) for /ready and exits with 0 if the answer is 200.";

/// What `--help` prints; `program` is the name by which the process was called.
pub(super) fn help(program: &str) -> String {
    let mut text = format!("\nUSAGE: \n\n{}\n\nWhere: \n\n", brief(program));
    for flag in &FLAGS {
        text.push_str(&wrap(&flag.heading(), 3, 3));
        text.push_str(&wrap(flag.help, 5, 0));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&wrap(SUBCOMMANDS, 3, 0));
    text.push('\n');
    text
}

/// What `--version` prints: a first line in Envoy's form, and a second one with the program's own version.
pub(super) fn version(program: &str) -> String {
    format!("\n{program}  version: {}\ndragoman {VERSION}\n\n", build_label())
}

/// What a command line that does not parse leads to on standard error.
pub(super) fn failure(program: &str, argument: &str, error: &str) -> String {
    let usage = brief(program);
    format!(
        "PARSE ERROR: Argument: {argument}\n             {error}\n\nBrief USAGE: \n{usage}\n\
         For complete USAGE and HELP type: \n   {program} --help\n\n{argument} -- {error}\n"
    )
}

fn brief(program: &str) -> String {
    let mut line = format!("{program} ");
    for flag in &FLAGS {
        line.push(' ');
        // The flag behind which everything is ignored shows by its letter alone, `[--]`.
        line.push_str(&flag.in_usage());
    }
    wrap(&line, 3, (program.len() + 2).min(WIDTH / 2))
}

/// Breaks `text` into lines indented by `indent`, those after the first by `hanging` more.
fn wrap(text: &str, indent: usize, hanging: usize) -> String {
    let mut wrapped = String::new();
    let mut indent_here = indent;
    for paragraph in text.split('\n') {
        let mut rest = paragraph;
        while !rest.is_empty() {
            let (line, after) = split_at_width(rest, WIDTH - indent_here);
            wrapped.extend([" ".repeat(indent_here).as_str(), line, "\n"]);
            rest = after.trim_start_matches(' ');
            indent_here = indent + hanging;
        }
    }
    wrapped
}

/// The longest head of `text` that fits `width` and ends between words, and the rest.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    if text.len() <= width {
        return (text, "");
    }
    let head = text.char_indices().take_while(|(at, _)| *at <= width);
    let space = head.filter(|(_, character)| *character == ' ').last();
    // A word that is longer than the line is cut; the texts here are ASCII except for the program's name.
    let cut = || (1..=width).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let at = space.map(|(at, _)| at).filter(|at| *at > 0).unwrap_or_else(cut);
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_laid_out_as_envoys() {
        let help = help("./envoy");
        let expected = "\nUSAGE: \n\n   ./envoy  [--stats-tag <string>] ... [--enable-core-dump] [--socket-mode\n            \
                        <string>] [--socket-path <string>] [--disable-extensions\n            \
                        <string>] [--cpuset-threads] [--enable-mutex-tracing]\n";
        assert!(help.starts_with(expected), "{help}");
        assert!(
            help.contains("\n   -c <string>,  --config-path <string>\n     Path to configuration file\n\n")
        );
        assert!(
            help.contains("            [--base-id <uint32_t>] [--] [--version] [-h]\n\n\nWhere: \n\n"),
            "{help}"
        );
        assert!(help.lines().all(|line| line.len() <= WIDTH), "{help}");
    }

    #[test]
    fn a_long_program_name_is_cut() {
        let long = brief(&"n".repeat(100));
        assert!(long.lines().all(|line| line.len() <= WIDTH), "{long}");
        assert!(brief("é".repeat(100).as_str()).contains("[-h]"));
    }

    #[test]
    fn scripts_find_the_version_where_envoy_has_it() {
        let text = version("/usr/bin/dragoman");
        let line = text.lines().nth(1).unwrap();
        let label = line.strip_prefix("/usr/bin/dragoman  version: ").unwrap();
        assert_eq!(label.split('/').nth(1), Some("1.40.0"));
        assert_eq!(label.split('/').count(), 5);
    }
}
