//! The two byte-level searches everything else hangs on: key-id positions and long base64 runs.
//!
//! They run over every byte of every blob, so they are vectorised where the machine allows it
//! (AVX2). The scalar twin in [`scalar`] is the specification: a property test holds the two equal.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub mod scalar;

use std::ops::Range;

/// Length in bytes of an access key id: a 4-letter prefix and 16 characters
/// ([IAM unique identifiers](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids)).
pub const ID_LEN: usize = 20;

/// Length in bytes of a secret access key, and so of the shortest run that [`base64_runs`] reports.
pub const SECRET_LEN: usize = 40;

/// Appends the offset of every byte sequence that is spelled like an access key id: one of the
/// prefixes `AKIA`, `ASIA`, `ABIA`, `ACCA`, then 16 of `[A-Z0-9]`. What stands on either side is
/// not looked at, so overlapping and embedded ids are reported too; offsets ascend.
pub fn key_ids(haystack: &[u8], found: &mut Vec<usize>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Finder::detect() {
        return avx2.key_ids(haystack, found);
    }
    scalar::key_ids(haystack, found);
}

/// Appends every maximal run of at least [`SECRET_LEN`] bytes of `[A-Za-z0-9+/]`, in order.
pub fn base64_runs(haystack: &[u8], found: &mut Vec<Range<usize>>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Finder::detect() {
        return avx2.base64_runs(haystack, found);
    }
    scalar::base64_runs(haystack, found);
}

/// True for the 64 characters of standard base64, which are also those of a secret access key.
#[inline]
pub fn is_base64(byte: u8) -> bool {
    CLASS[byte as usize] & BASE64 != 0
}

/// True if `bytes` starts with something spelled like a key id.
#[inline]
fn starts_with_id(bytes: &[u8]) -> bool {
    let Some(id) = bytes.first_chunk::<ID_LEN>() else { return false };
    matches!(&id[..4], b"AKIA" | b"ASIA" | b"ABIA" | b"ACCA")
        && id[4..].iter().all(|&b| CLASS[b as usize] & UPPER_OR_DIGIT != 0)
}

const BASE64: u8 = 1;
const UPPER_OR_DIGIT: u8 = 2;

static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() || b == b'+' || b == b'/' {
            table[i] |= BASE64;
        }
        if b.is_ascii_uppercase() || b.is_ascii_digit() {
            table[i] |= UPPER_OR_DIGIT;
        }
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both_ids(bytes: &[u8]) -> (Vec<usize>, Vec<usize>) {
        let (mut fast, mut slow) = (vec![], vec![]);
        key_ids(bytes, &mut fast);
        scalar::key_ids(bytes, &mut slow);
        (fast, slow)
    }

    fn both_runs(bytes: &[u8]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        let (mut fast, mut slow) = (vec![], vec![]);
        base64_runs(bytes, &mut fast);
        scalar::base64_runs(bytes, &mut slow);
        (fast, slow)
    }

    /// Text in which runs and ids are common, of every length around the vector widths.
    fn dense() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[A-Za-z0-9+/]{1,130}".prop_map(String::into_bytes),
            "(AKIA|ASIA|ABIA|ACCA|AAAA|AKA)[A-Z0-9]{14,18}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 1..4),
            "[ =\"\n._-]{1,3}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn vector_and_scalar_agree(bytes in dense()) {
            let (fast, slow) = both_ids(&bytes);
            prop_assert_eq!(fast, slow);
            let (fast, slow) = both_runs(&bytes);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn runs_are_what_the_regex_finds(bytes in dense()) {
            let regex = regex::bytes::Regex::new("(?-u)[A-Za-z0-9+/]{40,}").unwrap();
            let expected: Vec<_> = regex.find_iter(&bytes).map(|m| m.range()).collect();
            prop_assert_eq!(both_runs(&bytes).1, expected);
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
        }
    }

    #[test]
    fn an_id_is_found_at_every_offset() {
        let id = ["AKIA", "RZPUZDIKA2345672"].concat();
        for before in 0..130 {
            for after in [0, 1, 12, 64] {
                let text = [vec![b'A'; before], id.clone().into_bytes(), vec![b' '; after]].concat();
                let (fast, slow) = both_ids(&text);
                assert_eq!(fast, slow);
                assert_eq!(slow, [before]);
            }
        }
    }
}
