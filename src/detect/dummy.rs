//! Values that are not real keys: the examples in AWS's documentation, and placeholders.
//!
//! They are recognised so that they can be counted, and shown on request, but never cause a failure.

use crate::finding::Dummy;
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// Longest run of equal or sequential characters that chance allows (about 1 in 10⁶ over 40 characters).
const MAX_CHANCE: usize = 5;

/// Rows of a keyboard.
const KEYBOARD: [&str; 4] = ["qwerty", "asdfgh", "zxcvbn", "1234567890"];

/// Matches placeholder words in any case; the first is the one in AWS's examples.
fn words(others: &[&str]) -> AhoCorasick {
    let words = ["example"].into_iter().chain(others.iter().copied()).chain(KEYBOARD);
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(words)
        .expect("a few short words are far below the limits")
}

/// Judges `text` by the first of `words`, by any other, or by repetition.
fn told_by(words: &AhoCorasick, text: &[u8]) -> Option<Dummy> {
    let is_documented = || words.find_overlapping_iter(text).any(|found| found.pattern().as_usize() == 0);
    match words.is_match(text) {
        true if is_documented() => Some(Dummy::Documented),
        true => Some(Dummy::Placeholder),
        false => has_filler(text).then_some(Dummy::Placeholder),
    }
}

/// How AWS's example of an id begins: others made theirs from it, such as `AKIAIOSFOLQUICKSTART`. By chance one id in 33 million
/// begins so.
const STEM_OF_EXAMPLES: &[u8] = b"IOSFO";

/// Why a 20-character key id is not a real one, if so.
pub fn in_key_id(id: &[u8]) -> Option<Dummy> {
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        words(&[
            "sample",
            "dummy",
            "fakekey",
            "testkey",
            "testtest",
            "accesskey",
            "yourkey",
            "secret",
            "redacted",
            "placeholder",
            "changeme",
            "invalid",
            "notreal",
        ])
    });
    let own = &id[4..];
    if own.starts_with(STEM_OF_EXAMPLES) { Some(Dummy::Documented) } else { told_by(&WORDS, own) }
}

/// Pairs that documentation shows or that everyone is told to use: the id, and how the secret begins. AWS's from before
/// 2009 (S3's developer guide), then those of `play.min.io`, of Ceph's object gateway and of the client `mc`.
const DOCUMENTED: [(&str, &str); 8] = [
    ("022QF06E7MXBSH9DHM02", "kWcrlUX5JEDG"),
    ("0PN5J17HBGZHT7JJ3X82", "uV3F3YluFJax"),
    ("0PN6J17HBGXHT7JJ3X82", "uV3F3YluFJax"),
    ("44CF9590006BF252F707", "OtxrzxIsfpFj"),
    ("Q3AM3UQ867SPQQA43P2F", "zuf+tfteSlsw"),
    ("11BS02LGFB6AL6H1ADMW", "vzCEkuryfn06"),
    ("11BS02LGFB6AL6H1ADMW", "E9T2rUZNu2gx"),
    ("BKIKJAA5BMMU2RHO6IBB", "V7f1CwQqAcwo"),
];

/// Why an id that is not of AWS's form today is not a real one, if so.
pub fn in_other_id(id: &str) -> Option<Dummy> {
    let is_documented = DOCUMENTED.iter().any(|(documented, _)| *documented == id);
    if is_documented { Some(Dummy::Documented) } else { in_key_id(id.as_bytes()) }
}

/// Why a 40-character secret is not a real one, if so.
pub fn in_secret(secret: &str) -> Option<Dummy> {
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        words(&[
            "sample",
            "dummy",
            "fakekey",
            "testkey",
            "testtest",
            "secretkey",
            "accesskey",
            "redacted",
            "placeholder",
            "changeme",
            "notreal",
        ])
    });
    let is_documented = DOCUMENTED.iter().any(|(_, start)| secret.starts_with(start));
    if is_documented { Some(Dummy::Documented) } else { told_by(&WORDS, secret.as_bytes()) }
}

/// True for what AWS's documentation writes into keys and tokens, and for the passwords of services that the examples of the
/// AWS CLI show (`iam create-service-specific-credential` and `reset-service-specific-credential`).
pub fn is_documented(token: &[u8]) -> bool {
    const MARKS: [&[u8]; 2] = [b"EXAMPLE", b"ACCESSTOKEN"];
    const PASSWORDS: [&[u8]; 2] = [b"k1zPZM6uVxMQ", b"+oaFsNk7tLco"];
    MARKS.iter().any(|mark| memchr::memmem::find(token, mark).is_some())
        || PASSWORDS.iter().any(|start| token.starts_with(start))
}

/// True for what is written as the name of a constant or of an environment variable: `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
/// By chance, one token of 20 characters in ten million is.
pub fn is_name(token: &[u8]) -> bool {
    token.contains(&b'_') && token.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
}

/// Why the token or password of another vendor is not a real one, if so.
pub fn in_token(token: &[u8]) -> Option<Dummy> {
    static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
        words(&[
            "sample",
            "dummy",
            "fakekey",
            "faketoken",
            "testkey",
            "testtoken",
            "testtest",
            "secretkey",
            "accesskey",
            "accesstoken",
            "apikey",
            "api_key",
            "api-key",
            "your_",
            "your-",
            "redacted",
            "placeholder",
            "changeme",
            "notreal",
            "service-account",
            "insert",
            "replace",
            "deadbeef",
            "abcdef",
            "12345678",
            "00000000",
            "xxxxx",
        ])
    });
    told_by(&WORDS, token)
}

/// True for equal characters in a row, sequential ones (`abcdef`, `123456`), or a repeated stretch.
fn has_filler(text: &[u8]) -> bool {
    let [mut equal, mut up] = [1; 2];
    for pair in text.windows(2) {
        equal = if pair[0] == pair[1] { equal + 1 } else { 1 };
        let counts = pair[1] == pair[0].wrapping_add(1) && pair[1].is_ascii_alphanumeric();
        up = if counts { up + 1 } else { 1 };
        if equal > MAX_CHANCE || up > MAX_CHANCE {
            return true;
        }
    }
    is_periodic(text)
}

/// True if the text repeats a stretch of at most 10 characters (`ABCDABCDABCD`).
fn is_periodic(text: &[u8]) -> bool {
    (1..=10.min(text.len() / 2)).any(|period| text.iter().zip(&text[period..]).all(|(a, b)| a == b))
}

/// Shannon entropy of the bytes, in bits per byte.
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&b| counts[usize::from(b)] += 1);
    let total = bytes.len() as f64;
    // Computed as log2(total) - sum(n log2 n) / total: bytes that occur once, as most in a secret do, add nothing to
    // the sum.
    let repeated: f64 = counts.iter().filter(|&&n| n > 1).map(|&n| f64::from(n) * f64::from(n).log2()).sum();
    let entropy = if bytes.is_empty() { 0.0 } else { total.log2() - repeated / total };
    // Eight equally common characters give exactly 3, and not a little less.
    (entropy * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[test]
    fn documented_and_filler_secrets_are_told() {
        for secret in ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"] {
            assert_eq!(in_secret(secret), Some(Dummy::Documented));
        }
        let fillers = [
            "x".repeat(40),
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN".into(),
            "aB3/".repeat(10),
            "1234567890abcdefghij1234567890abcdefghij".into(),
        ];
        for secret in fillers {
            assert_eq!(in_secret(&secret), Some(Dummy::Placeholder), "{secret}");
        }
    }

    #[test]
    fn random_keys_are_hardly_ever_taken_for_placeholders() {
        let count = 20_000;
        let taken = (0..count)
            .filter(|n| {
                let pair = expand(&format!("{{{{akia {n}}}}} {{{{secret {n}}}}}")).text;
                in_key_id(&pair.as_bytes()[..20]).is_some() || in_secret(&pair[21..]).is_some()
            })
            .count();
        assert!(taken <= 2, "{taken} of {count} random pairs were taken for placeholders");
    }

    #[test]
    fn entropy_is_shannons() {
        assert!(entropy(b"aaaa").abs() < 1e-12);
        assert!((entropy(b"abcd") - 2.0).abs() < 1e-12);
        assert!(entropy(b"").abs() < 1e-12);
    }
}
