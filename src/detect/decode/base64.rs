//! Base64-wrapped text (Kubernetes `data:`, whole `.env` files, mail bodies).
//!
//! Decoding starts only where the encoded spelling of a word such as `AKIA` stands. Which characters that is depends
//! on the word's place in the groups of three bytes, so each word has three anchors.

use super::{Decoded, Encoding};
use std::ops::Range;

/// How far to each side of an anchor text is decoded, in base64 characters.
const REACH: usize = 64 << 10;

/// Shortest line, in base64 characters, that is taken to go on in the next line.
const SHORTEST_WRAP: usize = 20;

/// The characters that the base64 of `word` always has in each of its three alignments, and the place of the
/// first of them in its group of four. Characters that also depend on the word's neighbours are left out.
pub fn anchors(word: &[u8]) -> impl Iterator<Item = (Vec<u8>, u8)> {
    (0..3usize).map(move |before| {
        let padded = [&vec![0; before][..], word].concat();
        let encoded = data_encoding::BASE64_NOPAD.encode(&padded).into_bytes();
        // Bit 8*before is the word's first; a character holds six bits.
        let first = (8 * before).div_ceil(6);
        let last = 8 * padded.len() / 6;
        (encoded[first..last].to_vec(), (first % 4) as u8)
    })
}

/// Base64 text around an anchor, decoded.
#[derive(Debug)]
pub struct Base64Text {
    text: Vec<u8>,
    /// Raw offset of each base64 character, from the first decoded one on.
    positions: Vec<usize>,
}

impl Base64Text {
    /// Decodes the base64 characters around offset `anchor`, which is at place `phase` (0 to 3) of its group.
    pub fn around(raw: &[u8], anchor: usize, phase: u8) -> Self {
        let mut before = walk(raw, anchor, Direction::Left, is_character);
        before.reverse();
        // Drop characters so that the first is at place 0 of its group.
        let surplus = (before.len() + 4 - usize::from(phase)) % 4;
        let mut positions = before.split_off(surplus.min(before.len()));
        positions.extend(walk(raw, anchor, Direction::Right, is_character));
        let mut text = Vec::with_capacity(positions.len() / 4 * 3 + 2);
        for group in positions.chunks(4) {
            let bits =
                group.iter().fold(0u32, |bits, &at| bits << 6 | u32::from(sextet(raw[at]))) << (6 * (4 - group.len()));
            text.extend_from_slice(&bits.to_be_bytes()[1..group.len().max(1)]);
        }
        Self { text, positions }
    }

    /// True if the character at raw offset `at` was read as the one at place `phase` of its group.
    pub fn reads(&self, at: usize, phase: u8) -> bool {
        self.positions.binary_search(&at).is_ok_and(|index| index % 4 == usize::from(phase))
    }
}

impl Decoded for Base64Text {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        let first = range.start * 8 / 6;
        let last = (range.end * 8).div_ceil(6) - 1;
        self.positions[first]..self.positions[last] + 1
    }

    fn encoding(&self) -> Encoding {
        Encoding::Base64
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    Left,
    Right,
}

/// Offsets of the characters of an encoding from `anchor` on (leftwards: those before it), nearest first. Goes over line ends
/// between long lines, and over the white space that indents them.
pub(super) fn walk(raw: &[u8], anchor: usize, direction: Direction, is_character: impl Fn(u8) -> bool) -> Vec<usize> {
    let next = |at: usize| match direction {
        Direction::Left => at.checked_sub(1),
        Direction::Right => Some(at + 1).filter(|&at| at < raw.len()),
    };
    let mut positions = Vec::new();
    let mut at = match direction {
        Direction::Left => next(anchor),
        Direction::Right => Some(anchor).filter(|&at| at < raw.len()),
    };
    let mut in_line = 0;
    while let Some(here) = at
        && positions.len() < REACH
    {
        if is_character(raw[here]) {
            positions.push(here);
            in_line += 1;
            at = next(here);
            continue;
        }
        // A line end, after enough characters for a wrapped line? The anchor's own line may be cut by the anchor.
        let line_is_long = in_line >= SHORTEST_WRAP || in_line == positions.len();
        let mut blank = here;
        let mut line_ends = 0;
        while raw[blank].is_ascii_whitespace() {
            line_ends += usize::from(raw[blank] == b'\n');
            match next(blank) {
                Some(further) => blank = further,
                None => return positions,
            }
        }
        if line_ends != 1 || !line_is_long || !is_wrapped_line(raw, blank, direction, &is_character) {
            return positions;
        }
        in_line = 0;
        at = Some(blank);
    }
    positions
}

/// True if the line that has its first (leftwards: last) text at `at` starts (ends) with such characters as a wrapped
/// line does.
fn is_wrapped_line(raw: &[u8], at: usize, direction: Direction, is_character: &impl Fn(u8) -> bool) -> bool {
    match direction {
        Direction::Right => {
            let rest = &raw[at..raw.len().min(at + REACH)];
            let text = rest.iter().position(|&b| !is_character(b)).unwrap_or(rest.len());
            let after = rest[text..].iter().find(|&&b| b != b'=');
            text > 0 && after.is_none_or(u8::is_ascii_whitespace)
        }
        Direction::Left => {
            let rest = &raw[at.saturating_sub(REACH)..=at];
            let text = rest.iter().rev().position(|&b| !is_character(b)).unwrap_or(rest.len());
            // The first line of a block often stands after a name.
            text >= SHORTEST_WRAP
        }
    }
}

pub(super) fn is_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

pub(super) fn sextet(character: u8) -> u8 {
    match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' | b'-' => 62,
        _ => 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anchors_are_the_published_ones() {
        let of =
            |word: &str| anchors(word.as_bytes()).map(|(text, _)| String::from_utf8(text).unwrap()).collect::<Vec<_>>();
        assert_eq!(of("AKIA"), ["QUtJQ", "FLSU", "BS0lB"]);
        assert_eq!(of("ASIA"), ["QVNJQ", "FTSU", "BU0lB"]);
    }

    proptest! {
        #[test]
        fn a_word_is_decoded_and_traced_whatever_stands_around_it(before in "[ -~]{0,90}", after in "[ -~]{0,90}", width in prop::option::of(24usize..80)) {
            let plain = format!("{before}AKIA{after}");
            let encoded = data_encoding::BASE64.encode(plain.as_bytes());
            let lines = encoded.as_bytes().chunks(width.unwrap_or(usize::MAX)).map(String::from_utf8_lossy);
            let raw = format!("data: {}\nother: x\n", lines.collect::<Vec<_>>().join("\n  "));
            let first = before.len() * 8 / 6;
            let last = ((before.len() + 4) * 8).div_ceil(6);
            let expected = &encoded[first..last];
            let anchors: Vec<_> = anchors(b"AKIA").map(|(text, phase)| (String::from_utf8(text).unwrap(), phase)).collect();
            let places = || anchors.iter().flat_map(|(text, phase)| raw.match_indices(text.as_str()).map(|(at, _)| (at, *phase)));
            let found = places().any(|(at, phase)| {
                let decoded = Base64Text::around(raw.as_bytes(), at, phase);
                let spans = memchr::memmem::find_iter(decoded.text(), b"AKIA").map(|at| decoded.raw(at..at + 4));
                spans.map(|span| raw[span].split_whitespace().collect::<String>()).any(|text| text == expected)
            });
            let is_broken = !places().any(|(at, _)| raw[at..].starts_with(&expected[1..4]) || raw[at..].starts_with(&expected[..4]));
            prop_assert!(found || is_broken, "{raw}");
        }

        #[test]
        fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..200, phase in 0u8..4) {
            let at = at.min(raw.len());
            let decoded = Base64Text::around(&raw, at, phase);
            for end in 1..=decoded.text().len() {
                let span = decoded.raw(end - 1..end);
                prop_assert!(span.end <= raw.len());
            }
        }
    }
}
