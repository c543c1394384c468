//! Compressed text in base64, as Helm keeps its releases and cloud-init takes its files.

use super::base64::{ALPHABET, sextet};
use super::{Decoded, Encoding};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::ops::Range;

/// What the base64 of compressed text starts with: two magic bytes and the method, RFC 1952.
pub const ANCHOR: &str = "H4sI";

/// Compressed text, unpacked.
#[derive(Debug)]
pub struct GzipText {
    text: Vec<u8>,
    /// Raw bytes of the base64.
    span: Range<usize>,
}

impl GzipText {
    /// Unpacks what starts at offset `start`, to `most` bytes. `None` if it is no compressed text after all.
    pub fn at(raw: &[u8], start: usize, most: usize) -> Option<Self> {
        let mut base64 = Base64Reader { raw, at: start, bits: 0, count: 0 };
        let mut text = Vec::new();
        // What is damaged or cut is read as far as that goes.
        _ = MultiGzDecoder::new(&mut base64).take(most as u64).read_to_end(&mut text);
        (!text.is_empty()).then_some(Self { text, span: start..base64.at })
    }

    /// The same, to remember only what was read.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { text: Vec::new(), ..self }
    }

    /// True if the character at raw offset `at` was read.
    pub fn reads(&self, at: usize) -> bool {
        self.span.contains(&at)
    }
}

impl Decoded for GzipText {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, _: Range<usize>) -> Range<usize> {
        self.span.clone()
    }

    fn encoding(&self) -> Encoding {
        Encoding::Gzip
    }
}

/// The bytes that base64 characters stand for, up to what is neither one nor white space.
struct Base64Reader<'a> {
    raw: &'a [u8],
    at: usize,
    bits: u32,
    count: u32,
}

impl Read for Base64Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut written = 0;
        while written < buffer.len() {
            let Some(&byte) = self.raw.get(self.at) else { break };
            if ALPHABET[usize::from(byte)] {
                self.bits = self.bits << 6 | u32::from(sextet(byte));
                self.count += 6;
                if self.count >= 8 {
                    self.count -= 8;
                    buffer[written] = (self.bits >> self.count) as u8;
                    written += 1;
                }
            } else if !matches!(byte, b'\n' | b'\r' | b' ' | b'\t') {
                break;
            }
            self.at += 1;
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_packed_is_unpacked_and_what_is_not_is_left() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"key: AKIA").unwrap();
        let base64 = data_encoding::BASE64.encode(&encoder.finish().unwrap());
        let raw = format!("content: {base64}\nnext: x");
        let decoded = GzipText::at(raw.as_bytes(), 9, 100).unwrap();
        assert_eq!(decoded.text(), b"key: AKIA");
        assert!(decoded.raw(0..1).start == 9 && decoded.raw(0..1).end >= 9 + base64.trim_end_matches('=').len());
        assert!(GzipText::at(raw.as_bytes(), 9, 3).is_some_and(|cut| cut.text() == b"key"));
        assert!(GzipText::at(b"H4sIAAAAAAAAAAAA", 0, 100).is_none());
    }
}
