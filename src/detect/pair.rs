//! Which secret belongs to which key id, within one blob.
//!
//! Nearly all real pairs are within five lines of each other. There the best candidate is taken, in either order;
//! further away a secret must be named as one.

use super::comment::Comment;
use super::context::Context;
use super::token::{KeyId, SecretKey, SmtpPassword, Tokens};
use memchr::memchr_iter;
use secrecy::ExposeSecret;
use std::cell::LazyCell;
use std::collections::HashSet;
use std::ops::Range;

/// An id and a secret this close need no further evidence: in lines, and in bytes (a minified file is one line).
const NEAR_LINES: usize = 5;
/// See [`NEAR_LINES`].
const NEAR_BYTES: usize = 2048;

/// Maximum gap on one line, in bytes, for an id and a secret to be side by side: `ID and secret SECRET`.
const BESIDE: usize = 16;

/// How far an id is searched for, if the secret is named as one (`.s3cfg` sorts its settings by name).
const FAR_LINES: usize = 200;
/// See [`FAR_LINES`].
pub const FAR_BYTES: usize = 16 << 10;

/// The result; every list is sorted by position.
#[derive(Debug, Default)]
pub struct Pairing {
    pub pairs: Vec<(KeyId, SecretKey)>,
    pub smtp: Vec<(Option<KeyId>, SmtpPassword)>,
    pub lone_ids: Vec<KeyId>,
    pub lone_secrets: Vec<SecretKey>,
    pub comments: Vec<Comment>,
}

/// Pairs the tokens of `blob`.
pub fn pair(blob: &[u8], tokens: Tokens) -> Pairing {
    let Tokens { ids, secrets, smtp_passwords, comments, .. } = tokens;
    let ids = Placed::of(blob, ids, |id| &id.part.span);
    let secrets = Placed::of(blob, secrets, |secret| &secret.part.span);
    let smtp_passwords = Placed::of(blob, smtp_passwords, |password| &password.part.span);
    let partners = assign(&ids, &secrets);
    let smtp = smtp_passwords.into_iter().filter_map(|password| {
        let near = near(&ids, &password);
        let nearest = near.min_by_key(|id| id.start.abs_diff(password.start)).map(|id| id.token.clone());
        (password.token.named || nearest.is_some()).then_some((nearest, password.token))
    });
    let mut out = Pairing { smtp: smtp.collect(), comments, ..Pairing::default() };
    // A secret without a partner is reported if the text calls it one, if it is near an example id, or if it is the
    // same as one that has a partner.
    let paired = LazyCell::new(|| {
        let paired = secrets.iter().zip(&partners).filter(|(_, partner)| partner.is_some());
        paired.map(|(secret, _)| secret.token.part.value.expose_secret()).collect::<HashSet<_>>()
    });
    let is_reported = |secret: &Placed<SecretKey>| {
        secret.token.context > Context::None
            || paired.contains(secret.token.part.value.expose_secret())
            || near(&ids, secret).any(|id| id.token.dummy.is_some())
    };
    let is_reported: Vec<bool> =
        secrets.iter().zip(&partners).map(|(secret, partner)| partner.is_some() || is_reported(secret)).collect();
    let mut ids: Vec<_> = ids.into_iter().map(|id| Some(id.token)).collect();
    for ((secret, partner), is_reported) in secrets.into_iter().zip(partners).zip(is_reported) {
        match partner.and_then(|id| ids[id].take()) {
            Some(id) => out.pairs.push((id, secret.token)),
            None if is_reported => out.lone_secrets.push(secret.token),
            None => {}
        }
    }
    out.lone_ids = ids.into_iter().flatten().collect();
    out
}

/// A token and its place in the blob.
struct Placed<T> {
    token: T,
    start: usize,
    end: usize,
    /// 0-based.
    line: usize,
}

impl<T> Placed<T> {
    /// `tokens` must be in order of position.
    fn of(blob: &[u8], tokens: Vec<T>, span: impl Fn(&T) -> &Range<usize>) -> Vec<Self> {
        let (mut line, mut at) = (0, 0);
        let place = |token| {
            let Range { start, end } = span(&token).clone();
            line += memchr_iter(b'\n', &blob[at..start]).count();
            at = start;
            Self { token, start, end, line }
        };
        tokens.into_iter().map(place).collect()
    }
}

/// The tokens of `sorted` within `reach` bytes of `of`, with their indexes.
fn within<'a, T, U>(
    sorted: &'a [Placed<T>],
    of: &Placed<U>,
    reach: usize,
) -> impl Iterator<Item = (usize, &'a Placed<T>)> {
    let range = of.start.saturating_sub(reach)..of.end + reach;
    let first = sorted.partition_point(|token| token.start < range.start);
    let tokens = sorted[first..].iter().take_while(move |token| token.start < range.end);
    tokens.enumerate().map(move |(n, token)| (first + n, token))
}

fn near<'a, T, U>(sorted: &'a [Placed<T>], of: &'a Placed<U>) -> impl Iterator<Item = &'a Placed<T>> {
    within(sorted, of, NEAR_BYTES).map(|(_, token)| token).filter(|token| Distance::between(*token, of).is_near())
}

/// How badly an id and a secret match: less is better, and earlier fields weigh more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Cost {
    /// Not side by side. Side by side, a name further away says nothing.
    apart: bool,
    unnamed: bool,
    qualifiers: Match,
    lines: usize,
    against_order: bool,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Match {
    Same,
    Unknown,
    Different,
}

/// The index of each secret's id. Best pairs first, each token once.
fn assign(ids: &[Placed<KeyId>], secrets: &[Placed<SecretKey>]) -> Vec<Option<usize>> {
    let mut partners = vec![None; secrets.len()];
    let Some(first_id) = ids.first() else { return partners };
    // A file of pairs uses one order throughout; the first token shows which.
    let secret_first = secrets.first().is_some_and(|secret| secret.start < first_id.start);
    let mut taken = vec![false; ids.len()];
    // Near pairs come first; only what remains has to look further away.
    for reach in [Reach::Near, Reach::Far] {
        let mut edges = Vec::new();
        let is_named =
            |secret: &Placed<SecretKey>| secret.token.context == Context::Strong || secret.token.name.says_secret;
        let left = secrets
            .iter()
            .enumerate()
            .filter(|(s, secret)| partners[*s].is_none() && (reach == Reach::Near || is_named(secret)));
        for (s, secret) in left {
            let bytes = if reach == Reach::Near { NEAR_BYTES } else { FAR_BYTES };
            for (i, id) in within(ids, secret, bytes).filter(|(i, _)| !taken[*i]) {
                let distance = Distance::between(id, secret);
                let is_near = distance.is_near();
                let in_reach = is_near == (reach == Reach::Near) && (is_near || distance.lines <= FAR_LINES);
                if !in_reach || id.token.dummy.is_some() != secret.token.dummy.is_some() {
                    continue;
                }
                // `KEY = …` and, further down, `SECRET = …`: the rest of the names must be the same.
                let is_told = secret.token.context == Context::Strong
                    || id.token.name.says_key && id.token.name.qualifier == secret.token.name.qualifier;
                if reach == Reach::Far && !is_told {
                    continue;
                }
                let cost = Cost {
                    apart: distance.lines > 0 || distance.bytes > BESIDE,
                    unnamed: secret.token.context == Context::None,
                    qualifiers: compare(&id.token.name.qualifier, &secret.token.name.qualifier),
                    lines: distance.lines,
                    against_order: (secret.start < id.start) != secret_first,
                    bytes: distance.bytes,
                };
                edges.push((cost, i, s));
            }
        }
        edges.sort_unstable();
        for (_, i, s) in edges {
            if partners[s].is_none() && !taken[i] {
                partners[s] = Some(i);
                taken[i] = true;
            }
        }
    }
    partners
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Near,
    Far,
}

fn compare(a: &str, b: &str) -> Match {
    match (a, b) {
        ("", _) | (_, "") => Match::Unknown,
        _ if a == b => Match::Same,
        _ => Match::Different,
    }
}

#[derive(Clone, Copy)]
struct Distance {
    lines: usize,
    bytes: usize,
}

impl Distance {
    fn between<T, U>(a: &Placed<T>, b: &Placed<U>) -> Self {
        let bytes = if a.start < b.start { b.start.saturating_sub(a.end) } else { a.start.saturating_sub(b.end) };
        Self { lines: a.line.abs_diff(b.line), bytes }
    }

    fn is_near(self) -> bool {
        self.lines <= NEAR_LINES && self.bytes <= NEAR_BYTES
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::{Candidate, Detector};
    use crate::rule::RuleSet;
    use crate::rule::example::expand;
    use secrecy::ExposeSecret;
    use std::sync::Arc;

    /// The pairs found in `template`, as the labels of their placeholders.
    fn pairs(template: &str) -> Vec<(String, String)> {
        let text = expand(template);
        let detection = Detector::new(Arc::new(RuleSet::built_in())).detect(text.text.as_bytes(), None);
        let label = |value: &str| {
            let labels = ["a", "b", "c"].into_iter();
            let of = |label: &&str| {
                ["akia", "secret"].iter().any(|kind| expand(&format!("{{{{{kind} {label}}}}}")).text == value)
            };
            labels.filter(of).collect::<String>()
        };
        let pair = |candidate: &Candidate| {
            Some((label(&candidate.id.as_ref()?.value), label(candidate.secret.as_ref()?.value.expose_secret())))
        };
        detection.candidates.iter().filter_map(pair).collect()
    }

    #[track_caller]
    fn assert_pairs(template: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(id, secret)| ((*id).to_owned(), (*secret).to_owned())).collect();
        assert_eq!(pairs(template), expected, "{template}");
    }

    #[test]
    fn each_secret_goes_to_its_own_id() {
        assert_pairs("{{akia a}}\n{{secret a}}\n{{akia b}}\n{{secret b}}\n", &[("a", "a"), ("b", "b")]);
        assert_pairs("{{secret a}}\n{{akia a}}\n{{secret b}}\n{{akia b}}\n", &[("a", "a"), ("b", "b")]);
        assert_pairs("{{akia a}},{{secret a}}\n{{akia b}},{{secret b}}\n", &[("a", "a"), ("b", "b")]);
        let one_line = r#"[{"id":"{{akia a}}","s":"{{secret a}}"},{"id":"{{akia b}}","s":"{{secret b}}"}]"#;
        assert_pairs(one_line, &[("a", "a"), ("b", "b")]);
    }

    #[test]
    fn names_outweigh_distance() {
        let template = "PROD_KEY_ID={{akia a}}\nDEV_KEY_ID={{akia b}}\nPROD_SECRET_KEY={{secret a}}\nDEV_SECRET_KEY={{secret b}}\n";
        assert_pairs(template, &[("a", "a"), ("b", "b")]);
    }

    #[test]
    fn five_lines_are_near_and_six_take_a_name() {
        let gap = |n| "x\n".repeat(n);
        assert_pairs(&format!("{{{{akia a}}}}\n{}{{{{secret a}}}}\n", gap(4)), &[("a", "a")]);
        assert_pairs(&format!("{{{{akia a}}}}\n{}{{{{secret a}}}}\n", gap(5)), &[]);
        assert_pairs(&format!("{{{{akia a}}}}\n{}secret_key = {{{{secret a}}}}\n", gap(50)), &[("a", "a")]);
        assert_pairs(&format!("{{{{akia a}}}}\n{}secret_key = {{{{secret a}}}}\n", gap(300)), &[]);
    }

    #[test]
    fn twenty_thousand_pairs_are_paired() {
        let lines: String =
            (0..20_000).map(|n| expand(&format!("{{{{akia {n}}}}} {{{{secret {n}}}}}\n")).text).collect();
        let detection = Detector::new(Arc::new(RuleSet::built_in())).detect(lines.as_bytes(), None);
        let pairs =
            detection.candidates.iter().filter(|candidate| candidate.id.is_some() && candidate.secret.is_some());
        assert!(pairs.count() > 19_900);
    }
}
