//! Hiding secrets in what is shown.

use crate::detect::finder::is_base64;
use std::ops::Range;

/// What stands for a hidden character.
pub const MASK: char = '*';

/// Texts of letters and digits of at least this length are hidden in excerpts if they look random, whether or not a
/// rule speaks of them: a line with one secret often holds another.
const LONG: usize = 24;

/// A value with every character hidden. Its length is kept, so that it still lines up with columns.
pub fn mask(value: &str) -> String {
    MASK.to_string().repeat(value.chars().count())
}

/// The stretches of `text` that look like random tokens.
pub fn random_tokens(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_token = |b: u8| is_base64(b) || matches!(b, b'_' | b'-' | b'=' | b'%' | b'.' | b'~' | b'!');
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    #[test]
    fn nothing_but_the_length_is_left() {
        assert_eq!(mask("pä$$"), "****");
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
}
