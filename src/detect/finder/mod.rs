//! The three byte-level searches that everything else depends on: for literals, for long runs of base64, and for runs of
//! letters and digits.
//!
//! They run over every byte of every blob, so they are vectorised where the machine allows it: all with AVX2 and
//! AVX-512, the literal search also with NEON. The scalar versions are the specification: property tests check that they agree.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod bigrams;
mod fragments;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(dead_code, reason = "parts of it serve the vectorised searches alone")
)]
pub mod literals;
#[cfg(target_arch = "aarch64")]
mod neon;
pub mod placement;
#[cfg(target_arch = "x86_64")]
mod runs;
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "parts of it serve the vectorised search alone"))]
pub mod scalar;

use crate::rule::MIN_RUN;
use crate::text::alphabet::SECRET_LEN;
use std::ops::Range;

/// Appends every maximal run of at least [`SECRET_LEN`] bytes of `[A-Za-z0-9+/]`, in order.
pub fn base64_runs(haystack: &[u8], found: &mut Vec<Range<usize>>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Finder::detect() {
        return avx2.base64_runs(haystack, found);
    }
    scalar::base64_runs(haystack, found);
}

/// Calls `found` with every maximal run of at least [`MIN_RUN`] bytes of `[A-Za-z0-9_-]`, in order.
pub fn word_runs(haystack: &[u8], found: impl FnMut(Range<usize>)) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Finder::detect() {
        return avx2.word_runs(haystack, found);
    }
    scalar::word_runs(haystack, found);
}

/// Both searches for runs: [`base64_runs`] and [`word_runs`].
pub fn runs(haystack: &[u8], base64: &mut Vec<Range<usize>>, word: impl FnMut(Range<usize>)) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx512) = avx512::Finder::detect() {
        return avx512.runs(haystack, base64, word);
    }
    base64_runs(haystack, base64);
    word_runs(haystack, word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both_word_runs(bytes: &[u8]) -> [Vec<Range<usize>>; 2] {
        let (mut fast, mut slow) = (vec![], vec![]);
        word_runs(bytes, |run| fast.push(run));
        scalar::word_runs(bytes, |run| slow.push(run));
        let mut in_one_pass = vec![];
        runs(bytes, &mut vec![], |run| in_one_pass.push(run));
        assert_eq!(in_one_pass, slow);
        [fast, slow]
    }

    fn both_runs(bytes: &[u8]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        let (mut fast, mut slow) = (vec![], vec![]);
        base64_runs(bytes, &mut fast);
        scalar::base64_runs(bytes, &mut slow);
        let mut in_one_pass = vec![];
        runs(bytes, &mut in_one_pass, |_| ());
        assert_eq!(in_one_pass, slow);
        (fast, slow)
    }

    /// Text in which runs are common, of every length around the vector widths.
    fn dense() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[A-Za-z0-9+/]{1,130}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 1..4),
            "[A-Za-z0-9_-]{17,23}".prop_map(String::into_bytes),
            "[ =\"\n._-]{1,3}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn vector_and_scalar_agree(bytes in dense()) {
            let (fast, slow) = both_runs(&bytes);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn runs_are_what_the_regex_finds(bytes in dense()) {
            let regex = regex::bytes::Regex::new("(?-u)[A-Za-z0-9+/]{40,}").unwrap();
            let expected: Vec<_> = regex.find_iter(&bytes).map(|m| m.range()).collect();
            prop_assert_eq!(both_runs(&bytes).1, expected);
            let regex = regex::bytes::Regex::new("(?-u)[A-Za-z0-9_-]{20,}").unwrap();
            let expected: Vec<_> = regex.find_iter(&bytes).map(|m| m.range()).collect();
            prop_assert_eq!(both_word_runs(&bytes), [expected.clone(), expected]);
        }
    }

    #[test]
    fn a_run_is_found_at_every_offset_and_length() {
        for before in 0..130 {
            for length in [39, 40, 41, 64, 65, 99, 100, 101, 160] {
                for after in [0, 1, 31, 64, 130] {
                    let text = [vec![b' '; before], vec![b'x'; length], vec![b' '; after]].concat();
                    let expected = if length >= SECRET_LEN { vec![before..before + length] } else { vec![] };
                    assert_eq!(both_runs(&text), (expected.clone(), expected), "{before} {length} {after}");
                }
            }
            for length in [19, 20, 21, 63, 64, 65, 83, 84, 85, 128, 150] {
                for after in [0, 1, 31, 64, 130] {
                    let text = [vec![b' '; before], vec![b'_'; length], vec![b' '; after]].concat();
                    let expected = if length >= MIN_RUN { vec![before..before + length] } else { vec![] };
                    assert_eq!(both_word_runs(&text), [expected.clone(), expected], "{before} {length} {after}");
                }
            }
        }
    }
}
