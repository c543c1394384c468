//! Base64-wrapped text (Kubernetes `data:`, whole `.env` files, mail bodies).
//!
//! Decoding starts only where the encoded form of a word such as `AKIA` occurs. That form depends on the word's
//! position in the groups of three bytes, so each word has three anchors.

use super::wrapped::{Alphabet, Wrapped};
use super::{Decoded, Encoding};
use std::ops::Range;

/// Base64 text around an anchor, decoded.
#[derive(Debug)]
pub struct Base64Text {
    text: Vec<u8>,
    /// The characters, from the first decoded one on.
    characters: Wrapped,
}

impl Base64Text {
    /// Decodes the base64 characters around offset `anchor`, which is at place `phase` (0 to 3) of its group.
    pub fn around(raw: &[u8], anchor: usize, phase: u8) -> Self {
        let (mut characters, before) = Wrapped::around(raw, anchor, &ALPHABET);
        // Leave characters out so that the first is at place 0 of its group.
        characters.skip((before + 4 - usize::from(phase)) % 4);
        let all = characters.gather(raw);
        let mut text = Vec::with_capacity(all.len() / 4 * 3 + 2);
        let (groups, rest) = all.as_chunks::<4>();
        let bits = |group: &[u8]| group.iter().fold(0u32, |bits, &b| bits << 6 | u32::from(sextet(b)));
        for group in groups {
            text.extend_from_slice(&bits(group).to_be_bytes()[1..]);
        }
        if let Some(length) = rest.len().checked_sub(1) {
            let bits = bits(rest) << (6 * (4 - rest.len()));
            text.extend_from_slice(&bits.to_be_bytes()[1..=length]);
        }
        Self { text, characters }
    }

    /// True if the character at raw offset `at` was read as the one at place `phase` of its group.
    pub fn reads(&self, at: usize, phase: u8) -> bool {
        self.characters.index_of(at).is_some_and(|index| index % 4 == usize::from(phase))
    }
}

impl Decoded for Base64Text {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        let first = range.start * 8 / 6;
        let last = (range.end * 8).div_ceil(6) - 1;
        self.characters.raw_offset(first)..self.characters.raw_offset(last) + 1
    }

    fn encoding(&self) -> Encoding {
        Encoding::Base64
    }
}

/// Both alphabets: the standard and the URL-safe one.
pub(super) static ALPHABET: Alphabet = {
    let mut alphabet = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        alphabet[byte] = SEXTETS[byte] < 64;
        byte += 1;
    }
    alphabet
};

const SEXTETS: [u8; 256] = {
    let mut sextets = [64; 256];
    let mut n = 0;
    while n < 26 {
        sextets[b'A' as usize + n] = n as u8;
        sextets[b'a' as usize + n] = n as u8 + 26;
        n += 1;
    }
    let mut n = 0;
    while n < 10 {
        sextets[b'0' as usize + n] = n as u8 + 52;
        n += 1;
    }
    sextets[b'+' as usize] = 62;
    sextets[b'-' as usize] = 62;
    sextets[b'/' as usize] = 63;
    sextets[b'_' as usize] = 63;
    sextets
};

/// The six bits that a character of the alphabet stands for.
pub(super) fn sextet(character: u8) -> u8 {
    SEXTETS[usize::from(character)] & 63
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::marks;
    use proptest::prelude::*;

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
            let anchors: Vec<_> = marks::base64_of(b"AKIA").map(|(text, phase)| (String::from_utf8(text).unwrap(), phase)).collect();
            let places = || anchors.iter().flat_map(|(text, phase)| raw.match_indices(text.as_str()).map(|(at, _)| (at, *phase)));
            let found = places().any(|(at, phase)| {
                let decoded = Base64Text::around(raw.as_bytes(), at, phase);
                let spans = memchr::memmem::find_iter(decoded.text(), b"AKIA").map(|at| decoded.raw(at..at + 4));
                spans.map(|span| raw[span].split_whitespace().collect::<String>()).any(|text| text == expected)
            });
            // A line may break in the middle of the word.
            prop_assert!(found || !raw.contains(expected), "{raw}");
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
