//! Bytes in, candidates out: pure, built once, shared by all threads.
//!
//! ```text
//! prefilter ─► key_id, secret (+ context, dummy), regex rules ─► pair ─► Candidate
//!     ▲                     │
//!     └──── decode ◄────────┘   text in base64 or UTF-16 goes through again
//! ```

pub mod check;
pub mod comment;
pub mod context;
pub mod decode;
pub mod dummy;
pub mod expiry;
pub mod finder;
pub mod key_id;
pub mod marks;
pub mod observe;
mod pair;
mod password;
pub mod prefilter;
mod proof;
mod request;
mod secret;
mod service_key;
mod token;
pub mod vendor;
mod words;

use crate::credential::{AccountId, Fingerprint};
use crate::finding::{Dummy, Encoding, Times};
use crate::rule::pack::GENERIC;
use crate::rule::{AWS, Finder, Form, Matcher, Rule, RuleSet, Severity};
use crate::text::report_heads;
use crate::text::wide::{Wide, without_mark};
use comment::Comment;
use context::Context;
use decode::Decoded;
use decode::wide::WideText;
use foldhash::HashSet;
use prefilter::{Hits, Prefilter, Shared};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
pub use token::MAX_TOKENS;
use token::{SecretKey, Tokenizer, Tokens};
use vendor::Whose;

/// Something that was found, before any decision on what to do about it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The rule it falls under.
    pub rule: Arc<Rule>,
    /// The rule's severity, or the one its finder chose for this case.
    pub severity: Severity,
    /// The part that may be shown: a key id.
    pub id: Option<Part<String>>,
    /// The part that may not.
    pub secret: Option<Part<SecretString>>,
    /// Set if this is not a real key.
    pub dummy: Option<Dummy>,
    /// The account it is about, if stated beside the key.
    pub account: Option<AccountId>,
    /// What was observed, as a sentence, if this is not a key; `id` then is who or what it is about.
    pub note: Option<String>,
    /// The profile that an observation is about.
    pub profile: Option<String>,
    /// When an observation holds.
    pub times: Times,
    /// The vendor, if the text names one other than AWS.
    pub vendor: Option<&'static str>,
    /// When it stops working, in seconds since 1970, if the text tells.
    pub expires: Option<i64>,
    /// True if the secret may as well belong to another id nearby.
    pub is_doubtful: bool,
}

impl Candidate {
    /// A candidate that is nothing yet but of a rule.
    fn new(rule: Arc<Rule>) -> Self {
        Self {
            severity: rule.severity,
            rule,
            id: None,
            secret: None,
            dummy: None,
            account: None,
            note: None,
            profile: None,
            times: Times::ALL,
            vendor: None,
            expires: None,
            is_doubtful: false,
        }
    }

    /// Raw bytes of the first part: the id if there is one.
    pub fn primary(&self) -> Range<usize> {
        self.spans().next().unwrap_or(0..0)
    }

    /// Raw bytes of all parts, the id first.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let id = self.id.as_ref().map(|part| part.span.clone());
        id.into_iter().chain(self.secret.as_ref().map(|part| part.span.clone()))
    }
}

/// A value and its location.
#[derive(Debug, Clone)]
pub struct Part<T> {
    /// The decoded value.
    pub value: T,
    /// Raw bytes, as offsets in the blob; for an encoded value, those of the encoded text.
    pub span: Range<usize>,
    /// The encodings it was decoded from, outermost first.
    pub encodings: Vec<Encoding>,
}

/// Everything found in one blob.
#[derive(Debug, Default, Clone)]
pub struct Detection {
    /// By position of the primary part, then rule.
    pub candidates: Vec<Candidate>,
    /// By position.
    pub comments: Vec<Comment>,
    /// Raw bytes of everything that looks like a secret, reported or not: none of it may be shown.
    pub sensitive: Vec<Range<usize>>,
    /// True if something was left out because of a limit, such as [`MAX_TOKENS`].
    pub is_cut: bool,
    /// True if this is a report of keyspill: the ids in it are those of keys that were found elsewhere.
    pub is_own_report: bool,
}

/// Finds what the rules of a set describe.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    prefilter: Arc<Prefilter>,
    now: Option<i64>,
    /// True if observations count that hold at other times.
    keeps_later: bool,
    /// Secrets that are found wherever they stand, without a word about them.
    known: HashSet<Fingerprint>,
    passed_over: PassedOver,
}

/// What looks like a secret and was not reported, as nothing says that it is one.
#[derive(Debug, Default)]
struct PassedOver {
    fingerprints: Mutex<HashSet<Fingerprint>>,
    /// True if there are more than are kept.
    is_cut: AtomicBool,
}

/// The maximum number of values passed over that are kept: some fifty megabytes.
const MAX_PASSED_OVER: usize = 1_000_000;

impl Detector {
    /// A detector for these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            prefilter: Arc::new(Prefilter::new(&rules)),
            rules,
            now: None,
            keeps_later: false,
            known: HashSet::default(),
            passed_over: PassedOver::default(),
        }
    }

    /// The same, which also finds the secrets in `known` wherever they stand, if any of them may have been passed over.
    pub fn knowing(&self, known: HashSet<Fingerprint>) -> Option<Self> {
        let passed_over = self.passed_over.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        let is_cut = self.passed_over.is_cut.load(Ordering::Relaxed);
        let is_needed = is_cut && !known.is_empty() || known.iter().any(|print| passed_over.contains(print));
        is_needed.then(|| Self {
            rules: self.rules.clone(),
            prefilter: self.prefilter.clone(),
            now: self.now,
            keeps_later: self.keeps_later,
            known,
            passed_over: PassedOver::default(),
        })
    }

    fn pass_over(&self, secrets: &[Fingerprint]) {
        if secrets.is_empty() || !self.known.is_empty() {
            return;
        }
        let mut passed_over = self.passed_over.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        if passed_over.len() < MAX_PASSED_OVER {
            passed_over.extend(secrets);
        } else {
            self.passed_over.is_cut.store(true, Ordering::Relaxed);
        }
    }

    /// The same, computing ages up to `now`, in seconds since 1970. Without it, only a text's own date is used.
    #[must_use]
    pub fn at(self, now: i64) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The same, with observations that hold at other times than now.
    #[must_use]
    pub fn keeping_later(self) -> Self {
        Self { keeps_later: true, ..self }
    }

    /// The rules it was made from.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Finds everything that the rules describe in `blob`. `path` (with `/` between its parts) matters only to rules
    /// with a `path` of their own; if it is not known, they apply to any.
    pub fn detect(&self, blob: &[u8], path: Option<&[u8]>) -> Detection {
        match Wide::detect(blob) {
            Some(wide) => self.detect_wide(&WideText::file(blob, wide), path),
            None => self.detect_among(blob, path, &self.prefilter.search(blob)),
        }
    }

    /// What is found in the text of a file in UTF-16 or UTF-32, at its place in the raw bytes.
    fn detect_wide(&self, file: &WideText, path: Option<&[u8]>) -> Detection {
        let text = file.text();
        let mut detection = self.detect_among(text, path, &self.prefilter.search(text));
        for candidate in &mut detection.candidates {
            let id = candidate.id.as_mut().map(|id| (&mut id.span, &mut id.encodings));
            let secret = candidate.secret.as_mut().map(|secret| (&mut secret.span, &mut secret.encodings));
            for (span, encodings) in id.into_iter().chain(secret) {
                *span = file.raw(span.clone());
                encodings.insert(0, file.encoding());
            }
        }
        let comments = detection.comments.iter_mut().map(|comment| &mut comment.span);
        comments.chain(&mut detection.sensitive).for_each(|span| *span = file.raw(span.clone()));
        detection
    }

    /// The first half of [`Self::detect`], for callers with many versions of a text: finds the places worth examining.
    /// With `known`, the places in another version and what it shares with this one, only what is new is searched.
    /// `None` if the text must be decoded first, and so needs [`Self::detect`].
    pub fn prefilter(&self, blob: &[u8], known: Option<(&Hits, impl Iterator<Item = Shared>)>) -> Option<Hits> {
        if Wide::detect(blob).is_some() {
            return None;
        }
        Some(match known {
            Some((hits, shared)) => self.prefilter.search_derived(blob, hits, shared),
            None => self.prefilter.search(blob),
        })
    }

    /// The second half of [`Self::detect`]: examines the places that [`Self::prefilter`] found.
    pub fn detect_among(&self, blob: &[u8], path: Option<&[u8]>, hits: &Hits) -> Detection {
        if hits.is_empty() {
            return Detection::default();
        }
        let blob = &*without_mark(blob);
        let mut tokenizer = Tokenizer::new(&self.rules, &self.prefilter, path, self.now);
        tokenizer.read(blob, hits);
        self.combine(blob, path, tokenizer.finish())
    }

    fn combine(&self, blob: &[u8], path: Option<&[u8]>, mut tokens: Tokens) -> Detection {
        let is_cut = tokens.is_cut;
        if tokens.is_empty() {
            return Detection { is_cut, ..Detection::default() };
        }
        let sensitive = tokens.secrets.iter().map(|token| token.part.span.clone());
        let sensitive = sensitive.chain(tokens.smtp_passwords.iter().map(|token| token.part.span.clone())).collect();
        let mut candidates = std::mem::take(&mut tokens.matches);
        // If the path is not known, a rule for some paths may turn out not to apply, so it hides nothing.
        let is_sure = |candidate: &Candidate| {
            path.is_some() || regex_of(&candidate.rule).is_none_or(|regex| regex.path_source().is_none())
        };
        let mut covered: Vec<Range<usize>> = candidates
            .iter()
            .filter(|candidate| candidate.note.is_none() && rank(&candidate.rule).is_none())
            .filter(|candidate| is_sure(candidate))
            .flat_map(Candidate::spans)
            .collect();
        let is_list = path.is_some_and(lists_known_keys);
        let id_starts: Vec<usize> = tokens.ids.iter().map(|id| id.part.span.start).collect();
        let pairing = pair::pair(blob, tokens, &self.known);
        self.pass_over(&pairing.passed_over);
        for (id, password) in pairing.smtp {
            covered.extend(id.as_ref().map(|id| id.part.span.clone()));
            let id = id.map(|id| id.part);
            candidates.extend(self.candidate(Finder::SesSmtpPassword, None, id, Some(password.part), None));
        }
        for pair::Pair { id, secret, is_doubtful } in pairing.pairs {
            let dummy = id.dummy.and(secret.dummy);
            let imitator = vendor::imitator(blob, &id.part.value, &id.part.span);
            let finder = match imitator {
                Some(_) => Finder::S3CompatibleKey,
                None if id.part.value.starts_with("ASIA") => Finder::TemporaryKey,
                None => Finder::AccessKeyPair,
            };
            let found = self.candidate(finder, None, Some(id.part), Some(secret.part), dummy);
            candidates.extend(found.map(|found| Candidate { is_doubtful, vendor: imitator, ..found }));
        }
        for secret in pairing.lone_secrets {
            candidates.extend(self.lone_secret(blob, secret, &id_starts));
        }
        // An id that is part of something reported by a more specific rule, such as a signed URL, is not reported
        // twice.
        covered.sort_unstable_by_key(|span| span.start);
        let is_covered = |span: &Range<usize>| {
            let before = covered.partition_point(|other| other.start <= span.start);
            before.checked_sub(1).is_some_and(|last| span.end <= covered[last].end)
        };
        for id in pairing.lone_ids.into_iter().filter(|id| !is_covered(&id.part.span)) {
            let imitator = vendor::imitator(blob, &id.part.value, &id.part.span);
            let finder = match imitator {
                Some(_) => Finder::S3CompatibleKey,
                None if id.part.value.starts_with("ASIA") => Finder::TemporaryKey,
                None => Finder::AccessKeyId,
            };
            let is_lasting = id.part.value.starts_with("AKIA") && imitator.is_none();
            let severity = if is_lasting && !is_list { Severity::Warning } else { Severity::Note };
            let found = self.candidate(finder, Some(severity), Some(id.part), None, id.dummy);
            candidates.extend(found.map(|found| Candidate { vendor: imitator, ..found }));
        }
        if !self.keeps_later {
            candidates.retain(|candidate| candidate.times.contain(self.now));
        }
        let mut candidates = most_telling(with_required(blob, candidates), is_sure);
        candidates.sort_by(|a, b| (a.primary().start, &a.rule.id).cmp(&(b.primary().start, &b.rule.id)));
        expiry::note(blob, &mut candidates, self.now);
        let is_own_report = report_heads::is_report(blob.trim_ascii_start(), &|rule| self.rules.knows(rule));
        if is_own_report {
            // Its secrets are masked, unless it was told to show them.
            candidates.retain(|candidate| candidate.secret.is_some() || candidate.note.is_some());
        }
        Detection { candidates, comments: pairing.comments, sensitive, is_cut, is_own_report }
    }

    fn candidate(
        &self,
        finder: Finder,
        severity: Option<Severity>,
        id: Option<Part<String>>,
        secret: Option<Part<SecretString>>,
        dummy: Option<Dummy>,
    ) -> Option<Candidate> {
        let rule = self.rules.of_finder(finder)?.clone();
        let severity = severity.unwrap_or(rule.severity);
        Some(Candidate { severity, id, secret, dummy, ..Candidate::new(rule) })
    }

    /// A secret without an id of AWS's form: AWS's if the text says so or an id is near, else of who knows whom.
    fn lone_secret(&self, blob: &[u8], secret: SecretKey, ids: &[usize]) -> Option<Candidate> {
        let SecretKey { part, context, whose, dummy, .. } = secret;
        let is_named = context == Context::Strong || !self.known.is_empty() && self.known.contains(&pair::print(&part));
        let is_plain = part.encodings.is_empty() && is_named;
        if let Some((span, id)) = is_plain.then(|| key_id::other_near(blob, &part.span)).flatten() {
            let whose = match whose {
                Whose::Other(_) => whose,
                _ => vendor::of_id(blob, &span),
            };
            let is_of_aws = key_id::is_legacy(id.as_bytes()) && whose == Whose::Aws;
            let finder = if is_of_aws { Finder::AccessKeyPair } else { Finder::S3CompatibleKey };
            let dummy = dummy::in_other_id(&id).or(dummy);
            let id = Part { value: id, span, encodings: vec![] };
            let found = self.candidate(finder, None, Some(id), Some(part), dummy)?;
            return Some(Candidate { vendor: whose.vendor(), ..found });
        }
        let after = ids.partition_point(|start| *start < part.span.start);
        let nearest = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|n| ids.get(n));
        let is_near_id = nearest.into_iter().any(|start| start.abs_diff(part.span.start) <= pair::FAR_BYTES);
        let whose = match whose {
            Whose::Aws if is_plain && !is_near_id => key_id::other_owner(blob, &part.span).unwrap_or(whose),
            _ => whose,
        };
        match whose {
            Whose::Unknown if !is_near_id => self.candidate(Finder::SecretKey40, None, None, Some(part), dummy),
            Whose::Other(name) => {
                let found = self.candidate(Finder::SecretKey40, None, None, Some(part), dummy)?;
                Some(Candidate { vendor: Some(name), ..found })
            }
            _ => self.candidate(Finder::SecretAccessKey, None, None, Some(part), dummy),
        }
    }
}

/// True for a file that lists what another scanner shall not report. An id in it without its secret is there so
/// that nobody is alarmed by it; where it comes from is looked at, too.
fn lists_known_keys(path: &[u8]) -> bool {
    const NAMES: [&[u8]; 6] = [
        b".gitleaks.toml",
        b"gitleaks.toml",
        b".gitleaksignore",
        b".betterleaks.toml",
        b".gitallowed",
        b".secrets.baseline",
    ];
    let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
    NAMES.contains(&name)
}

/// How little a rule of another pack than AWS's knows of what it finds; `None` for AWS's and users' own, which are reported
/// whatever else is.
fn rank(rule: &Rule) -> Option<(bool, Form)> {
    let pack = rule.pack.filter(|pack| *pack != AWS)?;
    Some((pack == GENERIC, rule.regex()?.form))
}

/// Candidates without those of gitleaks' rules that need others nearby which were not found, and without these others.
fn with_required(blob: &[u8], mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let gitleaks = |candidate: &Candidate| candidate.rule.regex().is_some_and(|regex| regex.gitleaks.is_some());
    if !candidates.iter().any(gitleaks) {
        return candidates;
    }
    let places: Vec<(String, usize)> =
        candidates.iter().map(|candidate| (candidate.rule.id.to_string(), candidate.primary().start)).collect();
    let column = |at: usize| at - memchr::memrchr(b'\n', &blob[..at]).map_or(0, |newline| newline + 1);
    let is_near = |one: usize, other: usize, lines: Option<usize>, columns: Option<usize>| {
        let between = &blob[one.min(other)..one.max(other)];
        lines.is_none_or(|lines| memchr::memchr_iter(b'\n', between).take(lines + 1).count() <= lines)
            && columns.is_none_or(|columns| column(one).abs_diff(column(other)) <= columns)
    };
    // gitleaks leaves out what its generic rule finds if another one found it, too.
    let is_generic = |candidate: &Candidate| gitleaks(candidate) && candidate.rule.id.as_str().contains("generic");
    let specific: Vec<Range<usize>> = candidates
        .iter()
        .filter(|candidate| gitleaks(candidate) && !is_generic(candidate))
        .map(Candidate::primary)
        .collect();
    candidates.retain(|candidate| {
        let span = candidate.primary();
        if is_generic(candidate) && specific.iter().any(|other| other.start <= span.start && span.end <= other.end) {
            return false;
        }
        let Some(rule) = candidate.rule.regex().and_then(|regex| regex.gitleaks.as_ref()) else { return true };
        let at = candidate.primary().start;
        let has = |wanted: &crate::rule::gitleaks::Required| {
            let of_rule = places.iter().filter(|(id, _)| *id == wanted.id);
            of_rule.into_iter().any(|(_, place)| is_near(at, *place, wanted.within_lines, wanted.within_columns))
        };
        !rule.skip_report && rule.required.iter().all(has)
    });
    candidates
}

/// Candidates without those of other packs that overlap what a rule that knows more has found. A candidate that may yet be
/// dropped hides nothing; nor does one that it may hide.
fn most_telling(candidates: Vec<Candidate>, is_sure: impl Fn(&Candidate) -> bool) -> Vec<Candidate> {
    let (mut others, mut kept): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| rank(&candidate.rule).is_some());
    if others.is_empty() {
        return kept;
    }
    let length = |candidate: &Candidate| candidate.spans().map(|span| span.len()).sum::<usize>();
    others.sort_by(|a, b| {
        rank(&a.rule)
            .cmp(&rank(&b.rule))
            .then_with(|| length(b).cmp(&length(a)))
            .then_with(|| a.rule.id.cmp(&b.rule.id))
    });
    let (mut taken, mut perhaps_taken) = (Spans::default(), Spans::default());
    for key in kept.iter().filter(|candidate| candidate.note.is_none()) {
        let spans = if is_sure(key) { &mut taken } else { &mut perhaps_taken };
        key.spans().for_each(|span| spans.add(span));
    }
    for candidate in others {
        if candidate.spans().any(|span| taken.overlap(&span)) {
            continue;
        }
        let may_be_hidden = !is_sure(&candidate) || candidate.spans().any(|span| perhaps_taken.overlap(&span));
        let spans = if may_be_hidden { &mut perhaps_taken } else { &mut taken };
        candidate.spans().for_each(|span| spans.add(span));
        kept.push(candidate);
    }
    kept
}

/// Parts of a text: their starts and ends. None overlaps another.
#[derive(Default)]
struct Spans(BTreeMap<usize, usize>);

impl Spans {
    fn overlap(&self, span: &Range<usize>) -> bool {
        self.0.range(..span.end).next_back().is_some_and(|(_, end)| *end > span.start)
    }

    fn add(&mut self, mut span: Range<usize>) {
        while let Some((&start, &end)) = self.0.range(..span.end).next_back().filter(|(_, end)| **end > span.start) {
            span = span.start.min(start)..span.end.max(end);
            self.0.remove(&start);
        }
        self.0.insert(span.start, span.end);
    }
}

/// The regex of `rule`, if it matches with one.
fn regex_of(rule: &Rule) -> Option<&crate::rule::RegexMatcher> {
    match &rule.matcher {
        Matcher::Regex(regex) => Some(regex),
        Matcher::Finder(_) => None,
    }
}
