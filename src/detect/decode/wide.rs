//! UTF-16 and UTF-32: whole files, and stretches of UTF-16 inside anything else.

use super::Decoded;
use crate::finding::Encoding;
use crate::text::wide::{ByteOrder, Wide, characters};
use std::ops::Range;

/// Number of raw units between the decoder's checkpoints, which make mapping back cheap in memory.
const CHECKPOINT: usize = 4096;

/// Wide text, decoded to UTF-8; an invalid unit becomes U+FFFD.
#[derive(Debug)]
pub struct WideText<'a> {
    raw: &'a [u8],
    extent: Range<usize>,
    wide: Wide,
    text: Vec<u8>,
    /// Pairs of an offset in `text` and the raw offset of the unit that starts there.
    checkpoints: Vec<(usize, usize)>,
}

impl<'a> WideText<'a> {
    /// Decodes a whole file, without the byte order mark.
    pub fn file(raw: &'a [u8], wide: Wide) -> Self {
        let start = wide.mark_length(raw);
        Self::decode(raw, start..raw.len() - raw.len() % wide.unit_length(), wide)
    }

    /// The UTF-16 around the ASCII letter at offset `letter`, up to a control character on either side.
    /// `None` if the letter is not part of such text.
    pub fn around(raw: &'a [u8], letter: usize) -> Option<Self> {
        // The letter's zero byte comes after it in little-endian text, before it in big-endian text. In the middle of a
        // word there is one on both sides; what comes before or after the word shows the order.
        let fits = |order: ByteOrder| {
            let unit = if order == ByteOrder::Little { letter } else { letter.checked_sub(1)? };
            let extent = grow(raw, unit, order);
            (extent.len() >= 16).then_some((extent, order))
        };
        let candidates = [fits(ByteOrder::Little), fits(ByteOrder::Big)].into_iter().flatten();
        // ASCII between zero bytes reads well either way, except for a character at one end. Wide text is at even
        // offsets.
        let (extent, order) = candidates.max_by_key(|(extent, order)| {
            (ascii_units(&raw[extent.clone()], *order), extent.start.is_multiple_of(2))
        })?;
        Some(Self::decode(raw, extent, Wide::Utf16(order)))
    }

    /// True if the ASCII letter at raw offset `letter` was read as such.
    pub fn reads(&self, letter: usize) -> bool {
        let is_first_byte = letter.wrapping_sub(self.extent.start).is_multiple_of(2);
        self.extent.contains(&letter) && is_first_byte == (self.wide == Wide::Utf16(ByteOrder::Little))
    }

    fn decode(raw: &'a [u8], extent: Range<usize>, wide: Wide) -> Self {
        let mut text = Vec::with_capacity(extent.len() / 2);
        let mut checkpoints = vec![(0, extent.start)];
        let mut at = extent.start;
        let mut next = at + 2 * CHECKPOINT;
        for (character, width) in characters(&raw[extent.clone()], wide) {
            if at >= next {
                checkpoints.push((text.len(), at));
                next = at + 2 * CHECKPOINT;
            }
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += width;
        }
        Self { raw, extent, wide, text, checkpoints }
    }

    /// Offset in the text of what starts at offset `raw` of the file.
    pub fn text_offset(&self, raw: usize) -> usize {
        let checkpoint = self.checkpoints.partition_point(|&(_, at)| at <= raw).saturating_sub(1);
        let (mut text, mut at) = self.checkpoints[checkpoint];
        for (character, width) in characters(&self.raw[at..self.extent.end], self.wide) {
            if at >= raw {
                break;
            }
            text += character.len_utf8();
            at += width;
        }
        text
    }

    /// Raw offset of the character that holds byte `offset` of the text.
    fn raw_offset(&self, offset: usize) -> usize {
        let checkpoint = self.checkpoints.partition_point(|&(text, _)| text <= offset) - 1;
        let (mut text, mut raw) = self.checkpoints[checkpoint];
        for (character, width) in characters(&self.raw[raw..self.extent.end], self.wide) {
            text += character.len_utf8();
            if text > offset {
                break;
            }
            raw += width;
        }
        raw
    }
}

impl Decoded for WideText<'_> {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, range: Range<usize>) -> Range<usize> {
        self.raw_offset(range.start)..self.raw_offset(range.end)
    }

    fn encoding(&self) -> Encoding {
        encoding(self.wide)
    }
}

/// The encoding's name.
fn encoding(wide: Wide) -> Encoding {
    match wide {
        Wide::Utf16(ByteOrder::Little) => Encoding::Utf16Le,
        Wide::Utf16(ByteOrder::Big) => Encoding::Utf16Be,
        Wide::Utf32(ByteOrder::Little) => Encoding::Utf32Le,
        Wide::Utf32(ByteOrder::Big) => Encoding::Utf32Be,
    }
}

fn grow(raw: &[u8], unit: usize, order: ByteOrder) -> Range<usize> {
    let is_text = |pair: &[u8]| <[u8; 2]>::try_from(pair).is_ok_and(|pair| is_text(order.unit(pair)));
    let after = raw[unit..].chunks_exact(2).take_while(|pair| is_text(pair)).count();
    let before = raw[..unit].rchunks_exact(2).take_while(|pair| is_text(pair)).count();
    unit - 2 * before..unit + 2 * after
}

fn is_text(unit: u16) -> bool {
    matches!(unit, 0x09 | 0x0a | 0x0d | 0x1b | 0x20..=0x7e | 0xa0..=0xd7ff | 0xd800..=0xfffd)
}

fn ascii_units(raw: &[u8], order: ByteOrder) -> usize {
    raw.as_chunks::<2>().0.iter().filter(|pair| order.unit(**pair) < 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |unit: u16| if order == ByteOrder::Little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn every_character_is_traced_back(text in "\\PC{0,60}", order in prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)]) {
            let raw = encode(&format!("\u{feff}{text}"), order);
            let decoded = WideText::file(&raw, Wide::Utf16(order));
            prop_assert_eq!(std::str::from_utf8(decoded.text()).unwrap(), &text);
            for (offset, _) in text.char_indices() {
                prop_assert_eq!(decoded.text_offset(decoded.raw(offset..offset).start), offset);
            }
            let mut expected = 2;
            for (at, character) in text.char_indices() {
                let span = decoded.raw(at..at + character.len_utf8());
                prop_assert_eq!(span.start, expected);
                expected += 2 * character.len_utf16();
                prop_assert_eq!(span.end, expected);
            }
        }

        #[test]
        fn wide_text_in_a_binary_is_found_in_both_orders(junk in prop::collection::vec(1u8..9, 0..9), order in prop_oneof![Just(ByteOrder::Little), Just(ByteOrder::Big)]) {
            let word = "key=AKIAxxxx;";
            let junk: Vec<u8> = junk.into_iter().flat_map(|b| [0, 0, b, 0, 0, 0]).collect();
            let raw = [junk.clone(), encode(word, order), junk.clone()].concat();
            let letter = raw.iter().position(|&b| b == b'A').unwrap();
            let decoded = WideText::around(&raw, letter).unwrap();
            prop_assert_eq!(std::str::from_utf8(decoded.text()).unwrap(), word);
            prop_assert_eq!(decoded.wide, Wide::Utf16(order));
        }

        #[test]
        fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 1..200), at in 0usize..200) {
            let at = at.min(raw.len() - 1);
            if let Some(decoded) = WideText::around(&raw, at) {
                prop_assert!(decoded.raw(0..decoded.text().len()).end <= raw.len());
            }
            WideText::file(&raw, Wide::Utf16(ByteOrder::Big));
        }
    }

    #[test]
    fn four_bytes_a_character_are_read_in_both_orders() {
        let text = "\u{feff}añ😀b";
        let little: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let big: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for raw in [little, big] {
            let decoded = WideText::file(&raw, Wide::detect(&raw).unwrap());
            assert_eq!(std::str::from_utf8(decoded.text()).unwrap(), "añ😀b");
            assert_eq!(decoded.raw(3..7), 12..16);
        }
        let unmarked: Vec<u8> = "key = value".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        assert_eq!(Wide::detect(&unmarked), Some(Wide::Utf32(ByteOrder::Big)));
        assert_eq!(Wide::detect(&[1, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0]), None);
    }

    #[test]
    fn checkpoints_lead_back_in_a_long_text() {
        let text = "añ😀b".repeat(9000);
        let raw = encode(&format!("\u{feff}{text}"), ByteOrder::Big);
        let decoded = WideText::file(&raw, Wide::Utf16(ByteOrder::Big));
        assert!(decoded.checkpoints.len() > 5);
        let last = text.len() - 1;
        assert_eq!(decoded.raw(last..last + 1), raw.len() - 2..raw.len());
    }
}
