//! The format of a log line: spdlog's pattern flags, as `--log-format` takes them.
//!
//! <https://github.com/gabime/spdlog/wiki/3.-Custom-formatting>, and Envoy's own `%_` (payload with line
//! feeds escaped), `%j` (payload as the inside of a JSON string), `%+` (message without tags), `%*` (tags as
//! `,"name":"value"`) and `%N` (version).

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};

use super::escape;
use super::record::Record;
use super::time;
use crate::base::version::build_label;

/// Envoy's default for `--log-format`.
pub const DEFAULT_FORMAT: &str = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v";

/// The widest field that padding makes; more is cut down to this, as in spdlog.
const MAX_WIDTH: usize = 64;

/// A pattern, taken apart once.
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    /// When the line before was written, in nanoseconds of the epoch; for `%i`, `%u`, `%o` and `%O`.
    previous_ns: AtomicI64,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Literal(String),
    Flag { flag: char, padding: Option<Padding> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Padding {
    width: usize,
    side: Side,
    truncate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
    Centre,
}

/// The flags that print something of the record; any other stays in the text as it stands.
const FLAGS: &str = "+*_jNvnlLtPsg#@!YmdHIMSefFEprRTXzaAbhBcCDxiuoO^$&";

impl Pattern {
    /// Takes `text` apart; there is no wrong pattern.
    pub(super) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            push_literal(&mut pieces, &rest[..at]);
            let (padding, after) = padding(&rest[at + 1..]);
            let mut characters = after.chars();
            match characters.next() {
                Some(flag) if FLAGS.contains(flag) => pieces.push(Piece::Flag { flag, padding }),
                Some('%') => push_literal(&mut pieces, "%"),
                Some(unknown) => push_literal(&mut pieces, &format!("%{unknown}")),
                None => {}
            }
            rest = characters.as_str();
        }
        push_literal(&mut pieces, rest);
        Self { pieces, previous_ns: AtomicI64::new(time::now_ns()) }
    }

    /// Appends the line for `record`, with its line feed.
    pub(super) fn format(&self, record: &Record<'_>, out: &mut String) {
        let now = time::epoch_ns(&record.time);
        let elapsed = now.saturating_sub(self.previous_ns.swap(now, Ordering::Relaxed)).max(0);
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Flag { flag, padding } => {
                    let start = out.len();
                    write_flag(*flag, record, elapsed, out);
                    if let Some(padding) = padding {
                        padding.apply(start, out);
                    }
                }
            }
        }
        out.push('\n');
    }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(before)) => before.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

/// Reads `-8`, `=8` or `8`, with `!` behind it to cut longer text off, from the head of `text`.
fn padding(text: &str) -> (Option<Padding>, &str) {
    let (side, rest) = match text.as_bytes().first() {
        Some(b'-') => (Side::Right, &text[1..]),
        Some(b'=') => (Side::Centre, &text[1..]),
        _ => (Side::Left, text),
    };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits == 0 {
        return (None, rest);
    }
    let width = rest[..digits].parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH);
    let (truncate, rest) = match rest[digits..].strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, &rest[digits..]),
    };
    ((width > 0).then_some(Padding { width, side, truncate }), rest)
}

impl Padding {
    /// Brings what was written since `start` to the width.
    fn apply(self, start: usize, out: &mut String) {
        let length = out[start..].chars().count();
        if length > self.width {
            if self.truncate {
                let cut = out[start..].char_indices().nth(self.width).map_or(out.len(), |(at, _)| start + at);
                out.truncate(cut);
            }
            return;
        }
        let missing = self.width - length;
        let before = match self.side {
            Side::Left => missing,
            Side::Right => 0,
            Side::Centre => missing / 2,
        };
        out.insert_str(start, &" ".repeat(before));
        out.extend(std::iter::repeat_n(' ', missing - before));
    }
}

fn write_flag(flag: char, record: &Record<'_>, elapsed_ns: i64, out: &mut String) {
    match flag {
        'v' => record.write_payload(out),
        '+' => out.push_str(&record.message),
        '*' if record.tags.is_empty() => {}
        '*' => push(out, format_args!(",{}", record.tags)),
        '_' => escape::newlines(&payload(record), out),
        'j' => escape::json(&payload(record), out),
        'N' => out.push_str(&build_label()),
        'n' => out.push_str(record.component),
        'l' => out.push_str(record.level.name()),
        'L' => out.push(record.level.letter()),
        't' => push(out, format_args!("{}", thread_id())),
        'P' => push(out, format_args!("{}", std::process::id())),
        'g' => out.push_str(record.file),
        's' => out.push_str(basename(record.file)),
        '#' => push(out, format_args!("{}", record.line)),
        '@' => push(out, format_args!("{}:{}", record.file, record.line)),
        '!' => out.push_str(record.module),
        'u' => push(out, format_args!("{elapsed_ns}")),
        'i' => push(out, format_args!("{}", elapsed_ns / 1_000)),
        'o' => push(out, format_args!("{}", elapsed_ns / 1_000_000)),
        'O' => push(out, format_args!("{}", elapsed_ns / 1_000_000_000)),
        // Colour ranges and the mapped diagnostic context, both of which Envoy's log leaves empty.
        '^' | '$' | '&' => {}
        _ => time::write(flag, &record.time, out),
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

fn payload(record: &Record<'_>) -> String {
    let mut payload = String::new();
    record.write_payload(&mut payload);
    payload
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The kernel's number of this thread, asked for once.
fn thread_id() -> i32 {
    thread_local!(static ID: i32 = nix::unistd::gettid().as_raw());
    ID.with(|id| *id)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::{Offset, TimeZone};

    use super::super::level::Level;
    use super::*;

    fn record() -> Record<'static> {
        let zone = TimeZone::fixed(Offset::constant(9));
        Record {
            time: date(2026, 3, 2).at(13, 7, 42, 933_761_004).to_zoned(zone).unwrap(),
            level: Level::Warning,
            component: "config",
            file: "src/server/mod.rs",
            line: 181,
            module: "dragoman::server",
            message: "loading\n\"it\"".to_owned(),
            tags: String::new(),
        }
    }

    fn check(pattern: &str, expected: &str) {
        let mut line = String::new();
        Pattern::new(pattern).format(&record(), &mut line);
        assert_eq!(line, format!("{expected}\n"), "{pattern}");
    }

    // The expectations are what Envoy 1.40 prints for the same pattern.
    #[test]
    fn a_field_is_padded_and_cut_as_in_envoy() {
        check("[%20n][%-20n][%=20n]", "[              config][config              ][       config       ]");
        check("[%=21n][%3n][%3!n][%-3!n]", "[       config        ][config][con][con]");
        check("%200000n", &format!("{:>64}", "config"));
        check("%8l|%-8l|%8%|%0n|%2T", " warning|warning |%|config|13:07:42");
    }

    #[test]
    fn what_is_no_flag_stays() {
        check("%Q %; %q 100%% é", "%Q %; %q 100% é");
        check("a%", "a");
        check("a%5", "a");
        check("a%-", "a");
    }

    #[test]
    fn dates_and_times_are_envoys() {
        check("%Y-%m-%d %T.%e %f %F", "2026-03-02 13:07:42.933 933761 933761004");
        check("%H %I %M %S %p %r %R %X", "13 01 07 42 PM 01:07:42 PM 13:07 13:07:42");
        check("%a %A %b %h %B %C %D %x %z", "Mon Monday Mar Mar March 26 03/02/26 03/02/26 +09:00");
        check("%c|%E", "Mon Mar 2 13:07:42 2026|1772424462");
    }

    #[test]
    fn the_place_and_the_level_are_there() {
        check(
            "%l %L %n %s %g:%# %@ %!",
            "warning W config mod.rs src/server/mod.rs:181 src/server/mod.rs:181 dragoman::server",
        );
        check("%^%$%&%P", &std::process::id().to_string());
    }

    #[test]
    fn tags_stand_before_the_message_or_apart() {
        let tagged = Record { tags: r#""cluster":"app""#.to_owned(), ..record() };
        let mut line = String::new();
        Pattern::new("%_|%j|%*|%+").format(&tagged, &mut line);
        let expected = concat!(
            r#"[Tags: "cluster":"app"] loading\n"it"|"#,
            r#"[Tags: \"cluster\":\"app\"] loading\n\"it\"|"#,
            r#","cluster":"app"|"#,
            "loading\n\"it\"\n"
        );
        assert_eq!(line, expected);
        check("%v%*", "loading\n\"it\"");
    }
}
