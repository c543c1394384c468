//! Which secret belongs to which key id, within one blob.
//!
//! Nearly all real pairs are within five lines of each other. There the best candidate is taken, in either order;
//! further away a secret must be named as one.

use super::Part;
use super::comment::Comment;
use super::context::Context;
use super::token::{KeyId, SecretKey, SmtpPassword, Tokens};
use crate::credential::Fingerprint;
use memchr::memchr_iter;
use secrecy::{ExposeSecret, SecretString};
use std::cell::LazyCell;
use std::collections::{HashMap, HashSet, VecDeque};
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

/// The maximum number of ids that are considered for one secret: the best ones.
const MAX_EDGES: usize = 64;

/// How often all pairs are looked at for better ones.
const MAX_ROUNDS: usize = 8;

/// The maximum number of ids that are looked at to complete pairs.
const MAX_STEPS: usize = 100_000;

/// The result; every list is sorted by position.
#[derive(Debug, Default)]
pub struct Pairing {
    pub pairs: Vec<Pair>,
    pub smtp: Vec<(Option<KeyId>, SmtpPassword)>,
    pub lone_ids: Vec<KeyId>,
    pub lone_secrets: Vec<SecretKey>,
    pub comments: Vec<Comment>,
    /// What looks like a secret and is not reported.
    pub passed_over: Vec<Fingerprint>,
}

/// An id and its secret.
#[derive(Debug)]
pub struct Pair {
    pub id: KeyId,
    pub secret: SecretKey,
    /// True if another of the tokens may be the partner as well.
    pub is_doubtful: bool,
}

/// Pairs the tokens of `blob`. The secrets in `known` are reported in any case.
pub fn pair(blob: &[u8], tokens: Tokens, known: &foldhash::HashSet<Fingerprint>) -> Pairing {
    let Tokens { ids, secrets, smtp_passwords, comments, .. } = tokens;
    let ids = Placed::all(blob, ids, |id| &id.part.span);
    let secrets = Placed::all(blob, secrets, |secret| &secret.part.span);
    let smtp_passwords = Placed::all(blob, smtp_passwords, |password| &password.part.span);
    let secret_first = ids.first().zip(secrets.first()).is_some_and(|(id, secret)| secret.start < id.start);
    let matching = Matching { ids: &ids, secrets: &secrets, secret_first };
    let Partners { of_secrets: partners, .. } = matching.partners();
    let doubtful: Vec<bool> =
        partners.iter().enumerate().map(|(s, id)| id.is_some_and(|i| matching.is_doubtful(i, s))).collect();
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
            || !known.is_empty() && known.contains(&print(&secret.token.part))
    };
    let is_reported: Vec<bool> =
        secrets.iter().zip(&partners).map(|(secret, partner)| partner.is_some() || is_reported(secret)).collect();
    let mut ids: Vec<_> = ids.into_iter().map(|id| Some(id.token)).collect();
    for (((secret, partner), is_doubtful), is_reported) in
        secrets.into_iter().zip(partners).zip(doubtful).zip(is_reported)
    {
        match partner.and_then(|id| ids[id].take()) {
            Some(id) => out.pairs.push(Pair { id, secret: secret.token, is_doubtful }),
            None if is_reported => out.lone_secrets.push(secret.token),
            None if secret.token.dummy.is_none() => out.passed_over.push(print(&secret.token.part)),
            None => {}
        }
    }
    out.lone_ids = ids.into_iter().flatten().collect();
    out
}

/// The fingerprint of a secret alone.
pub fn print(secret: &Part<SecretString>) -> Fingerprint {
    Fingerprint::new(None, Some(secret.value.expose_secret()))
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
    fn all(blob: &[u8], tokens: Vec<T>, span: impl Fn(&T) -> &Range<usize>) -> Vec<Self> {
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
    /// In half lines. The unusual order is as bad as one and a half.
    distance: usize,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Match {
    Same,
    Unknown,
    Different,
}

impl Cost {
    /// The cost as a number, to compare sums; and without the last distinction, which says little.
    fn weight(self) -> (u64, u64) {
        let flags = u64::from(self.apart) << 6 | u64::from(self.unnamed) << 4 | (self.qualifiers as u64) << 2;
        let most = flags << 32 | (self.distance.min(511) as u64) << 23;
        (most + self.bytes.min(FAR_BYTES) as u64, most)
    }
}

/// Which tokens belong together.
#[derive(Default)]
struct Partners {
    /// The index of each secret's id.
    of_secrets: Vec<Option<usize>>,
    /// The index of each id's secret.
    of_ids: Vec<Option<usize>>,
}

impl Partners {
    fn join(&mut self, i: usize, s: usize) {
        self.of_ids[i] = Some(s);
        self.of_secrets[s] = Some(i);
    }
}

/// The tokens of one blob, to be matched.
struct Matching<'a> {
    ids: &'a [Placed<KeyId>],
    secrets: &'a [Placed<SecretKey>],
    /// A file of pairs uses one order throughout; the first token shows which.
    secret_first: bool,
}

impl Matching<'_> {
    /// Each token has at most one partner. Near pairs come first; only what remains has to look further away.
    fn partners(&self) -> Partners {
        let mut partners = Partners { of_secrets: vec![None; self.secrets.len()], of_ids: vec![None; self.ids.len()] };
        for reach in [Reach::Near, Reach::Far] {
            self.take_best(reach, &mut partners);
        }
        self.improve_all(&mut partners);
        self.complete(&mut partners);
        self.improve_all(&mut partners);
        self.align_lists(&mut partners);
        partners
    }

    /// Pairs a list of ids and a list of as many secrets right after or before it in their order, unless their names say
    /// more than their places.
    fn align_lists(&self, partners: &mut Partners) {
        // Ids and secrets by position; true for an id.
        let ids = self.ids.iter().enumerate().map(|(index, id)| (id.start, true, index));
        let secrets = self.secrets.iter().enumerate().map(|(index, secret)| (secret.start, false, index));
        let mut tokens: Vec<_> = ids.chain(secrets).collect();
        tokens.sort_unstable();
        let groups: Vec<_> = tokens.chunk_by(|one, other| one.1 == other.1).collect();
        for lists in groups.windows(2) {
            let [first, second] = lists else { continue };
            if first.len() < 2 || first.len() != second.len() {
                continue;
            }
            let (ids, secrets) = if first[0].1 { (first, second) } else { (second, first) };
            let pairs = || ids.iter().zip(secrets.iter()).map(|((.., i), (.., s))| (*i, *s));
            let qualifiers =
                |i: usize, s: usize| compare(&self.ids[i].token.name.qualifier, &self.secrets[s].token.name.qualifier);
            let is_within = ids[0].2..ids[0].2 + ids.len();
            let may_be_aligned = |(i, s): (usize, usize)| {
                let now = partners.of_secrets[s].filter(|now| is_within.contains(now));
                now.is_some_and(|now| qualifiers(i, s) <= qualifiers(now, s)) && self.cost(i, s, Reach::Near).is_some()
            };
            if pairs().all(may_be_aligned) {
                for (i, s) in pairs() {
                    partners.join(i, s);
                }
            }
        }
    }

    /// Finds partners for ids that have none, at the price of any number of exchanges: in `A1 … S1 A2 … S2`, the
    /// nearest secret and id are of different keys.
    fn complete(&self, partners: &mut Partners) {
        let mut steps = 0;
        for first in 0..self.ids.len() {
            let has_near = || within(self.secrets, &self.ids[first], NEAR_BYTES).next().is_some();
            if partners.of_ids[first].is_some() || !has_near() {
                continue;
            }
            // Breadth first; each secret with the id that asks for it.
            let mut asked_by: HashMap<usize, usize> = HashMap::new();
            let mut ids = VecDeque::from([first]);
            let mut free = None;
            while let Some(i) = ids.pop_front() {
                steps += 1;
                if steps > MAX_STEPS {
                    return;
                }
                let near = within(self.secrets, &self.ids[i], NEAR_BYTES).map(|(s, _)| s);
                let mut near: Vec<_> = near
                    .filter_map(|s| Some((self.cost(i, s, Reach::Near)?, s)))
                    .filter(|(cost, _)| !cost.unnamed)
                    .collect();
                near.sort_unstable();
                for (_, s) in near {
                    if asked_by.contains_key(&s) {
                        continue;
                    }
                    asked_by.insert(s, i);
                    match partners.of_secrets[s] {
                        Some(owner) => ids.push_back(owner),
                        None => free = free.or(Some(s)),
                    }
                }
                if free.is_some() {
                    break;
                }
            }
            // From the free secret back to the first id, each id takes what it asked for.
            let mut next = free;
            while let Some(s) = next {
                let Some(&i) = asked_by.get(&s) else { break };
                next = if i == first { None } else { partners.of_ids[i] };
                partners.join(i, s);
            }
        }
    }

    /// Best pairs first.
    fn take_best(&self, reach: Reach, partners: &mut Partners) {
        let mut edges = Vec::new();
        for s in (0..self.secrets.len()).filter(|s| partners.of_secrets[*s].is_none()) {
            let ids = within(self.ids, &self.secrets[s], reach.bytes()).filter(|(i, _)| partners.of_ids[*i].is_none());
            let mut own: Vec<_> = ids.filter_map(|(i, _)| Some((self.cost(i, s, reach)?, i, s))).collect();
            own.sort_unstable();
            own.truncate(MAX_EDGES);
            edges.extend(own);
        }
        edges.sort_unstable();
        for (_, i, s) in edges {
            if partners.of_secrets[s].is_none() && partners.of_ids[i].is_none() {
                partners.join(i, s);
            }
        }
    }

    /// How badly an id and a secret match; `None` if not at all.
    fn cost(&self, i: usize, s: usize, reach: Reach) -> Option<Cost> {
        let (id, secret) = (&self.ids[i], &self.secrets[s]);
        let distance = Distance::between(id, secret);
        let is_near = distance.is_near();
        let in_reach = is_near == (reach == Reach::Near) && (is_near || distance.lines <= FAR_LINES);
        if !in_reach || id.token.dummy.is_some() != secret.token.dummy.is_some() {
            return None;
        }
        let (name, own_name) = (&id.token.name, &secret.token.name);
        // `KEY = …` and, further down, `SECRET = …`: the rest of the names must be the same.
        let is_told = secret.token.context == Context::Strong
            || own_name.says_secret && name.says_key && name.qualifier == own_name.qualifier;
        if reach == Reach::Far && !is_told {
            return None;
        }
        // A label between a secret and an id begins something new: `secret: S1 key id: A2`.
        let is_begun = distance.lines == 0 && secret.start < id.start && name.says_key;
        let qualifiers = compare(&name.qualifier, &own_name.qualifier);
        Some(Cost {
            apart: distance.lines > 0 || distance.bytes > BESIDE || is_begun || qualifiers == Match::Different,
            unnamed: secret.token.context == Context::None,
            qualifiers,
            distance: distance.lines * 2 + if (secret.start < id.start) == self.secret_first { 0 } else { 3 },
            bytes: distance.bytes,
        })
    }

    /// Each exchange makes the whole better; some rounds are enough for all that is written by people.
    fn improve_all(&self, partners: &mut Partners) {
        for _ in 0..MAX_ROUNDS {
            if !self.improve(partners) {
                break;
            }
        }
    }

    /// Exchanges partners where two pairs are better together than they are now, and finds partners for two that have
    /// none at the price of one exchange. True if anything was exchanged.
    fn improve(&self, partners: &mut Partners) -> bool {
        let weight = |i, s| self.cost(i, s, Reach::Near).map(|cost| cost.weight().0);
        let mut is_changed = false;
        for s in 0..self.secrets.len() {
            let Some(i) = partners.of_secrets[s] else { continue };
            let Some(now) = weight(i, s) else { continue };
            for (other, _) in within(self.ids, &self.secrets[s], NEAR_BYTES).filter(|(other, _)| *other != i) {
                let Some(cross) = weight(other, s) else { continue };
                match partners.of_ids[other] {
                    Some(its) => {
                        let is_better = weight(i, its)
                            .zip(weight(other, its))
                            .is_some_and(|(back, its_now)| cross + back < now + its_now);
                        if is_better {
                            partners.join(other, s);
                            partners.join(i, its);
                            is_changed = true;
                            break;
                        }
                    }
                    None => {
                        let mut free = within(self.secrets, &self.ids[i], NEAR_BYTES)
                            .filter(|(free, _)| partners.of_secrets[*free].is_none());
                        if let Some((free, _)) = free.find(|(free, _)| weight(i, *free).is_some()) {
                            partners.join(other, s);
                            partners.join(i, free);
                            is_changed = true;
                            break;
                        }
                    }
                }
            }
        }
        is_changed
    }

    /// True if another id or secret would have been about as good a partner.
    fn is_doubtful(&self, i: usize, s: usize) -> bool {
        let weight = |i, s| self.cost(i, s, Reach::Near).map(|cost| cost.weight().1);
        let Some(own) = weight(i, s) else { return false };
        let ids = within(self.ids, &self.secrets[s], NEAR_BYTES).map(|(other, _)| (other, s));
        let secrets = within(self.secrets, &self.ids[i], NEAR_BYTES).map(|(other, _)| (i, other));
        ids.chain(secrets).any(|other| other != (i, s) && weight(other.0, other.1).is_some_and(|other| other <= own))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Near,
    Far,
}

impl Reach {
    fn bytes(self) -> usize {
        match self {
            Self::Near => NEAR_BYTES,
            Self::Far => FAR_BYTES,
        }
    }
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
    fn labels_outweigh_distance() {
        let line = "Access key ID: {{akia a}}, and the secret access key is {{secret a}} Access key ID: {{akia b}}, and the secret access key is {{secret b}}\n";
        assert_pairs(line, &[("a", "a"), ("b", "b")]);
        let flat = r#"{"id_a":"{{akia a}}","id_b":"{{akia b}}","secret_a":"{{secret a}}","secret_b":"{{secret b}}"}"#;
        assert_pairs(flat, &[("a", "a"), ("b", "b")]);
        let flat = r#"{"key1":"{{akia a}}","secret1":"{{secret a}}","key2":"{{akia b}}","secret2":"{{secret b}}"}"#;
        assert_pairs(flat, &[("a", "a"), ("b", "b")]);
    }

    #[test]
    fn lists_are_paired_in_their_order() {
        assert_pairs("{{akia a}}\n{{akia b}}\n{{secret a}}\n{{secret b}}\n", &[("a", "a"), ("b", "b")]);
        assert_pairs(
            "ids: {{akia a}}, {{akia b}}, {{akia c}}\nsecrets: {{secret a}}, {{secret b}}, {{secret c}}\n",
            &[("a", "a"), ("b", "b"), ("c", "c")],
        );
        assert_pairs("{{secret a}} {{secret b}}\n{{akia a}} {{akia b}}\n", &[("a", "a"), ("b", "b")]);
        let named = "ID_A={{akia a}}\nID_B={{akia b}}\nSECRET_KEY_B={{secret b}}\nSECRET_KEY_A={{secret a}}\n";
        let mut named = pairs(named);
        named.sort();
        assert_eq!(named, [("a".to_owned(), "a".to_owned()), ("b".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn no_key_is_left_out_for_a_nearer_one() {
        let sentence = |key| {
            format!(
                "We use the access key {{{{akia {key}}}}} with the\nsecret access key\n{{{{secret {key}}}}} and nothing else.\n"
            )
        };
        let sentences = ["a", "b", "c"].map(sentence).concat();
        assert_pairs(&sentences, &[("a", "a"), ("b", "b"), ("c", "c")]);
        let cut = sentences.rsplit_once("{{secret").expect("a secret").0;
        assert_pairs(cut, &[("a", "a"), ("b", "b")]);
        let far = "x".repeat(900);
        let chain =
            ["a", "b", "c"].map(|key| format!("{{{{akia {key}}}}} {far} secret {{{{secret {key}}}}}\n")).concat();
        assert_pairs(&chain, &[("a", "a"), ("b", "b"), ("c", "c")]);
    }

    #[test]
    fn two_that_are_left_are_found_by_an_exchange() {
        // The nearest two are of different keys.
        let far = "x".repeat(1900);
        assert_pairs(
            &format!("{{{{akia a}}}} {far} {{{{secret a}}}} {{{{akia b}}}} {far} {{{{secret b}}}}"),
            &[("a", "a"), ("b", "b")],
        );
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
