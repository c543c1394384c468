//! Compressed text in base64, as used by Helm for releases, and by cloud-init and AWS Lambda for files.

use super::base64::{ALPHABET, sextet};
use super::{Decoded, Encoding};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::io::{BufReader, Cursor, Read};
use std::ops::Range;

/// How text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// A ZIP archive; all its files.
    Zip,
    /// <https://tukaani.org/xz/xz-file-format.txt>.
    Xz,
    /// <https://sourceware.org/bzip2/>.
    Bzip2,
    /// RFC 8878.
    Zstd,
}

/// Maximum memory that a compressed text may require, in bytes.
const MAX_MEMORY: u64 = 64 << 20;

impl Compression {
    /// The compression of something whose base64 starts like this, by the magic bytes of each format.
    pub fn detect(base64: &[u8]) -> Option<Self> {
        match base64 {
            // 1f 8b 08, RFC 1952.
            [b'H', b'4', b's', b'I', ..] => Some(Self::Gzip),
            // 78 01, 78 5e, 78 9c, 78 da: the levels of zlib, RFC 1950.
            [b'e', b'A', b'E'..=b'H', ..] | [b'e', b'F', b'4'..=b'7', ..] => Some(Self::Zlib),
            [b'e', b'J', b'w'..=b'z', ..] | [b'e', b'N', b'o'..=b'r', ..] => Some(Self::Zlib),
            _ if base64.starts_with(b"UEsDB") => Some(Self::Zip),
            _ if base64.starts_with(b"/Td6WFoA") => Some(Self::Xz),
            _ if base64.starts_with(b"QlpoM") || base64.starts_with(b"QlpoO") => Some(Self::Bzip2),
            _ if base64.starts_with(b"KLUv/") => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Unpacks as far as possible.
    fn unpack(self, packed: &mut Base64Reader, text: &mut Vec<u8>, most: usize) -> std::io::Result<usize> {
        let memory = u32::try_from(MAX_MEMORY >> 10).unwrap_or(u32::MAX);
        match self {
            Self::Gzip => MultiGzDecoder::new(packed).take(most as u64).read_to_end(text),
            Self::Zlib => ZlibDecoder::new(packed).take(most as u64).read_to_end(text),
            Self::Xz => lzma_rust2::XzReader::new_mem_limit(packed, true, memory).take(most as u64).read_to_end(text),
            Self::Bzip2 => bzip2::read::BzDecoder::new(packed).take(most as u64).read_to_end(text),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(BufReader::new(packed))?;
                decoder.window_log_max(MAX_MEMORY.ilog2())?;
                decoder.take(most as u64).read_to_end(text)
            }
            Self::Zip => {
                let mut bytes = Vec::new();
                packed.take(most as u64).read_to_end(&mut bytes)?;
                unpack_zip(&bytes, text, most)
            }
        }
    }
}

/// Unpacks the files that an archive lists or, if its list is cut off, the entries one after the other.
fn unpack_zip(bytes: &[u8], text: &mut Vec<u8>, most: usize) -> std::io::Result<usize> {
    let mut add = |file: &mut dyn Read| {
        let left = most.saturating_sub(text.len());
        let read = file.take(left as u64).read_to_end(text);
        text.push(b'\n');
        read
    };
    if let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) {
        for index in 0..archive.len() {
            // A damaged file loses only itself.
            _ = archive.by_index(index).map(|mut file| add(&mut file));
        }
    } else {
        let mut rest = bytes;
        while let Ok(Some(mut file)) = zip::read::read_zipfile_from_stream(&mut rest) {
            add(&mut file)?;
        }
    }
    Ok(text.len())
}

/// Compressed text, unpacked.
#[derive(Debug)]
pub struct PackedText {
    text: Vec<u8>,
    compression: Compression,
    /// Raw bytes of the base64.
    span: Range<usize>,
}

impl PackedText {
    /// Unpacks what starts at offset `start`, up to `most` bytes. `None` if it is not compressed text after all.
    pub fn at(raw: &[u8], start: usize, compression: Compression, most: usize) -> Option<Self> {
        let mut base64 = Base64Reader { raw, at: start, bits: 0, count: 0 };
        let mut text = Vec::new();
        // Damaged or truncated data is read as far as possible.
        _ = compression.unpack(&mut base64, &mut text, most);
        (!text.is_empty()).then_some(Self { text, compression, span: start..base64.at })
    }

    /// Drops the text and keeps only the record of what was read.
    #[must_use]
    pub fn without_text(self) -> Self {
        Self { text: Vec::new(), ..self }
    }

    /// True if the character at raw offset `at` was read.
    pub fn reads(&self, at: usize) -> bool {
        self.span.contains(&at)
    }
}

impl Decoded for PackedText {
    fn text(&self) -> &[u8] {
        &self.text
    }

    fn raw(&self, _: Range<usize>) -> Range<usize> {
        self.span.clone()
    }

    fn encoding(&self) -> Encoding {
        if self.compression == Compression::Gzip { Encoding::Gzip } else { Encoding::Compressed }
    }
}

/// The bytes encoded in base64, up to a character that is neither base64 nor white space, escaped or not.
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
            } else if byte == b'\\' && matches!(self.raw.get(self.at + 1), Some(b'n' | b'r' | b'/')) {
                // In a JSON string, line ends and slashes are escaped.
                self.at += usize::from(self.raw[self.at + 1] != b'/');
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
        let at = |raw: &str, at, most| PackedText::at(raw.as_bytes(), at, Compression::Gzip, most);
        let decoded = at(&raw, 9, 100).unwrap();
        assert_eq!(decoded.text(), b"key: AKIA");
        assert!(decoded.raw(0..1).start == 9 && decoded.raw(0..1).end >= 9 + base64.trim_end_matches('=').len());
        assert!(at(&raw, 9, 3).is_some_and(|cut| cut.text() == b"key"));
        assert!(at("H4sIAAAAAAAAAAAA", 0, 100).is_none());
    }
}
