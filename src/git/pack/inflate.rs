//! Inflating pack entries and loose objects.

use super::Damage;
use sirocco::Format;
use sirocco::inflate::{Decoder, Error};

/// Maximum number of bytes that zlib can make of one: 258 of 2 bits.
const MAX_RATIO: u64 = 1032;

/// Inflates one stream after another, without allocating.
pub struct Inflater(Decoder);

impl Inflater {
    /// Creates an inflater; each thread needs its own.
    pub fn new() -> Self {
        Self(Decoder::new(Format::Zlib))
    }

    /// Inflates the zlib stream at the start of `input`, whose output must exactly fill `out`.
    ///
    /// # Errors
    /// If it is damaged or its output has another length.
    pub fn inflate(&mut self, input: &[u8], out: &mut [u8]) -> Result<(), Damage> {
        self.0.reset();
        let wanted = out.len();
        match self.0.decompress(input, out, true) {
            Ok(progress) if progress.done && progress.output.len() == wanted => Ok(()),
            Ok(_) | Err(Error::BufferFull) => Err(Damage::Size),
            Err(_) => Err(Damage::Deflate),
        }
    }

    /// Inflates as much of the zlib stream at the start of `input` as fits in `out`, and returns the number of bytes.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn inflate_start(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, Damage> {
        self.0.reset();
        match self.0.decompress(input, out, true) {
            Ok(progress) => Ok(progress.output.len()),
            Err(Error::BufferFull) => Ok(out.len()),
            Err(_) => Err(Damage::Deflate),
        }
    }
}

/// True if `compressed` bytes can inflate to `size` bytes. Checked before memory is allocated.
pub fn is_possible(size: u64, compressed: usize) -> bool {
    size <= (compressed as u64).saturating_mul(MAX_RATIO).saturating_add(MAX_RATIO)
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inflater")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sirocco::deflate::Level;

    /// Output of the reference implementation, if the stream is complete and the output has exactly this length.
    fn reference(input: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; length + 1];
        let (filled, code) = zlib_rs::decompress_slice(&mut out, input, zlib_rs::InflateConfig::default());
        (code == zlib_rs::ReturnCode::Ok && filled.len() == length).then(|| filled.to_vec())
    }

    fn ours(input: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; length];
        Inflater::new().inflate(input, &mut out).ok().map(|()| out)
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::sample::select(vec!["key", "secret", " = ", "\n", "aws", "\u{0}", "0123456789"]);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            prop::collection::vec(words, 0..2000).prop_map(|words| words.concat().into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn the_library_agrees_with_the_reference(text in texts(), level in 1u8..=9, cut in 0usize..60, flip in any::<(usize, u8)>()) {
            let level = Level::new(level);
            let mut packed = sirocco::compress(Format::Zlib, level, &text);
            prop_assert_eq!(ours(&packed, text.len()), Some(text.clone()));
            prop_assert_eq!(reference(&packed, text.len()), Some(text.clone()));
            prop_assert_eq!(ours(&packed, text.len() + 1), None);
            packed.truncate(packed.len().saturating_sub(cut));
            if let Some(byte) = packed.len().checked_sub(1).map(|most| flip.0 % (most + 1)) {
                packed[byte] ^= flip.1;
            }
            prop_assert_eq!(ours(&packed, text.len()), reference(&packed, text.len()));
        }
    }

    #[test]
    fn impossible_sizes_are_known_before_they_cost_memory() {
        assert!(is_possible(1000, 11));
        assert!(!is_possible(100 << 30, 1 << 20));
        let zeros = sirocco::compress(Format::Zlib, Level::BEST, &vec![0; 1 << 22]);
        assert!(is_possible(1 << 22, zeros.len()));
    }
}
