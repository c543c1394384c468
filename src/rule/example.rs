//! Placeholders in examples and test cases: `{{akia}}` stands for a made-up key id.
//!
//! With them, no file of this repository, and no rule file of a user, has to contain anything that looks like a real
//! key. The same placeholder always expands to the same text. The forms:
//!
//! | placeholder | expands to |
//! |---|---|
//! | `{{akia}}`, `{{asia}}`, `{{abia}}`, `{{acca}}` | a key id with that prefix, of account 111122223333 |
//! | `{{secret}}` | a secret access key: 40 characters of `[A-Za-z0-9+/]` |
//! | `{{ses}}` | an SES SMTP password |
//! | `{{allow}}` | the marker of a comment that allows a finding |
//! | `{{base64:N}}`, `{{base64url:N}}`, `{{base62:N}}`, `{{base32:N}}`, `{{hex:N}}`, `{{digits:N}}`, `{{lower:N}}`, `{{upper:N}}`, `{{letters:N}}` | N random characters of that alphabet |
//! | `{{uuid}}` | a random UUID |
//!
//! A label after a space distinguishes values: `{{akia one}}` and `{{akia two}}` differ. Values can be encoded:
//! `{{secret | percent}}`, and likewise `base64` and `json` (with `\/`).

use crate::text::markers::MARKERS;
use data_encoding::BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Maximum number of characters of one placeholder.
const MAX_LENGTH: usize = 4096;

/// A text with expanded placeholders.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The text, as a scan would see it.
    pub text: String,
    /// The values of the placeholders, in order.
    pub values: Vec<Value>,
}

/// The value of one placeholder.
#[derive(Debug, PartialEq, Eq)]
pub struct Value {
    /// `akia`, `secret`, …
    pub kind: String,
    /// The label that distinguishes it from others of its kind.
    pub label: String,
    /// Byte range in [`Expanded::text`].
    pub range: Range<usize>,
}

/// Expands the placeholders of `template`; unknown forms stay as they are.
pub fn expand(template: &str) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        out.text.push_str(&rest[..open]);
        rest = &rest[open..];
        let value = rest.find("}}").and_then(|close| Some((close, Placeholder::parse(&rest[2..close]).make()?)));
        if let Some((close, value)) = value {
            let Placeholder { form, label, .. } = Placeholder::parse(&rest[2..close]);
            let kind = form.split(':').next().unwrap_or_default().to_owned();
            let start = out.text.len();
            out.text.push_str(&value);
            out.values.push(Value { kind, label: label.to_owned(), range: start..out.text.len() });
            rest = &rest[close + 2..];
        } else {
            out.text.push_str("{{");
            rest = &rest[2..];
        }
    }
    out.text.push_str(rest);
    out
}

/// The parts of `{{form label | writing}}`.
struct Placeholder<'a> {
    form: &'a str,
    label: &'a str,
    writing: Option<&'a str>,
}

impl<'a> Placeholder<'a> {
    fn parse(text: &'a str) -> Self {
        let (value, writing) = match text.split_once(" | ") {
            Some((value, writing)) => (value, Some(writing)),
            None => (text, None),
        };
        let (form, label) = value.split_once(' ').unwrap_or((value, ""));
        Self { form, label, writing }
    }

    fn make(&self) -> Option<String> {
        let value = make(self.form, self.label)?;
        match self.writing {
            None => Some(value),
            Some("base64") => Some(BASE64.encode(value.as_bytes())),
            Some("percent") => Some(utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string()),
            Some("json") => Some(value.replace('/', "\\/")),
            Some(_) => None,
        }
    }
}

fn make(form: &str, label: &str) -> Option<String> {
    let seed = format!("{form} {label}");
    let random = |alphabet: &str, n: usize| draw(&seed, alphabet.as_bytes(), n);
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGITS: &str = "0123456789";
    let base32 = format!("{UPPER}234567");
    let base64 = format!("{UPPER}{LOWER}{DIGITS}+/");
    match form {
        // The nine characters after the prefix are account 111122223333 (see `credential::account`).
        "akia" | "asia" | "abia" | "acca" => Some(form.to_ascii_uppercase() + "RTX3GSDSQ" + &random(&base32, 7)),
        "allow" => Some(MARKERS[0].to_owned()),
        "secret" => Some(secret(&seed, &base64)),
        "ses" => {
            let mut bytes = [0; 33];
            bytes[0] = 4;
            bytes[1..].copy_from_slice(&Sha256::digest(&seed));
            Some(BASE64.encode(&bytes))
        }
        "uuid" => {
            let hex = random("0123456789abcdef", 32);
            let parts =
                [&hex[..8], &hex[8..12], &format!("4{}", &hex[13..16]), &format!("a{}", &hex[17..20]), &hex[20..]];
            Some(parts.join("-"))
        }
        _ => {
            let (name, length) = form.split_once(':')?;
            let length = length.parse().ok().filter(|n| *n <= MAX_LENGTH)?;
            let alphabet = match name {
                "base64" => base64,
                "base62" => format!("{UPPER}{LOWER}{DIGITS}"),
                "base32" => base32,
                "hex" => "0123456789abcdef".into(),
                "digits" => DIGITS.into(),
                "lower" => format!("{LOWER}{DIGITS}"),
                "upper" => format!("{UPPER}{DIGITS}"),
                "letters" => format!("{UPPER}{LOWER}"),
                "base64url" => format!("{UPPER}{LOWER}{DIGITS}-_"),
                _ => return None,
            };
            Some(random(&alphabet, length))
        }
    }
}

/// A random secret that contains both characters that encodings change, so that escaping is always really tested.
fn secret(seed: &str, alphabet: &str) -> String {
    (0..u32::MAX)
        .map(|n| draw(&format!("{seed}#{n}"), alphabet.as_bytes(), 40))
        .find(|value| {
            value[1..39].contains('/') && value[1..39].contains('+') && value.as_bytes()[0].is_ascii_alphabetic()
        })
        .expect("one in three qualifies")
}

/// `length` characters of `alphabet`, a function of `seed` alone.
fn draw(seed: &str, alphabet: &[u8], length: usize) -> String {
    let bytes =
        (0u32..).flat_map(|block| Sha256::new().chain_update(seed).chain_update(block.to_le_bytes()).finalize());
    // Drop bytes past the last multiple of the alphabet's length, which would make its first characters likelier.
    let fair = 256 / alphabet.len() * alphabet.len();
    bytes
        .filter(|b| usize::from(*b) < fair)
        .take(length)
        .map(|b| char::from(alphabet[usize::from(b) % alphabet.len()]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_text_and_their_ranges_are_known() {
        let out = expand("id={{akia}} secret={{secret a}}\n{{unknown}} {{hex:99999}} {{ {{digits:3}}");
        assert_eq!(out.values.len(), 3);
        let Value { kind, label, range } = &out.values[1];
        assert_eq!((kind.as_str(), label.as_str(), range.len()), ("secret", "a", 40));
        assert!(out.text.ends_with(&format!(
            "\n{{{{unknown}}}} {{{{hex:99999}}}} {{{{ {}",
            &out.text[out.values[2].range.clone()]
        )));
    }

    #[test]
    fn values_can_be_written_in_other_ways() {
        let plain = expand("{{secret}}").text;
        assert_eq!(expand("{{secret | base64}}").text, BASE64.encode(plain.as_bytes()));
        assert_eq!(expand("{{secret | json}}").text.replace("\\/", "/"), plain);
        assert!(expand("{{secret | percent}}").text.contains("%2F"));
        assert_eq!(expand("{{secret | rot13}}").text, "{{secret | rot13}}");
    }

    #[test]
    fn the_same_placeholder_is_always_the_same_and_labels_tell_apart() {
        assert_eq!(expand("{{secret}}"), expand("{{secret}}"));
        assert_ne!(expand("{{secret a}}").text, expand("{{secret b}}").text);
        assert_ne!(expand("{{akia a}}").text, expand("{{akia b}}").text);
    }
}
