//! Secrets whose `/` or `+` is escaped: `%2F`, JSON's `\/`, `\u002f`, `\x2b`, `&#x2F;`.

use crate::detect::finder::{SECRET_LEN, is_base64};
use std::ops::Range;

/// A text of 40 base64 characters of which at least one is escaped.
#[derive(Debug, PartialEq, Eq)]
pub struct Escaped {
    /// Where it stands, escapes included, as offsets in the searched text.
    pub span: Range<usize>,
    /// The 40 characters.
    pub value: String,
}

/// Every [`Escaped`] that starts within `range` of `text`.
pub fn secrets(text: &[u8], range: Range<usize>) -> Vec<Escaped> {
    let mut found = Vec::new();
    // Most texts hold nothing that could begin an escape.
    if memchr::memchr3(b'%', b'\\', b'&', &text[range.clone()]).is_none() {
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
        let unit = text.get(at).and_then(|_| unit(&text[at..]));
        match unit {
            Some(Unit { character: Some(character), length }) => {
                // More than this is not a secret; what matters is only that it stays longer.
                if value.len() <= SECRET_LEN {
                    value.push(char::from(character));
                }
                escapes += usize::from(length > 1);
                at += length;
                // Too long already, and what comes after is another range's.
                if value.len() > SECRET_LEN && at >= range.end {
                    return found;
                }
            }
            separator => {
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

struct Unit {
    /// The base64 character, or nothing if the escape stands for another one.
    character: Option<u8>,
    /// In bytes.
    length: usize,
}

/// The character or escape at the start of `text`; `None` if there is neither.
fn unit(text: &[u8]) -> Option<Unit> {
    let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let (code, length) = match text {
        [byte, ..] if is_base64(*byte) => return Some(Unit { character: Some(*byte), length: 1 }),
        [b'%', a, b, ..] => (hex(&[*a, *b])?, 3),
        [b'\\', b'/', ..] => (b'/', 2),
        [b'\\', b'u', b'0', b'0', a, b, ..] => (hex(&[*a, *b])?, 6),
        [b'\\', b'x', a, b, ..] => (hex(&[*a, *b])?, 4),
        [b'\\', b'n' | b't' | b'r' | b'f' | b'b', ..] => (b'\n', 2),
        [b'&', b'#', b'x' | b'X', a, b, b';', ..] => (hex(&[*a, *b])?, 6),
        [b'&', b'#', a @ b'0'..=b'9', b @ b'0'..=b'9', b';', ..] => (10 * (a - b'0') + (b - b'0'), 5),
        _ => return None,
    };
    Some(Unit { character: Some(code).filter(|&code| is_base64(code)), length })
}

/// How many bytes at the start of the base64 run at `start` belong to an escape that began before it, as the `n` of
/// `\nAKIA` or the `3D` of `%3DAKIA`.
pub fn tail_of_escape(text: &[u8], start: usize) -> usize {
    // An escape is at most 6 bytes and begins at most one byte before the run.
    let Some(before) = start.checked_sub(1) else { return 0 };
    if !matches!(text[before], b'%' | b'\\') {
        return 0;
    }
    unit(&text[before..]).map_or(0, |unit| unit.length - 1)
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
