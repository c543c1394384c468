//! The literals that a search looks for, whatever the rules: prefixes of key ids, what such a prefix looks like in other
//! encodings, words that announce a secret, and comments that allow a finding.
//!
//! `build.rs` reads this, too.

use crate::text::alphabet::PREFIXES;
use crate::text::markers::MARKERS;

/// What a literal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The prefix of a key id.
    KeyId,
    /// A keyword of the rule at this position of the rule set.
    Keyword(usize),
    /// The first characters of something in base64; `phase` is the place of the first in its group of four (0 to 3).
    Base64 {
        /// 0 to 3.
        phase: u8,
    },
    /// An escaped letter that a key id may start with.
    Escape,
    /// The first elements of a list of bytes that may be a key id's.
    Array,
    /// Wide letters of a word such as `AKIA`, after a zero byte, whatever the byte order.
    Utf16,
    /// A word that may precede a secret.
    SecretWord,
    /// A comment that allows a finding, keyspill's or another scanner's.
    AllowComment,
}

/// The start of IAM's credential report: a whole number of base64 groups, so that their encoded form is known, too.
pub const CREDENTIAL_REPORT: &[u8; 27] = b"user,arn,user_creation_time";

/// Invisible characters that web pages, chat and word processors insert: zero-width space, non-joiner and joiner, word
/// joiner, soft hyphen.
pub const INVISIBLE: [&[u8]; 5] = [b"\xe2\x80\x8b", b"\xe2\x80\x8c", b"\xe2\x80\x8d", b"\xe2\x81\xa0", b"\xc2\xad"];

/// Words whose base64 is looked for; the wide ones, as in PowerShell's encoded commands, are cut to what several have in
/// common.
const IN_BASE64: [&str; 8] = ["AKIA", "ASIA", "ABIA", "ACCA", "ecret", "ECRET", "A\0K\0I\0A\0", "A\0S\0I\0A\0"];

const WIDE: [&str; 4] = ["\0I\0A", "\0C\0A", "\0c\0r\0e", "\0C\0R\0E"];

const ESCAPED: [&str; 10] =
    [r"%41%", r"%2541%", r"\x41\x", r"\u0041\u", r"\101\1", r"\0101\01", "&#65;&#", "&#x41;&#", "=41=4", "=41=5"];

/// The starts of byte lists of key ids, as programs and people write them.
const ARRAYS: [&str; 12] = [
    "0x41, 0x",
    "0x41,0x",
    "0x41, (byt",
    "0x41,(byt",
    "65, 75, ",
    "65,75,",
    "65, 83, ",
    "65,83,",
    "65, (byt",
    "65,(byt",
    "'A', '",
    "'A','",
];

const SECRET_WORDS: [&str; 2] = ["ecret", "ECRET"];

/// All literals, and what each stands for.
pub fn all() -> Vec<(Vec<u8>, Mark)> {
    let mut all: Vec<(Vec<u8>, Mark)> = Vec::new();
    let mut add = |texts: &[&str], mark| all.extend(texts.iter().map(|text| (text.as_bytes().to_vec(), mark)));
    add(&PREFIXES, Mark::KeyId);
    add(&ESCAPED, Mark::Escape);
    add(&ARRAYS, Mark::Array);
    add(&WIDE, Mark::Utf16);
    add(&SECRET_WORDS, Mark::SecretWord);
    add(&MARKERS, Mark::AllowComment);
    all.extend(INVISIBLE.iter().flat_map(|invisible| cut_prefixes(invisible)).map(|cut| (cut, Mark::Escape)));
    // The CLI's JSON wraps a credential report.
    all.push((data_encoding::BASE64_NOPAD.encode(CREDENTIAL_REPORT).into(), Mark::Base64 { phase: 0 }));
    let in_base64 = IN_BASE64.iter().flat_map(|word| base64_of(word.as_bytes()));
    all.extend(in_base64.map(|(text, phase)| (text, Mark::Base64 { phase })));
    all
}

/// The characters that the base64 of `word` always has in each of its three alignments, and the place of the
/// first of them in its group of four. Characters that also depend on the word's neighbours are left out.
pub fn base64_of(word: &[u8]) -> impl Iterator<Item = (Vec<u8>, u8)> {
    (0..3usize).map(move |before| {
        let padded = [&vec![0; before][..], word].concat();
        let encoded = data_encoding::BASE64_NOPAD.encode(&padded).into_bytes();
        // Bit 8*before is the word's first; a character holds six bits.
        let first = (8 * before).div_ceil(6);
        let last = 8 * padded.len() / 6;
        (encoded[first..last].to_vec(), (first % 4) as u8)
    })
}

/// The prefixes of ids that users and roles have, split by such a character: as much of them as is distinctive.
fn cut_prefixes(invisible: &[u8]) -> Vec<Vec<u8>> {
    let mut cuts = Vec::new();
    for prefix in [b"AKIA", b"ASIA"] {
        for at in 1..prefix.len() {
            // The letter after it is only needed where the character is short.
            let after = if invisible.len() > 2 { at } else { at + 1 };
            let cut = [&prefix[at - 1..at], invisible, &prefix[at..after]].concat();
            if !cuts.contains(&cut) {
                cuts.push(cut);
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_in_three_alignments_is_the_published_one() {
        let of = |word: &str| {
            base64_of(word.as_bytes()).map(|(text, _)| String::from_utf8(text).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of("AKIA"), ["QUtJQ", "FLSU", "BS0lB"]);
        assert_eq!(of("ASIA"), ["QVNJQ", "FTSU", "BU0lB"]);
    }
}
