//! Hiding secrets in what is shown.

use crate::detect::finder::{SECRET_LEN, is_base64};
use std::borrow::Cow;
use std::ops::Range;

/// What stands for a hidden character.
pub const MASK: char = '*';

/// Texts of letters and digits of at least this length are hidden in excerpts if they look random, whether or not a
/// rule speaks of them: a line with one secret often holds another.
const LONG: usize = 24;

/// A value with every character hidden. Its length is kept, so that it still lines up with columns.
pub fn mask(value: &str) -> Cow<'static, str> {
    /// Most secrets are no longer than this; a report may hold a million of them.
    const MASKS: &str = "****************************************************************";
    let length = value.chars().count();
    match MASKS.get(..length) {
        Some(mask) => mask.into(),
        None => MASK.to_string().repeat(length).into(),
    }
}

/// `text` with every one of `secrets` hidden, and every run of characters of which secrets and their escapes are made
/// that is longer than words are.
pub fn redact<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let exact = secrets
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, &mask(secret)));
    let is_run = |c: char| c.is_ascii() && is_base64(c as u8) || matches!(c, '%' | '\\' | '=' | '&' | '#' | ';');
    let mut out = String::with_capacity(exact.len());
    let mut rest = exact.as_str();
    while let Some(start) = rest.find(is_run) {
        let end = rest[start..].find(|c| !is_run(c)).map_or(rest.len(), |length| start + length);
        out.push_str(&rest[..start]);
        let run = &rest[start..end];
        out.push_str(&if run.len() >= LONG { mask(run) } else { run.into() });
        rest = &rest[end..];
    }
    out + rest
}

/// Hides what looks like a random token, but for the bytes that are `spared`.
pub fn hide_random_tokens(text: &mut [u8], spared: impl Fn(usize) -> bool) {
    let tokens: Vec<_> = random_tokens(text).collect();
    for at in tokens.into_iter().flatten().filter(|at| !spared(*at)) {
        text[at] = MASK as u8;
    }
}

/// Hides in a name what has the length and the letters of a secret access key between other characters: nothing in a name
/// says what it is, and most of a name must stay, so that people find what it is of.
pub fn hide_secrets_in_name(name: &mut [u8]) {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+';
    for run in name.chunk_by_mut(|a, b| is_part(a) == is_part(b)) {
        let has = |class: fn(&u8) -> bool| run.iter().any(class);
        if run.len() == SECRET_LEN && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
            run.fill(MASK as u8);
        }
    }
}

/// The stretches of `text` that look like random tokens.
pub fn random_tokens(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_token = |b: u8| is_base64(b) || matches!(b, b'_' | b'-' | b'%' | b'.' | b'~' | b'!');
    let mut end = 0;
    text.chunk_by(move |a, b| is_token(*a) == is_token(*b)).filter_map(move |chunk| {
        let start = end;
        end += chunk.len();
        // Padding and a full stop are not part of it.
        let length = chunk.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |last| last + 1);
        let long = length >= LONG && is_token(chunk[0]);
        (long && looks_random(&chunk[..length])).then_some(start..start + length)
    })
}

fn looks_random(token: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| token.iter().any(class);
    let digit = has(u8::is_ascii_digit);
    let hex = token.iter().all(u8::is_ascii_hexdigit);
    digit
        && (hex || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
        && crate::detect::dummy::entropy(token) > 3.5
}

/// A text that comes from a scanned file without long words in it: no name is as long, and a secret is.
pub fn hide_long_words(text: &str) -> String {
    const LONGEST: usize = 32;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        // The parts of a path are words of their own.
        let longest = word.split('/').map(str::len).max().unwrap_or(0);
        let is_path = word.contains('/') && longest < 20 && !word.bytes().any(|b| b.is_ascii_digit() || b == b'+');
        let is_hash = word.len() == 64 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if word.len() < LONGEST || is_path || is_hash {
            out.push_str(word);
        } else {
            out.extend(std::iter::repeat_n(MASK, word.len()));
        }
        rest = &rest[word.len()..];
    }
    out + rest
}

/// A name that somebody wrote where names are expected, in backticks; no name at all if it could be anything else, as a
/// secret that was pasted in the wrong place.
pub fn name_shown(name: &str) -> String {
    const MAX_NAME: usize = 40;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let is_word = |word: &str| word.len() <= 16 && !(word.len() > 4 && word.bytes().any(|b| b.is_ascii_digit()));
    if name.len() <= MAX_NAME && name.chars().all(is_name) && name.split(['-', '_', '.']).all(is_word) {
        format!("`{name}`")
    } else {
        "(not shown: it does not look like a name)".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[test]
    fn nothing_but_the_length_is_left() {
        assert_eq!(mask("pä$$"), "****");
    }

    #[test]
    fn redacted_text_holds_no_secret_in_any_spelling() {
        let secret = expand("{{secret}}").text;
        for spelling in ["{{secret}}", "{{secret | percent}}", "{{secret | json}}", "{{secret | base64}}"] {
            let text = expand(&format!("*/ key = \"{spelling}\" see https://example.com/a/b")).text;
            let redacted = redact(&text, [secret.as_str(), "short"].into_iter());
            assert!(
                redacted.starts_with("*/ key = \"***") && redacted.ends_with("*\" see https://example.com/a/b"),
                "{redacted}"
            );
        }
        assert_eq!(redact("a short one", ["short"].into_iter()), "a ***** one");
    }

    #[test]
    fn random_tokens_are_found_and_words_are_not() {
        let text =
            expand("password = {{base62:30}} in https://example.com/some/long/path/of/words_and_names x{{hex:40}}")
                .text;
        let found: Vec<_> = random_tokens(text.as_bytes()).map(|range| range.len()).collect();
        assert_eq!(found, [30]);
        let hash = expand("commit {{hex:40}}.").text;
        assert_eq!(random_tokens(hash.as_bytes()).count(), 1);
    }

    #[test]
    fn only_names_are_shown_as_names() {
        for name in ["org_domain", "aws-report-key-older-90d", "allow", ""] {
            assert_eq!(name_shown(name), format!("`{name}`"));
        }
        for other in
            ["{{akia}}", "{{secret}}", "{{base62:20}}", "{{hex:20}}", "a\n::stop-commands::x", "{{hex:12}}-{{hex:12}}"]
        {
            let other = expand(other).text;
            assert!(!name_shown(&other).contains(&other), "{other}");
        }
    }

    #[test]
    fn long_words_are_hidden_and_names_are_not() {
        let secret = crate::rule::example::expand("{{secret}}").text;
        assert_eq!(hide_long_words(&format!("profile {secret}!")), format!("profile {}!", "*".repeat(40)));
        assert_eq!(hide_long_words(&format!("x_{secret}")), format!("x_{}", "*".repeat(40)));
        for name in ["arn:aws:iam::111122223333:user/ann", "src/some/longer/path/to/some/file/name.rs", "", "äöü"] {
            assert_eq!(hide_long_words(name), name);
        }
    }
}
