//! Access key ids: decides whether text is a real id, a made-up one, or part of something else.

use super::context::Name;
use super::decode::escape;
use super::dummy;
use super::vendor::{self, Whose};
use crate::finding::Dummy;
use crate::text::alphabet::{ID_LEN, PREFIXES, is_base64};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// One real id in a million has less entropy than this in its 16 base32 characters, in bits per character.
const MIN_ENTROPY: f64 = 2.4;

/// A run of base64 this long around an id is data, not text around a key.
const DATA_RUN: usize = 60;

/// Classifies the id whose prefix is at `start` of `text`; `None` if it is not an id.
pub fn judge(text: &[u8], start: usize) -> Option<IdKind> {
    let id = text.get(start..start + ID_LEN)?;
    let is_spelled = id[4..].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_bounded = is_bounded(text, start) || is_spelled && touches_in_binary(text, start);
    if !is_spelled || !is_bounded || is_in_data(text, start) {
        return None;
    }
    let random = &id[4..];
    // AWS's own examples contain digits that no real id has; anything else with such a digit is not an id.
    let is_base32 = random.iter().all(|b| matches!(b, b'A'..=b'Z' | b'2'..=b'7'));
    match dummy::in_key_id(id) {
        Some(dummy) => Some(IdKind::Dummy(dummy)),
        None if !is_base32 => None,
        None if dummy::entropy(random) < MIN_ENTROPY => Some(IdKind::Dummy(Dummy::Placeholder)),
        None => Some(IdKind::Real),
    }
}

/// True for an id from before 2009, as AWS's documentation of that time has them (`022QF06E7MXBSH9DHM02`). Those that were
/// met began with 0 or 1, and nothing else distinguishes them from the ids of other stores.
pub fn is_legacy(id: &[u8]) -> bool {
    id.len() == ID_LEN && matches!(id[0], b'0' | b'1') && is_of_a_store(id)
}

/// True if 20 characters are mixed enough to be the id of a store that speaks S3's protocol, and not of AWS's form.
fn is_of_a_store(id: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| id.iter().filter(|b| is(b)).count();
    let is_spelled = id.len() == ID_LEN && id.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_mixed = is_spelled && count(u8::is_ascii_digit) >= 1 && count(u8::is_ascii_uppercase) >= 4;
    let is_of_today = PREFIXES.iter().any(|prefix| id.starts_with(prefix.as_bytes()));
    is_mixed && !is_of_today && dummy::entropy(id) >= MIN_ENTROPY
}

/// An id beside a secret that AWS has not made: 20 characters that can be recognised only by their name or place.
pub fn other_near(text: &[u8], secret: &Range<usize>) -> Option<(Range<usize>, String)> {
    let around = around(text, secret);
    let is_for_a_store = |id: &Range<usize>| {
        let line = &text[around.start..id.start];
        let line = &line[memchr::memrchr(b'\n', line).map_or(0, |newline| newline + 1)..];
        memchr::memmem::find(line, b"://").is_some() || vendor::of_id(text, id).vendor().is_some()
    };
    // A word that nothing calls an id may be another secret, which must not be shown.
    let beside = beside(text, secret.start).filter(|id| id.start >= around.start && is_for_a_store(id));
    let span = beside.or_else(|| named_near(text, secret, &around))?;
    let id = &text[span.clone()];
    is_of_a_store(id).then(|| (span, String::from_utf8_lossy(id).into_owned()))
}

/// Whose the access key beside a secret is, if one is written there that is not of AWS's form.
pub fn other_owner(text: &[u8], secret: &Range<usize>) -> Option<Whose> {
    /// How the ids of some vendors begin, each with its shortest length.
    const PREFIXES_OF_OTHERS: [(&[u8], usize, &str); 4] = [
        (b"LTAI", 16, "Alibaba Cloud"),
        (b"AKID", 36, "Tencent Cloud"),
        (b"GOOG", 20, "Google Cloud Storage"),
        (b"DO00", 20, "DigitalOcean Spaces"),
    ];
    let span = named_near(text, secret, &around(text, secret))?;
    let qualifier = |at| Name::before(text, at).qualifier;
    // Another service's key may stand beside it.
    if qualifier(span.start) != qualifier(secret.start) {
        return None;
    }
    let id = &text[span];
    let vendor = PREFIXES_OF_OTHERS.iter().find(|(start, least, _)| id.starts_with(start) && id.len() >= *least);
    let count = |is: fn(&u8) -> bool| id.iter().filter(|b| is(b)).count();
    let is_random = count(u8::is_ascii_digit) >= 2 && count(u8::is_ascii_alphabetic) >= 4 && dummy::entropy(id) >= 3.0;
    let is_of_aws = PREFIXES.iter().any(|prefix| id.starts_with(prefix.as_bytes())) || is_legacy(id);
    match vendor {
        Some((.., name)) => Some(Whose::Other(name)),
        None => (is_random && !is_of_aws).then_some(Whose::Unknown),
    }
}

/// The few lines around a secret in which its id stands.
fn around(text: &[u8], secret: &Range<usize>) -> Range<usize> {
    const LINES: usize = 5;
    const REACH: usize = 2048;
    let from = secret.start.saturating_sub(REACH);
    let above = memchr::memrchr_iter(b'\n', &text[from..secret.start]).nth(LINES);
    let start = above.map_or(from, |newline| from + newline + 1);
    let after = &text[secret.end..text.len().min(secret.end + REACH)];
    let end = memchr::memchr_iter(b'\n', after).nth(LINES).unwrap_or(after.len());
    start..secret.end + end
}

/// The value nearest to a secret, in a range of the text, that is called an access key.
fn named_near(text: &[u8], secret: &Range<usize>, around: &Range<usize>) -> Option<Range<usize>> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"(?-u)(?i:access_?-?key(?:_?-?id)?)["']?\s*(?:=>|[=:,>])\s*["']?([0-9A-Za-z]{16,64})(?:[^0-9A-Za-z+/=_-]|$)"#,
        )
        .expect("a valid regex")
    });
    let text = &text[around.clone()];
    let is_secret = |name: usize| {
        let before = text[name.saturating_sub(8)..name].to_ascii_lowercase();
        memchr::memmem::find(&before, b"secret").is_some()
    };
    // `secret_access_key` is called so, too.
    let ids = NAMED.captures_iter(text).filter(|found| found.get(0).is_some_and(|whole| !is_secret(whole.start())));
    let values = ids.filter_map(|found| Some(found.get(1)?.range()));
    let values = values.map(|value| around.start + value.start..around.start + value.end);
    values.min_by_key(|value| value.start.abs_diff(secret.start))
}

/// The word of the length of an id right before a value, as in `ID SECRET` and `"ID", "SECRET"`.
fn beside(text: &[u8], value: usize) -> Option<Range<usize>> {
    const GAP: usize = 8;
    let gap = text[..value].iter().rev().take(GAP).take_while(|b| !b.is_ascii_alphanumeric()).count();
    let end = value - gap;
    let start = end.checked_sub(ID_LEN).filter(|_| gap > 0)?;
    let is_id = text[start..end].iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let is_alone = !text[..start].last().is_some_and(u8::is_ascii_alphanumeric);
    (is_id && is_alone).then_some(start..end)
}

/// True if an id of AWS's form is side by side with the value at `span`, as two arguments or cells are.
pub fn is_beside(text: &[u8], span: &Range<usize>) -> bool {
    const GAP: usize = 8;
    let is_gap = |b: &u8| !b.is_ascii_alphanumeric() && *b != b'\n';
    let before = text[..span.start].iter().rev().take(GAP).take_while(|b| is_gap(b)).count();
    let after = text[span.end..].iter().take(GAP).take_while(|b| is_gap(b)).count();
    let starts = [(span.start - before).checked_sub(ID_LEN), Some(span.end + after)];
    starts.into_iter().flatten().any(|at| {
        text.get(at..).is_some_and(|id| PREFIXES.iter().any(|prefix| id.starts_with(prefix.as_bytes())))
            && judge(text, at) == Some(IdKind::Real)
    })
}

/// Classifies an id split by a soft line break; also returns the id and its range.
pub fn judge_folded(text: &[u8], start: usize) -> Option<(IdKind, Vec<u8>, std::ops::Range<usize>)> {
    let (id, span) = escape::unfold(text, start, ID_LEN)?;
    let before = start.saturating_sub(DATA_RUN);
    let after = text.len().min(span.end + DATA_RUN);
    let unfolded = [&text[before..start], &id, &text[span.end..after]].concat();
    Some((judge(&unfolded, start - before)?, id, span))
}

/// The two kinds of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// May belong to a real key.
    Real,
    /// Known not to belong to a real key.
    Dummy(Dummy),
}

/// True if no letter or digit is on either side; the last character of an escape (`\n`, `%3D`) does not count as one.
fn is_bounded(text: &[u8], start: usize) -> bool {
    let ends = text.get(start + ID_LEN).is_none_or(|b| !b.is_ascii_alphanumeric());
    ends && (!text[..start].last().is_some_and(u8::is_ascii_alphanumeric) || ends_in_escape(&text[..start]))
}

/// True for an id in a binary, where strings touch: in the tables of strings that compilers write, and after the byte that
/// says what follows or how long it is. A longer run of base32 is data. By chance, one in a million million characters of
/// base64 begins what looks like an id.
fn touches_in_binary(text: &[u8], start: usize) -> bool {
    const MAX_RUN: usize = ID_LEN + 6;
    let is_base32 = |b: &&u8| matches!(b, b'A'..=b'Z' | b'2'..=b'7');
    let before = text[..start].iter().rev().take(MAX_RUN).take_while(is_base32).count();
    let run = before + text[start..].iter().take(MAX_RUN + 1).take_while(is_base32).count();
    // Text in the oldest form of Python's `pickle`.
    let is_pickled = || text[..start].ends_with(b"\nV") && text.get(start + ID_LEN) == Some(&b'\n');
    (ID_LEN..=MAX_RUN).contains(&run) && (is_pickled() || is_binary(text))
}

/// True for a binary whose strings are there as they are. Zstandard and LZ4 leave out what was there before, so that the
/// rest touches; they are unpacked elsewhere.
pub(super) fn is_binary(text: &[u8]) -> bool {
    /// How much of a file shows whether it is a binary, in bytes.
    const HEAD: usize = 4096;
    let head = &text[..text.len().min(HEAD)];
    let is_compressed = head.starts_with(b"\x28\xb5\x2f\xfd") || head.starts_with(b"\x04\x22\x4d\x18");
    // No text starts with the byte of a map or list in CBOR.
    let is_cbor = head.first().is_some_and(|first| (0x80..=0xbf).contains(first));
    !is_compressed && (is_cbor || head.iter().any(|b| matches!(b, 0..=8 | 14..=26 | 28..=31)))
}

fn ends_in_escape(before: &[u8]) -> bool {
    escape::ends_in_colour(before)
        || (2..=6).any(|length| {
            before.len().checked_sub(length).is_some_and(|at| {
                let escape = &before[at..];
                // Only quoted-printable escapes that plausibly precede a value: a plain `=` also precedes values.
                if matches!(escape, b"=3D" | b"=20" | b"=22" | b"=27" | b"=3A" | b"=0A" | b"=09") {
                    return true;
                }
                // `tail_of_escape` needs to see what follows the first byte.
                matches!(escape[0], b'%' | b'\\') && escape::tail_of_escape(escape, 1) == length - 1
            })
        })
}

/// True if `+` or `/` joins the id to a long run of base64 that looks like data: such an id is taken for chance, since
/// nothing distinguishes the two. In a path or a credential scope (`ID/20260101/…`) the neighbours are short or plain
/// words.
fn is_in_data(text: &[u8], start: usize) -> bool {
    let end = start + ID_LEN;
    let joins = |at: Option<&u8>| at.is_some_and(|b| matches!(b, b'+' | b'/'));
    if !joins(text[..start].last()) && !joins(text.get(end)) {
        return false;
    }
    let before = text[..start].iter().rev().take(DATA_RUN).take_while(|&&b| is_base64(b)).count();
    let after = text[end..].iter().take(DATA_RUN).take_while(|&&b| is_base64(b)).count();
    if before + after + ID_LEN < DATA_RUN {
        return false;
    }
    let around = text[start - before..start].iter().chain(&text[end..end + after]);
    let [mut upper, mut lower, mut digit] = [0usize; 3];
    for b in around {
        upper += usize::from(b.is_ascii_uppercase());
        lower += usize::from(b.is_ascii_lowercase());
        digit += usize::from(b.is_ascii_digit());
    }
    upper.min(lower) >= 4 && digit >= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::example::expand;

    fn judge_in(template: &str) -> Option<IdKind> {
        let text = expand(template);
        let value = text.values.iter().find(|value| value.kind == "akia").expect("an id in the template");
        judge(text.text.as_bytes(), value.range.start)
    }

    #[test]
    fn strings_of_binaries_touch() {
        let judge_in = |before: &str, after: &str| {
            let id = expand("{{akia}}").text;
            let text = format!("\0{before}{id}{after}");
            (judge(text.as_bytes(), before.len() + 1), judge(&text.as_bytes()[1..], before.len()))
        };
        for (before, after) in [("V", "\n"), ("t", "x"), ("main.rs", "wJalr"), ("", "B")] {
            assert_eq!(judge_in(before, after), (Some(IdKind::Real), None), "{before} {after}");
        }
        assert_eq!(judge_in("ABCDEFGH", ""), (None, None), "base32");
    }

    #[test]
    fn boundaries() {
        for template in [
            "{{akia}}",
            " {{akia}} ",
            "'{{akia}}'",
            r"\n{{akia}}\n",
            r"\t{{akia}}",
            "%3D{{akia}}%26",
            r"\u003d{{akia}}",
            "_{{akia}}_",
            "({{akia}})",
            "é{{akia}}é",
            r"\x3d{{akia}}",
        ] {
            assert_eq!(judge_in(template), Some(IdKind::Real), "{template}");
        }
        for template in
            ["x{{akia}}", "{{akia}}x", "7{{akia}}", "{{akia}}7", "n{{akia}}", r"\q{{akia}}", "D{{akia}}", "%ZZ{{akia}}"]
        {
            assert_eq!(judge_in(template), None, "{template}");
        }
    }

    #[test]
    fn an_id_inside_base64_data_is_chance() {
        assert_eq!(judge_in("{{base64:40 a}}/{{akia}}/{{base64:40 b}}"), None);
        assert_eq!(judge_in("integrity sha512-{{base64:44}}+{{akia}}+{{base64:20}}=="), None);
        assert_eq!(judge_in("/{{akia}}/20260101/us-east-1/s3/aws4_request"), Some(IdKind::Real));
        assert_eq!(
            judge_in("https://host/credentials/by/the/access/key/{{akia}}/rotate/again/and/again/please"),
            Some(IdKind::Real)
        );
    }

    #[test]
    fn examples_are_known() {
        for example in ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE", "ASIAIOSFODNN7EXAMPLE"] {
            assert_eq!(judge(example.as_bytes(), 0), Some(IdKind::Dummy(Dummy::Documented)), "{example}");
        }
        let filler = format!("AKIA{}", "X".repeat(16));
        assert_eq!(judge(filler.as_bytes(), 0), Some(IdKind::Dummy(Dummy::Placeholder)));
        let impossible = ["AKIA", "Q7RT0UIKP3SDMGL8"].concat();
        assert_eq!(judge(impossible.as_bytes(), 0), None);
    }
}
