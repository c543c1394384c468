//! Text that is written as a list of bytes in source code: `{0x41, 0x4b, …}`, `[]byte{65, 75, …}`, `{'A', 'K', …}`.

use super::{Decoded, Encoding};
use crate::text::alphabet::PREFIXES;
use std::ops::Range;

/// Minimum length of a list that is decoded: a shorter one contains neither an id nor a secret.
const MIN_LENGTH: usize = 16;

/// How far to each side of an anchor text is decoded, in bytes: a list of 40 characters may take six bytes for each,
/// and a second list may be some lines away.
const REACH: usize = 2048;

/// The text around a list of bytes, with all lists in it decoded.
#[derive(Debug)]
pub struct ArrayText {
    text: Vec<u8>,
    /// Raw offset of each byte, and the end.
    positions: Vec<usize>,
}

impl ArrayText {
    /// Decodes the text around the list in which a key id starts at offset `anchor`. `None` if none does.
    pub fn around(raw: &[u8], anchor: usize) -> Option<Self> {
        let mut at = anchor;
        let mut prefix = Vec::new();
        while prefix.len() < 4 {
            let element = Element::read(raw, at)?;
            prefix.push(element.byte);
            at = element.end;
        }
        if !PREFIXES.iter().any(|known| known.as_bytes() == prefix) {
            return None;
        }
        // A list left as it is would be matched again in the decoded text.
        if list(raw, anchor).len() < MIN_LENGTH {
            return None;
        }
        let (start, end) = (anchor.saturating_sub(REACH), raw.len().min(anchor + REACH));
        let mut decoded = Self { text: Vec::new(), positions: Vec::new() };
        let mut at = start;
        while at < end {
            // A list starts after a bracket, or at the anchor.
            let elements = if at == anchor || at > 0 && matches!(raw[at - 1], b'{' | b'[' | b'(') {
                list(raw, at)
            } else {
                vec![]
            };
            match elements.last() {
                Some(end) if elements.len() >= MIN_LENGTH => {
                    decoded.text.extend(elements.iter().map(|element| element.byte));
                    decoded.positions.extend(elements.iter().map(|element| element.start));
                    at = end.end;
                }
                _ => {
                    decoded.text.push(raw[at]);
                    decoded.positions.push(at);
                    at += 1;
                }
            }
        }
        decoded.positions.push(at);
        Some(decoded)
    }

    /// True if the byte at raw offset `at` was decoded.
    pub fn reads(&self, at: usize) -> bool {
        self.positions.binary_search(&at).is_ok_and(|index| index < self.text.len())
    }
}

impl Decoded for ArrayText {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        self.positions[range.start]..self.positions[range.end]
    }

    fn encoding(&self) -> Encoding {
        Encoding::ByteArray
    }
}

/// One number or character of a list.
struct Element {
    byte: u8,
    /// Where it starts.
    start: usize,
    /// Offset after the comma that follows it, and the white space after that.
    end: usize,
}

impl Element {
    fn read(raw: &[u8], at: usize) -> Option<Self> {
        let rest = raw.get(at..)?;
        // Java's bytes are signed, and larger ones are cast.
        let cast = if rest.starts_with(b"(byte)") { 6 } else { 0 };
        let start = at + cast + rest[cast..].iter().take(2).take_while(|b| **b == b' ').count();
        let rest = raw.get(start..)?;
        let (byte, length) = match rest {
            [b'0', b'x' | b'X', a, b, ..] => (hex(*a)? << 4 | hex(*b)?, 4),
            [b'\'', byte, b'\'', ..] => (*byte, 3),
            [b'0'..=b'9', ..] => {
                let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
                (std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?, digits)
            }
            _ => return None,
        };
        let is_text = matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0);
        let mut end = start + length;
        let blanks = |at: usize| raw[at..].iter().take(100).take_while(|b| b.is_ascii_whitespace()).count();
        let comma = end + blanks(end);
        if raw.get(comma) == Some(&b',') {
            end = comma + 1 + blanks(comma + 1);
        }
        is_text.then_some(Self { byte, start, end })
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The elements that follow each other from an offset on.
fn list(raw: &[u8], start: usize) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut at = start + raw[start..].iter().take(100).take_while(|b| b.is_ascii_whitespace()).count();
    while at < start + REACH {
        // Elements must be separated by a comma.
        let is_parted = elements.last().is_none_or(|last| raw[last.start..last.end].contains(&b','));
        match Element::read(raw, at).filter(|_| is_parted) {
            Some(element) => {
                at = element.end;
                elements.push(element);
            }
            None => break,
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_decoded_and_traced() {
        let plain = "AKIA0123456789abcdef";
        let write = |format: fn(u8) -> String, comma: &str| plain.bytes().map(format).collect::<Vec<_>>().join(comma);
        for list in [
            write(|b| format!("0x{b:02x}"), ", "),
            write(|b| format!("0x{b:02X}"), ","),
            write(|b| b.to_string(), ", "),
            write(|b| b.to_string(), ",\n  "),
            write(|b| format!("'{}'", char::from(b)), ", "),
        ] {
            let text = format!("var id = []byte{{{list}}}; other(1, 2)");
            let decoded = ArrayText::around(text.as_bytes(), 16).unwrap();
            assert_eq!(String::from_utf8_lossy(decoded.text()), format!("var id = []byte{{{plain}}}; other(1, 2)"));
            let at = decoded.text().iter().position(|b| *b == b'K').unwrap();
            let raw = decoded.raw(at..at + 1);
            assert!(decoded.reads(16) && text[raw.clone()].contains(['K', '7', '4']), "{raw:?} of {text}");
        }
        assert!(ArrayText::around(b"{65, 75, 1, 2}", 1).is_none());
        assert!(ArrayText::around(b"{'A', 'K', 'I', 'A', '5'}", 1).is_none());
        assert!(ArrayText::around(b"0x41, 0x", 0).is_none());
    }
}
