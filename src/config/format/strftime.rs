//! What the C library makes of times: `strftime` of glibc in the C locale, with its flags and widths.

/// A format, and how long what it gives may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strftime {
    /// What follows on what.
    pub pieces: Vec<Piece>,
    /// What would be as long as this or longer is left out, as in Envoy, where the room is a multiple of the format.
    pub room: usize,
}

/// A piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Literal(String),
    /// A directive.
    Directive(Directive),
}

/// `%-5d`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// What it asks for.
    pub what: What,
    /// What stands before that where it is shorter than it should be.
    pub pad: Option<Pad>,
    /// How long it is at least.
    pub width: usize,
    /// `^`: in upper case.
    pub upper: bool,
    /// `#`: in the other case.
    pub swap: bool,
}

/// What a directive asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A letter that stands for something.
    Letter(char),
    /// A text: what is no directive stands for itself.
    Text(String),
}

/// What fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// `_`
    Spaces,
    /// `0`
    Zeros,
    /// `-`: nothing, where it is a number.
    Nothing,
}

/// Room for so many times as much as the format has bytes.
const ROOM: usize = 16;

/// No output is longer, so that no width can be either.
const MAX_WIDTH: usize = 1 << 16;

/// Letters that stand for something.
const LETTERS: &str = "aAbBcCdDeFgGhHIjklmMpPrRsSTuUVwWxXyYzZ";
/// Those that may have an `E` before them: `%Ey`.
const WITH_ERA: &str = "cCxXyY";
/// Those that may have an `O` before them: `%Od`.
const WITH_DIGITS: &str = "BbdehHIklmMSuUVwWy";

/// Whether a format would put a new line into what it gives: where Envoy finds one, and in other forms.
pub(super) fn breaks_the_line(format: &str) -> bool {
    format.match_indices('%').any(|(at, _)| {
        let rest = format[at + 1..].trim_start_matches(['-', '_', '0', '^', '#']);
        let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        rest.strip_prefix(['E', 'O']).unwrap_or(rest).starts_with('n')
    })
}

impl Strftime {
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            if at > 0 {
                pieces.push(Piece::Literal(rest[..at].to_owned()));
            }
            let (directive, after) = Directive::parse(&rest[at..]);
            pieces.push(Piece::Directive(directive));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Strftime { pieces, room: ROOM * text.len() }
    }
}

impl Directive {
    /// Reads what begins with a percent sign, and gives what follows.
    fn parse(text: &str) -> (Self, &str) {
        let (mut pad, mut upper, mut swap) = (None, false, false);
        let mut rest = &text[1..];
        while let Some(flag) = rest.chars().next() {
            match flag {
                '_' => pad = Some(Pad::Spaces),
                '-' => pad = Some(Pad::Nothing),
                '0' => pad = Some(Pad::Zeros),
                '^' => upper = true,
                '#' => swap = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let width = match digits {
            0 => 0,
            _ => rest[..digits].parse().map_or(MAX_WIDTH, |width: usize| width.min(MAX_WIDTH)),
        };
        rest = &rest[digits..];
        let modifier = rest.chars().next().filter(|letter| matches!(letter, 'E' | 'O'));
        rest = &rest[modifier.map_or(0, char::len_utf8)..];
        let letter = rest.chars().next();
        let after = &rest[letter.map_or(0, char::len_utf8)..];
        let what =
            what(modifier, letter).unwrap_or_else(|| What::Text(text[..text.len() - after.len()].to_owned()));
        (Directive { what, pad, width, upper, swap }, after)
    }
}

/// What a letter stands for with what stands before it; `None` if for nothing.
fn what(modifier: Option<char>, letter: Option<char>) -> Option<What> {
    let letter = letter?;
    let known = match modifier {
        None => LETTERS,
        Some('E') => WITH_ERA,
        Some(_) => WITH_DIGITS,
    };
    match (modifier, letter) {
        (None, '%') => Some(What::Text("%".to_owned())),
        (None, 't') => Some(What::Text("\t".to_owned())),
        _ => known.contains(letter).then_some(What::Letter(letter)),
    }
}
