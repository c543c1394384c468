//! Text in hexadecimal digits, two a byte, in one piece or over several lines.

use super::wrapped::{Alphabet, Wrapped};
use super::{Decoded, Encoding};
use std::ops::Range;

/// Hexadecimal text around an anchor, decoded.
#[derive(Debug)]
pub struct HexText {
    text: Vec<u8>,
    digits: Wrapped,
}

static DIGITS: Alphabet = {
    let mut digits = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        digits[byte] = (byte as u8).is_ascii_hexdigit();
        byte += 1;
    }
    digits
};

impl HexText {
    /// Decodes the digits around offset `anchor`, which is the first of a byte.
    pub fn around(raw: &[u8], anchor: usize) -> Self {
        let (mut digits, before) = Wrapped::around(raw, anchor, &DIGITS);
        digits.skip(before % 2);
        let digit = |b: u8| char::from(b).to_digit(16).unwrap_or_default() as u8;
        let all = digits.gather(raw);
        let text = all.as_chunks::<2>().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect();
        Self { text, digits }
    }

    /// True if the digit at raw offset `at` was read as the first of a byte.
    pub fn reads(&self, at: usize) -> bool {
        self.digits.index_of(at).is_some_and(|index| index.is_multiple_of(2))
    }
}

impl Decoded for HexText {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        self.digits.raw_offset(2 * range.start)..self.digits.raw_offset(2 * range.end - 1) + 1
    }

    fn encoding(&self) -> Encoding {
        Encoding::Hex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_decoded_and_traced_over_lines() {
        let plain = "some words, then AKIA and more words";
        let digits = data_encoding::HEXLOWER.encode(plain.as_bytes());
        for raw in [digits.clone(), format!("x = \"{digits}\""), format!("{}\n{}\n", &digits[..60], &digits[60..])] {
            let anchor = raw.find("414b4941").unwrap();
            let decoded = HexText::around(raw.as_bytes(), anchor);
            let at = memchr::memmem::find(decoded.text(), b"AKIA").unwrap();
            assert_eq!(decoded.raw(at..at + 4), anchor..anchor + 8);
            assert_eq!(std::str::from_utf8(decoded.text()).unwrap(), plain);
            assert!(decoded.reads(anchor) && !decoded.reads(anchor + 1));
        }
    }
}
