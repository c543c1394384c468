//! Hides secrets in what is shown.

use crate::text::alphabet::{ID_LEN, PREFIXES};
use crate::text::alphabet::{SECRET_LEN, is_base64};
use std::borrow::Cow;
use std::ops::Range;

/// Shown in place of a hidden character.
pub const MASK: char = '*';

/// Minimum length of a run that is hidden in reasons.
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

/// `text` with all `secrets` hidden, and every run of characters that occur in secrets and their escapes if it is
/// longer than words are.
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

/// Hides everything in a line of scanned text that could be part of a key, except the `spared` bytes: a secret split
/// into pieces (`"…20 characters" + "…20 more"`) leaves pieces that no rule knows. Words, as in prose or combined in
/// names, and short numbers stay.
pub fn hide_key_material(text: &mut [u8], spared: impl Fn(usize) -> bool) {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'+';
    let mut end = 0;
    let mut hidden: Vec<Range<usize>> = text
        .chunk_by(|a, b| is_part(*a) == is_part(*b))
        .filter_map(|chunk| {
            let start = end;
            end += chunk.len();
            (is_part(chunk[0]) && !is_word(chunk)).then_some(start..end)
        })
        .collect();
    hidden.retain(|part| !part.clone().all(&spared));
    // A slash next to such a part belongs to it.
    for part in &mut hidden {
        part.start -= usize::from(part.start > 0 && text[part.start - 1] == b'/');
        part.end += usize::from(text.get(part.end) == Some(&b'/'));
    }
    for at in hidden.into_iter().flatten().filter(|at| !spared(*at)) {
        text[at] = MASK as u8;
    }
}

/// A text with everything hidden that could be part of a key, except ids and words.
pub fn without_key_material(text: &[u8]) -> String {
    let mut shown = text.to_vec();
    let ids: Vec<usize> =
        PREFIXES.iter().flat_map(|prefix| memchr::memmem::find_iter(text, prefix.as_bytes())).collect();
    hide_key_material(&mut shown, |at| ids.iter().any(|id| (*id..*id + ID_LEN).contains(&at)));
    String::from_utf8_lossy(&shown).into_owned()
}

/// True if a run is not part of a key: too short, a number like an account's, or words with a short number after them.
fn is_word(run: &[u8]) -> bool {
    /// Three characters of a secret are of no use to anyone.
    const SHORT: usize = 3;
    /// An account number has twelve digits.
    const MAX_NUMBER: usize = 12;
    /// `sha256`, `user2026`.
    const MAX_SUFFIX: usize = 4;
    /// More random letters than this are hardly ever all of one case.
    const MAX_LETTERS: usize = 24;
    if run.len() <= SHORT || run.len() <= MAX_NUMBER && run.iter().all(u8::is_ascii_digit) {
        return true;
    }
    let digits = run.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let letters = &run[..run.len() - digits];
    digits <= MAX_SUFFIX
        && letters.iter().all(u8::is_ascii_alphabetic)
        && letters.len() <= MAX_LETTERS
        && are_words(letters)
}

/// True for letters cased like words: `secret`, `Secret`, `SECRET`, `accessKeyId`, `BasicAWSCredentials`. Each word has
/// at least three letters, or two at the end (`Id`, `Of`).
fn are_words(letters: &[u8]) -> bool {
    // An uppercase letter after or before a lowercase one starts a word.
    let starts = (1..letters.len()).filter(|at| {
        let is_upper = |at: usize| letters.get(at).is_some_and(u8::is_ascii_uppercase);
        is_upper(*at) && (!is_upper(at - 1) || letters.get(at + 1).is_some_and(u8::is_ascii_lowercase))
    });
    let ends: Vec<usize> = starts.chain([letters.len()]).collect();
    let mut start = 0;
    ends.iter().all(|end| {
        let length = end - std::mem::replace(&mut start, *end);
        length >= 3 || length == 2 && *end == letters.len()
    })
}

/// Hides every part of a name that has the length and the letters of a secret access key, or that may contain one: a name
/// gives no context, and most of it must stay, so that people recognise what it names.
pub fn hide_secrets_in_name(name: &mut [u8]) {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'+';
    for run in name.chunk_by_mut(|a, b| is_part(a) == is_part(b)) {
        if run.len() == SECRET_LEN && has_both_cases(run) {
            run.fill(MASK as u8);
        }
    }
    for run in name.chunk_by_mut(|a, b| is_base64(*a) == is_base64(*b)) {
        let random: Vec<usize> =
            run.windows(SECRET_LEN).enumerate().filter(|(_, window)| looks_random(window)).map(|(at, _)| at).collect();
        random.into_iter().for_each(|at| run[at..at + SECRET_LEN].fill(MASK as u8));
    }
}

fn has_both_cases(run: &[u8]) -> bool {
    run.iter().any(u8::is_ascii_uppercase) && run.iter().any(u8::is_ascii_lowercase)
}

/// True if the kind of character changes as often as in a secret: 25 times on average.
fn looks_random(window: &[u8]) -> bool {
    /// One secret in fifty has fewer; names of branches and paths hardly ever have so many.
    const CHANGES: usize = 19;
    let kind = |b: u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase(), b.is_ascii_digit());
    has_both_cases(window) && window.array_windows().filter(|[a, b]| kind(*a) != kind(*b)).count() >= CHANGES
}

/// Text from a scanned file with long words hidden: secrets are that long, and names are not.
pub fn hide_long_words(text: &str) -> String {
    const MAX_LENGTH: usize = 32;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        // The parts of a path are separate words.
        let longest = word.split('/').map(str::len).max().unwrap_or(0);
        let is_path = word.contains('/') && longest < 20 && !word.bytes().any(|b| b.is_ascii_digit() || b == b'+');
        let is_hash = word.len() == 64 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if word.len() < MAX_LENGTH || is_path || is_hash {
            out.push_str(word);
        } else {
            out.extend(std::iter::repeat_n(MASK, word.len()));
        }
        rest = &rest[word.len()..];
    }
    out + rest
}

/// A name, in backticks, that someone wrote where names are expected; hidden if it could be anything else, such as a
/// secret pasted in the wrong place.
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
    fn parts_of_keys_are_hidden_and_words_are_not() {
        let shown = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            hide_key_material(&mut bytes, |_| false);
            String::from_utf8(bytes).unwrap()
        };
        for words in [
            "aws_secret_access_key = ",
            "new BasicAWSCredentials(id, accessKeyId) // for us-east-1, 2026-01-31 and 111122223333",
            "export AWS_ACCESS_KEY_ID; sha256 of user2026 in /etc/some/path.d/10-file.conf",
        ] {
            assert_eq!(shown(words), words);
        }
        // Pieces of random secrets, of any length: what stays happens to look like words.
        let (mut all, mut left) = (0, 0);
        for number in 0..200 {
            let secret = expand(&format!("{{{{secret n{number}}}}}")).text;
            for length in [8, 13, 20, 24] {
                let (first, second) = secret.split_at(length);
                let pieces = shown(&format!("\"{first}\" + \"{second}\""));
                all += secret.len();
                left += pieces.bytes().filter(u8::is_ascii_alphanumeric).count();
            }
        }
        assert!(left * 100 < all * 6, "{left} of {all} characters stay");
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
    fn secrets_in_names_are_hidden_and_the_rest_is_not() {
        let shown = |name: &str| {
            let mut name = name.as_bytes().to_vec();
            hide_secrets_in_name(&mut name);
            String::from_utf8(name).unwrap()
        };
        let mut visible = 0;
        for number in 0..200 {
            let secret = expand(&format!("{{{{secret n{number}}}}}")).text;
            for name in [format!("v{secret}"), format!("a+{secret}"), format!("keys/{secret}"), format!("x{secret}9")] {
                visible += usize::from(shown(&name).contains(&secret[..20]) || shown(&name).contains(&secret[20..]));
            }
        }
        assert!(visible <= 16, "half or more of {visible} in 800 stays");
        for name in [
            "feature/ABC-1234-some-long-name-of-a-branch-v2",
            "apis/apps/v1beta1/SomeControllerOfDeployments/v2alpha3",
            "revert-3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
            "dependabot/npm_and_yarn/types/node20typescript5",
        ] {
            assert_eq!(shown(name), name);
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
