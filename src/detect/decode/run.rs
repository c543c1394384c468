//! The content of a long base64 run, judged by its first few characters: most runs are other data, and left alone.

use super::base64::sextet;
use super::escape;
use super::packed::Compression;
use crate::text::alphabet::is_base64;
use std::ops::Range;

/// Text that is packed so that no word in it can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// In base64, twice.
    Base64Twice,
    /// In hexadecimal digits.
    Hex,
    /// Compressed, then base64.
    Compressed(Compression),
}

/// Minimum length of a run that is examined: a shorter one contains no more than an id.
const MIN_LENGTH: usize = 45;

/// Number of base64 characters decoded to decide: of random ones, 2 in 10¹¹ contain base64.
const TELLING: usize = 24;

/// Length of a secret with a line end in base64.
const MAX_SECRET: usize = 56;

/// Number of digits decoded to decide: of random ones, 1 in 10,000 contain text.
const TELLING_DIGITS: usize = 24;

impl Packed {
    /// What the maximal run may contain, and where that starts.
    pub fn detect(text: &[u8], run: &Range<usize>) -> Option<(Self, usize)> {
        // Most runs are hashes of a length below this.
        if run.len() < MIN_LENGTH {
            return None;
        }
        let mut start = run.start + escape::tail_of_escape(text, run.start);
        if text[start..].starts_with(b"0x") {
            start += 2;
        }
        let head = text.get(start..start + TELLING).filter(|_| start + TELLING <= run.end)?;
        if let Some(compression) = Compression::detect(head) {
            return Some((Self::Compressed(compression), start));
        }
        if head[..TELLING_DIGITS].iter().all(u8::is_ascii_hexdigit) {
            let digit = |b: u8| char::from(b).to_digit(16).unwrap_or_default() as u8;
            let mut bytes = [0; TELLING_DIGITS / 2];
            for (byte, [high, low]) in bytes.iter_mut().zip(head.as_chunks::<2>().0) {
                *byte = digit(*high) << 4 | digit(*low);
            }
            return starts_text(&bytes).then_some((Self::Hex, start));
        }
        // If not longer, it may be a secret in base64, which is handled as such.
        if run.len() <= MAX_SECRET {
            return None;
        }
        // Four characters are three bytes; the first group rules most runs out.
        let holds_base64 = |group: &[u8; 4]| {
            let bits = group.iter().fold(0u32, |bits, &b| bits << 6 | u32::from(sextet(b)));
            bits.to_be_bytes()[1..].iter().all(|&b| is_base64(b) || matches!(b, b'\n' | b'\r' | b'-' | b'_'))
        };
        head.as_chunks::<4>().0.iter().all(holds_base64).then_some((Self::Base64Twice, start))
    }
}

/// True for UTF-8 without control characters; the last character may be cut.
fn starts_text(bytes: &[u8]) -> bool {
    let is_text = |text: &str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    match std::str::from_utf8(bytes) {
        Ok(text) => is_text(text),
        Err(error) => {
            error.error_len().is_none() && std::str::from_utf8(&bytes[..error.valid_up_to()]).is_ok_and(is_text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, HEXLOWER};

    fn of(text: &str) -> Option<(Packed, usize)> {
        Packed::detect(text.as_bytes(), &(0..text.trim_end_matches('=').len()))
    }

    #[test]
    fn what_is_packed_is_told_from_other_data() {
        let plain = b"some text that is long enough to tell, and then some";
        let once = BASE64.encode(plain);
        assert_eq!(of(&BASE64.encode(once.as_bytes())), Some((Packed::Base64Twice, 0)));
        assert_eq!(of(&HEXLOWER.encode(plain)), Some((Packed::Hex, 0)));
        assert_eq!(of(&format!("0x{}", HEXLOWER.encode(plain))), Some((Packed::Hex, 2)));
        assert_eq!(
            of("H4sIAAAAAAAAA0vMSy0uUUhNSlVIzs9NVShKBQBB8RQ3DwAAAA"),
            Some((Packed::Compressed(Compression::Gzip), 0))
        );
        assert_eq!(of(&once), None);
        assert_eq!(of(&crate::rule::example::expand("{{hex:64}}").text), None);
        assert_eq!(of(&crate::rule::example::expand("{{base64:400}}").text), None);
    }
}
