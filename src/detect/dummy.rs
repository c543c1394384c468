//! Keys that are nobody's: the examples of AWS's documentation, and placeholders.
//!
//! They are recognised so that they can be *said*: counted, and shown on request, but never a failure.

/// Why a value is not a real credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dummy {
    /// An example of AWS's documentation: it holds the word `EXAMPLE`.
    Documented,
    /// A value that someone wrote to stand for a key: repeated or counted-up characters, words.
    Placeholder,
}

impl Dummy {
    /// In a report: "this is …".
    pub fn describe(self) -> &'static str {
        match self {
            Self::Documented => "an example from AWS documentation",
            Self::Placeholder => "a placeholder",
        }
    }
}

/// Longest stretch of equal or counted-up characters that chance allows (about 1 in 10⁶ over 40 characters).
const LONGEST_CHANCE: usize = 5;

/// What a 20-character key id is, if it is no real one.
pub fn in_key_id(id: &[u8]) -> Option<Dummy> {
    const WORDS: [&str; 13] = [
        "SAMPLE",
        "DUMMY",
        "FAKEKEY",
        "TESTKEY",
        "TESTTEST",
        "ACCESSKEY",
        "YOURKEY",
        "SECRET",
        "REDACTED",
        "PLACEHOLDER",
        "CHANGEME",
        "INVALID",
        "NOTREAL",
    ];
    let random = std::str::from_utf8(&id[4..]).ok()?;
    if random.contains("EXAMPLE") {
        Some(Dummy::Documented)
    } else if WORDS.iter().any(|word| random.contains(word)) || has_filler(random.as_bytes()) {
        Some(Dummy::Placeholder)
    } else {
        None
    }
}

/// What an id from before IAM is, if it is no real one.
pub fn in_legacy_id(id: &str) -> Option<Dummy> {
    (id == "022QF06E7MXBSH9DHM02").then_some(Dummy::Documented)
}

/// What a 40-character secret is, if it is no real one.
pub fn in_secret(secret: &str) -> Option<Dummy> {
    const WORDS: [&str; 11] = [
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
    ];
    let lower = secret.to_ascii_lowercase();
    if lower.contains("example") {
        Some(Dummy::Documented)
    } else if WORDS.iter().any(|word| lower.contains(word)) || has_filler(secret.as_bytes()) {
        Some(Dummy::Placeholder)
    } else {
        None
    }
}

/// Equal characters in a row, counted-up ones (`abcdef`, `123456`), or a keyboard's row.
fn has_filler(text: &[u8]) -> bool {
    const KEYBOARD: [&[u8]; 4] = [b"qwerty", b"asdfgh", b"zxcvbn", b"1234567890"];
    let [mut equal, mut up] = [1; 2];
    for pair in text.windows(2) {
        equal = if pair[0] == pair[1] { equal + 1 } else { 1 };
        let counts = pair[1] == pair[0].wrapping_add(1) && pair[1].is_ascii_alphanumeric();
        up = if counts { up + 1 } else { 1 };
        if equal > LONGEST_CHANCE || up > LONGEST_CHANCE {
            return true;
        }
    }
    let lower = text.to_ascii_lowercase();
    KEYBOARD.iter().any(|row| memchr::memmem::find(&lower, row).is_some()) || is_periodic(text)
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
    counts.iter().filter(|&&n| n > 0).map(|&n| f64::from(n) / total).map(|p| -p * p.log2()).sum()
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
