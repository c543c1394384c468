//! Escaped text: secrets whose `/` or `+` is escaped (`%2F`, JSON's `\/`, `\u002f`, `\x2b`, `\057`, `&#x2F;`, `=2F`) or
//! that are split by a soft line break, and text that is escaped as a whole.

use super::{Decoded, Encoding};
use crate::detect::marks::INVISIBLE;
use crate::text::alphabet::{SECRET_LEN, is_base64};
use std::ops::Range;

/// A text of 40 base64 characters of which at least one is escaped.
#[derive(Debug, PartialEq, Eq)]
pub struct Escaped {
    /// Its range, escapes included, as offsets in the searched text.
    pub span: Range<usize>,
    /// The 40 characters.
    pub value: String,
}

/// Length of a secret with the `3D` of quoted-printable before it.
const MAX_LENGTH: usize = SECRET_LEN + 2;

/// Every [`Escaped`] that starts within `range` of `text`.
pub fn secrets(text: &[u8], range: Range<usize>) -> Vec<Escaped> {
    let mut found = Vec::new();
    if !may_have_escapes(&text[range.clone()]) {
        return found;
    }
    let mut at = range.start;
    // Do not start in the middle of a token: its tail could have 40 characters.
    while at > 0 && is_base64(text[at - 1]) && range.start - at < 2 * SECRET_LEN {
        at -= 1;
    }
    let mut start = at;
    let mut value = String::new();
    let mut escapes = 0;
    loop {
        // Most characters are not escapes, and need no closer look.
        let unit = match text.get(at) {
            Some(&byte) if is_base64(byte) => Some(Unit { meaning: Meaning::Character(byte), length: 1 }),
            Some(b'%' | b'\\' | b'&' | b'=' | 0xe2 | 0xc2) => unit(&text[at..]),
            _ => None,
        };
        match unit {
            Some(Unit { meaning: Meaning::Character(character), length }) if is_base64(character) => {
                // A longer value is not a secret; it only matters that it stays longer.
                if value.len() <= MAX_LENGTH {
                    value.push(char::from(character));
                }
                escapes += usize::from(length > 1);
                at += length;
                // Already too long, and what follows belongs to another range.
                if value.len() > MAX_LENGTH && at >= range.end {
                    return found;
                }
            }
            Some(Unit { meaning: Meaning::Nothing, length }) if !value.is_empty() => {
                escapes += 1;
                at += length;
            }
            separator => {
                // Quoted-printable's `=`; only if the rest is a secret, since `=` also precedes secrets.
                if value.len() == MAX_LENGTH && value.starts_with("3D") && text[..start].ends_with(b"=") {
                    value.drain(..2);
                    start += 2;
                }
                if value.len() == SECRET_LEN && escapes > 0 {
                    found.push(Escaped { span: start..at, value: std::mem::take(&mut value) });
                }
                value.clear();
                escapes = 0;
                if at >= range.end.min(text.len()) {
                    return found;
                }
                at += separator.map_or(1, |separator| separator.length);
                start = at;
            }
        }
    }
}

/// False for most texts: they contain nothing that could begin an escape.
fn may_have_escapes(text: &[u8]) -> bool {
    let is_quoted = |at| matches!(&text[at + 1..], [b'\n' | b'\r', ..] | [b'2', b'B' | b'F', ..]);
    memchr::memchr3(b'%', b'\\', b'&', text).is_some()
        || memchr::memchr2(0xe2, 0xc2, text).is_some()
        || memchr::memchr_iter(b'=', text).any(is_quoted)
}

struct Unit {
    meaning: Meaning,
    /// In bytes.
    length: usize,
}

enum Meaning {
    /// A byte, or the low byte of a character.
    Character(u8),
    /// A line end that is not part of the text: quoted-printable's soft line break, a shell's line continuation.
    Nothing,
}

/// The character or escape at the start of `text`; `None` if there is neither.
fn unit(text: &[u8]) -> Option<Unit> {
    let character = |code, length| Some(Unit { meaning: Meaning::Character(code), length });
    match text {
        [byte, ..] if is_base64(*byte) => character(*byte, 1),
        // Encoded twice: the `%` itself is encoded.
        [b'%', b'2', b'5', a, b, ..] if hex(&[*a, *b]).is_some() => character(hex(&[*a, *b])?, 5),
        [b'%', a, b, ..] => character(hex(&[*a, *b])?, 3),
        [0xe2 | 0xc2, ..] => {
            let invisible = INVISIBLE.iter().find(|invisible| text.starts_with(invisible))?;
            Some(Unit { meaning: Meaning::Nothing, length: invisible.len() })
        }
        [b'\\', ..] => {
            // In a string within a string, backslashes are escaped too.
            let slashes = text.iter().take(MAX_BACKSLASHES).take_while(|&&b| b == b'\\').count();
            let Unit { meaning, length } = after_backslash(&text[slashes..])?;
            Some(Unit { meaning, length: slashes + length })
        }
        [b'&', rest @ ..] => {
            let end = rest.iter().take(8).position(|&b| b == b';')?;
            character(entity(&rest[..end])?, end + 2)
        }
        [b'=', b'\n', ..] => Some(Unit { meaning: Meaning::Nothing, length: 2 }),
        [b'=', b'\r', b'\n', ..] => Some(Unit { meaning: Meaning::Nothing, length: 3 }),
        // Only these occur in a secret or before one: anything else after `=` is a value.
        [b'=', b'2', b'B', ..] => character(b'+', 3),
        [b'=', b'2', b'F', ..] => character(b'/', 3),
        // Text that is quoted-printable as a whole.
        [b'=', a @ (b'0' | b'2'..=b'7'), b @ (b'0'..=b'9' | b'A'..=b'F')]
        | [b'=', a @ (b'0' | b'2'..=b'7'), b @ (b'0'..=b'9' | b'A'..=b'F'), b'=' | b'\n' | b'\r', ..] => {
            character(hex(&[*a, *b])?, 3)
        }
        _ => None,
    }
}

const MAX_BACKSLASHES: usize = 8;

/// Maximum number of blanks that YAML drops where a line is folded.
const MAX_INDENT: usize = 200;

fn after_backslash(text: &[u8]) -> Option<Unit> {
    let character = |code, length| Some(Unit { meaning: Meaning::Character(code), length });
    match text {
        [b'/', ..] => character(b'/', 1),
        [b'u', b'0', b'0', a, b, ..] => character(hex(&[*a, *b])?, 5),
        [b'x', a, b, ..] => character(hex(&[*a, *b])?, 3),
        // The octal syntax of `echo -e` and `printf '%b'`.
        [b'0', a @ b'0'..=b'1', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            character((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 4)
        }
        [a @ b'0'..=b'1', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            character((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), 3)
        }
        [b'n' | b't' | b'r' | b'f' | b'b', ..] => character(b'\n', 1),
        [b'\n', rest @ ..] => Some(Unit { meaning: Meaning::Nothing, length: 1 + indent(rest) }),
        [b'\r', b'\n', rest @ ..] => Some(Unit { meaning: Meaning::Nothing, length: 2 + indent(rest) }),
        _ => None,
    }
}

/// How many blanks are at the start of a line.
fn indent(line: &[u8]) -> usize {
    line.iter().take(MAX_INDENT).take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// The character that an HTML entity without its `&` and `;` stands for.
fn entity(name: &[u8]) -> Option<u8> {
    let number = |digits: &[u8], radix| u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        b"sol" => Some(b'/'),
        b"plus" => Some(b'+'),
        b"equals" => Some(b'='),
        b"quot" => Some(b'"'),
        b"apos" => Some(b'\''),
        b"amp" => Some(b'&'),
        b"lt" => Some(b'<'),
        b"gt" => Some(b'>'),
        b"nbsp" => Some(b' '),
        _ => None,
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// How many bytes at the start of the base64 run at `start` belong to an escape that began before it, such as the `n`
/// of `\nAKIA` or the `3D` of `%3DAKIA`.
pub fn tail_of_escape(text: &[u8], start: usize) -> usize {
    // An escape is at most 6 bytes and begins at most one byte before the run.
    let Some(before) = start.checked_sub(1) else { return 0 };
    match text[before] {
        b'%' | b'\\' => unit(&text[before..]).map_or(0, |unit| unit.length - 1),
        b'[' | b';' => {
            let digits = text[start..].iter().take(3).take_while(|b| b.is_ascii_digit()).count();
            let end = start + digits + 1;
            if end <= text.len() && ends_in_colour(&text[..end]) { digits + 1 } else { 0 }
        }
        _ => 0,
    }
}

/// True if text ends with what colours the text after it in a terminal (ECMA-48: `ESC [ 31 m`), or with what `grep` writes
/// after that (`ESC [ K`). The escape character may itself be escaped, or be lost in a copy if there is a number.
pub fn ends_in_colour(text: &[u8]) -> bool {
    const ESCAPES: [&[u8]; 8] = [b"\x1b", b"=1B", b"x1b", b"x1B", b"u001b", b"033", b"\\e", b"^["];
    let Some((b'm' | b'K', rest)) = text.split_last() else { return false };
    let parameters = rest.iter().rev().take(COLOUR).take_while(|b| b.is_ascii_digit() || **b == b';').count();
    let Some(before) = rest[..rest.len() - parameters].strip_suffix(b"[") else { return false };
    parameters > 0 || ESCAPES.iter().any(|escape| before.ends_with(escape))
}

/// Maximum length of the numbers of a colour, in bytes: `0;38;2;255;255;255`.
const COLOUR: usize = 20;

/// How far before a run an escape may begin whose tail the run starts with, in bytes.
pub const ESCAPE_BEFORE: usize = COLOUR + 6;

/// The `length` characters from offset `start` on, if a soft line break splits them, and their range.
pub fn unfold(text: &[u8], start: usize, length: usize) -> Option<(Vec<u8>, Range<usize>)> {
    let mut at = start;
    let mut value = Vec::with_capacity(length);
    while value.len() < length {
        match unit(text.get(at..)?)? {
            Unit { meaning: Meaning::Character(character), length: 1 } => value.push(character),
            Unit { meaning: Meaning::Character(_), .. } => return None,
            Unit { meaning: Meaning::Nothing, length } => at += length - 1,
        }
        at += 1;
    }
    (at - start > length).then_some((value, start..at))
}

/// Maximum number of bytes, of letters and invisible characters, before a letter within a prefix.
const MAX_BEFORE: usize = 12;

/// True if a key id's prefix starts at an offset, partly escaped or split.
fn has_prefix(raw: &[u8], start: usize) -> bool {
    let mut prefix = Vec::new();
    let mut at = start;
    while prefix.len() < 4 {
        let Some(Unit { meaning, length }) = raw.get(at..).and_then(unit) else { return false };
        if let Meaning::Character(character) = meaning {
            prefix.push(character);
        }
        at += length;
    }
    crate::text::alphabet::PREFIXES.iter().any(|known| known.as_bytes() == prefix)
}

/// Text in which even letters are escaped, decoded.
#[derive(Debug)]
pub struct EscapedText {
    text: Vec<u8>,
    /// Raw offset of each character, and the end.
    positions: Vec<usize>,
}

impl EscapedText {
    /// How far to each side of an anchor text is decoded, in bytes.
    const REACH: usize = 4096;

    /// Decodes the line around the escaped or split letter at offset `anchor`. `None` if a key id's prefix does not
    /// start there, or at one of the few letters before it.
    pub fn around(raw: &[u8], anchor: usize) -> Option<Self> {
        let starts = (anchor.saturating_sub(MAX_BEFORE)..=anchor).rev();
        let anchor = starts
            .filter(|start| matches!(raw[*start], b'A' | b'%' | b'\\' | b'&' | b'='))
            .find(|start| has_prefix(raw, *start))?;
        let from = anchor.saturating_sub(Self::REACH);
        let start = memchr::memrchr(b'\n', &raw[from..anchor]).map_or(from, |newline| from + newline + 1);
        let mut decoded = Self { text: Vec::new(), positions: Vec::new() };
        let mut at = start;
        // An escape that is cut off at the start is read literally.
        while let Some(&byte) = raw.get(at).filter(|b| **b != b'\n' && at < anchor + Self::REACH) {
            let (character, length) = match unit(&raw[at..]) {
                Some(Unit { meaning: Meaning::Character(character), length }) => (character, length),
                Some(Unit { meaning: Meaning::Nothing, length }) => {
                    at += length;
                    continue;
                }
                None => (byte, 1),
            };
            decoded.text.push(character);
            decoded.positions.push(at);
            at += length;
        }
        decoded.positions.push(at);
        Some(decoded)
    }

    /// True if the character at raw offset `at` was decoded.
    pub fn reads(&self, at: usize) -> bool {
        self.positions.binary_search(&at).is_ok_and(|index| index < self.text.len())
    }
}

impl Decoded for EscapedText {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        self.positions[range.start]..self.positions[range.end]
    }

    fn encoding(&self) -> Encoding {
        Encoding::Escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> String {
        crate::rule::example::expand("{{secret}}").text
    }

    #[test]
    fn every_kind_of_escape_is_undone_in_place() {
        for (slash, plus) in [
            ("%2F", "%2B"),
            ("%2f", "+"),
            (r"\/", "+"),
            (r"\u002f", r"\u002B"),
            (r"\x2f", r"\x2b"),
            ("&#x2F;", "&#43;"),
            ("&#047;", "&plus;"),
            ("&sol;", "+"),
            ("=2F", "=2B"),
            (r"\057", r"\053"),
            (r"\\/", r"\\u002b"),
            ("/=\n", "+"),
            ("/=\r\n", "+"),
            ("/\\\n", "+"),
        ] {
            let escaped = secret().replace('/', slash).replace('+', plus);
            for (before, after) in
                [("", ""), ("key=", "&x"), ("key%3D", "%26x"), (r#""a\n"#, r#"\n""#), (r"\u003d", r"\u0026")]
            {
                let text = format!("{before}{escaped}{after}");
                let expected = Escaped { span: before.len()..before.len() + escaped.len(), value: secret() };
                assert_eq!(secrets(text.as_bytes(), 0..text.len()), [expected], "{text}");
            }
        }
    }

    #[test]
    fn text_that_is_escaped_as_a_whole_is_decoded_and_traced() {
        let plain = "id=AKIA ñ";
        let spell = |write: fn(u8) -> String| plain.bytes().map(write).collect::<String>();
        for escaped in [
            spell(|b| format!("%{b:02X}")),
            spell(|b| format!("\\x{b:02x}")),
            spell(|b| format!("\\u00{b:02x}")),
            spell(|b| format!("&#{b};")),
            spell(|b| format!("&#x{b:X};")),
        ] {
            let raw = format!("first\n{escaped}\nlast");
            let anchor = 6 + 3 * (escaped.len() - escaped.len() % 3) / plain.len();
            let anchor = (anchor.saturating_sub(8)..anchor + 8).find(|at| {
                EscapedText::around(raw.as_bytes(), *at).is_some_and(|decoded| decoded.text() == plain.as_bytes())
            });
            let decoded = EscapedText::around(raw.as_bytes(), anchor.expect("the prefix")).unwrap();
            assert_eq!(decoded.raw(0..plain.len()), 6..6 + escaped.len(), "{escaped}");
            assert!(decoded.reads(anchor.unwrap()));
        }
        assert!(EscapedText::around(b"%41%42%43%44", 0).is_none());
    }

    #[test]
    fn a_soft_line_break_is_taken_out() {
        assert_eq!(unfold(b"xAB=\r\nCD=", 1, 4), Some((b"ABCD".to_vec(), 1..8)));
        assert_eq!(unfold(b"ABCD", 0, 4), None);
        assert_eq!(unfold(b"AB=", 0, 4), None);
    }

    #[test]
    fn longer_and_shorter_texts_are_not_secrets() {
        for text in [format!("{}%2F", secret()), secret()[1..].to_owned(), format!("x{}", secret().replace('/', "%2F"))]
        {
            assert_eq!(secrets(text.as_bytes(), 0..text.len()), [], "{text}");
        }
    }

    #[test]
    fn the_tail_of_an_escape_is_measured() {
        for (text, start, expected) in [
            (r"\nAK", 1, 1),
            ("%3DAK", 1, 2),
            (r"\u003dAK", 1, 5),
            (r"\x3dAK", 1, 3),
            ("=AK", 1, 0),
            ("AK", 0, 0),
            (r"\qAK", 1, 0),
        ] {
            assert_eq!(tail_of_escape(text.as_bytes(), start), expected, "{text}");
        }
    }
}
