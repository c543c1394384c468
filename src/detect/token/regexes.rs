//! Rules with a regex: where their matches may be, and what is recorded of one.

use super::{AlreadyDecoded, Layered, Tokenizer};
use crate::detect::prefilter::Hits;
use crate::detect::words::{Start, may_begin, may_end};
use crate::detect::{Candidate, dummy, proof, request};
use crate::finding::Dummy;
use crate::rule::gitleaks::Outline;
use crate::rule::program::Program;
use crate::rule::{AWS, Check, Finder, Form, Found, Match, RegexMatcher, Rule, Severity, Shape};
use crate::text::alphabet::{ID_LEN, is_word};
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Maximum length of a token, in bytes.
const MAX_TOKEN: usize = 8192;

/// Maximum length of what a built-in rule may match, in bytes: an RSA key of 16,384 bits is 13,000 bytes long.
const MAX_MATCH: usize = 32 << 10;

impl Tokenizer<'_> {
    /// Applies the rules that are about runs, where a run is that they may be about.
    pub(super) fn read_words<'b>(&mut self, layered: &Layered<'b>, hits: &Hits, decoded: &mut AlreadyDecoded<'b>) {
        let words = self.prefilter.words();
        // Several runs lead to the same match.
        let mut seen = BTreeSet::new();
        for run in &hits.words {
            let mut places = Places::default();
            words.rules(layered.text, run, |rule, place| places.add(rule, place));
            self.read_places(layered, places, &mut seen);
            let encoded = words.encoded(layered.text, run);
            if let Some(inner) = encoded.and_then(|at| decoded.base64(layered.text, at, 0)) {
                self.read_inner(layered, inner);
            }
        }
        for run in &hits.runs {
            let mut places = Places::default();
            words.rules_of_base64(layered.text, run, |rule, place| places.add(rule, place));
            self.read_places(layered, places, &mut seen);
        }
    }

    fn read_places(&mut self, layered: &Layered, places: Places, seen: &mut BTreeSet<(usize, usize, usize)>) {
        let Places { starts, windows } = places;
        let starts = starts.into_iter().map(|(rule, at)| (rule, Start::At(at)));
        let windows = windows.into_iter().map(|(rule, (start, end))| (rule, Start::Within { start, end }));
        for (index, place) in starts.chain(windows) {
            let Some(rule) = self.rules.at(index) else { continue };
            let Some(matcher) = rule.regex() else { continue };
            if self.path.is_some_and(|path| !matcher.covers_path(path)) {
                continue;
            }
            self.read_place(layered, rule, matcher, &place, &mut |whole| seen.insert((index, whole.start, whole.end)));
        }
    }

    /// Applies a rule whose keywords were met, where they were.
    pub(super) fn read_regex(&mut self, layered: &Layered, rule: &Arc<Rule>, matcher: &RegexMatcher, hits: &[usize]) {
        if self.path.is_some_and(|path| !matcher.covers_path(path)) {
            return;
        }
        let length = layered.text.len();
        if matcher.form == Form::Token {
            for &at in hits {
                self.read_place(layered, rule, matcher, &Start::At(at), &mut |_| true);
            }
            return;
        }
        if matcher.shape == Shape::AnyCase {
            if let Some(outline) = matcher.gitleaks.as_ref().and_then(|gitleaks| gitleaks.outline.as_ref()) {
                return self.read_outlined(layered, rule, matcher, outline, hits);
            }
            let whole = Start::Within { start: 0, end: length };
            return self.read_place(layered, rule, matcher, &whole, &mut |_| true);
        }
        let done = match matcher.program() {
            Some(program) => self.read_near(layered, rule, matcher, program, hits),
            None => Some(0),
        };
        if let Some(done) = done {
            self.read_windows(layered, rule, matcher, hits, done);
        }
    }

    /// How many bytes of a match a rule's keyword may be away from: every match contains a keyword.
    fn reach(layered: &Layered, rule: &Rule, matcher: &RegexMatcher) -> usize {
        matcher.max_len().unwrap_or(if rule.pack.is_some() { MAX_MATCH } else { layered.text.len() })
    }

    /// Applies a rule's program where matches with its keywords may start. If that takes too long, the offset from which on
    /// nothing was found yet.
    fn read_near(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        program: &Program,
        hits: &[usize],
    ) -> Option<usize> {
        let length = layered.text.len();
        let reach = Self::reach(layered, rule, matcher);
        let lead = matcher.lead().unwrap_or(reach);
        let mut keywords = Keywords::new(layered.text, rule, matcher);
        let mut done = 0;
        for &at in hits {
            let end = at.saturating_add(reach).saturating_add(1).min(length);
            let mut start = at.saturating_sub(lead).max(done);
            if !keywords.are_in(at.saturating_sub(reach)..end) {
                continue;
            }
            while start <= at {
                match program.find(&layered.text[..end], start, at) {
                    Found::Match(found) => {
                        start = self.read_in_part(layered, rule, matcher, &found.or_secret(), end, &mut |_| true)?;
                    }
                    Found::Nothing => start = at + 1,
                    Found::GaveUp => return Some(start),
                }
            }
            done = start;
        }
        None
    }

    /// Applies a rule's regex from an offset on to the parts of a text where its keywords were met.
    fn read_windows(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        hits: &[usize],
        done: usize,
    ) {
        let length = layered.text.len();
        let mut start = 0;
        let reach = Self::reach(layered, rule, matcher);
        let mut keywords = Keywords::new(layered.text, rule, matcher);
        for (n, &at) in hits.iter().enumerate() {
            let end = at.saturating_add(reach).saturating_add(1).min(length);
            if n == 0 {
                start = at.saturating_sub(reach);
            }
            // Windows that overlap are one.
            if hits.get(n + 1).is_some_and(|next| next.saturating_sub(reach) <= end) {
                continue;
            }
            let mut next = Some(start.max(done)).filter(|_| keywords.are_in(start..end));
            while let Some(start) = next.filter(|start| *start <= end) {
                let found = matcher.find_with_regex(&layered.text[..end], start);
                next = found.and_then(|found| self.read_in_part(layered, rule, matcher, &found, end, &mut |_| true));
            }
            start = hits.get(n + 1).map_or(length, |next| next.saturating_sub(reach).max(end));
        }
    }

    /// Applies a rule where its matches may be.
    fn read_outlined(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        outline: &Outline,
        hits: &[usize],
    ) {
        /// Where matches may be longer than this, in bytes, a search looks further than one place needs: it serves for the
        /// next ones, too.
        const LONG: usize = 1024;
        let length = layered.text.len();
        // What is after the end of a match may be looked at.
        let longest = matcher.max_len().map(|longest| longest + 8);
        // All matches that begin before are known.
        let mut done = 0;
        for &at in hits {
            let last = length.min(at + outline.overlap);
            let reach = longest.map_or(length, |longest| if longest > LONG { 4 * longest } else { longest });
            let end = length.min(last.saturating_add(reach));
            // What begins later may be cut by the end.
            let sure = if end == length { length } else { end - longest.unwrap_or(0) };
            let mut start = at.saturating_sub(outline.lead).max(done);
            while start <= last {
                let mut is_sure = false;
                let mut is_new = |whole: &Range<usize>| {
                    is_sure = whole.start <= sure;
                    is_sure
                };
                let next = self.read_match(layered, rule, matcher, start..end, &mut is_new);
                start = next.filter(|_| is_sure).unwrap_or(sure + 1);
                done = start;
            }
        }
    }

    /// Applies a rule at a place; `is_new` says of a match whether it is the first of it.
    fn read_place(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        place: &Start,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) {
        match *place {
            Start::At(at) => {
                let end = layered.text.len().min(at + MAX_TOKEN);
                if let Some(found) = matcher.find_at(&layered.text[at..end], 0) {
                    self.read_found(layered, rule, matcher, &found.after(at), is_new);
                }
            }
            Start::Within { mut start, end } => {
                while start <= end
                    && let Some(next) = self.read_match(layered, rule, matcher, start..end, is_new)
                {
                    start = next;
                }
            }
        }
    }

    /// Applies a rule to a part of a text, once. Where to go on, if it matched and there is room for more.
    fn read_match(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        part: Range<usize>,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        // It may look at what is before the part, and the end of the part is not the end of the text.
        let found = matcher.find_at(&layered.text[..part.end], part.start)?;
        self.read_in_part(layered, rule, matcher, &found, part.end, is_new)
    }

    /// Records what a rule has found in a text that was cut at `end`, as [`Self::read_found`] does.
    fn read_in_part(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        found: &Match,
        end: usize,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        let is_cut = found.whole.end == end && end < layered.text.len();
        self.read_found(layered, rule, matcher, found, &mut |whole| !is_cut && is_new(whole))
    }

    /// Records what a rule has found, if it stands alone. Where to go on, if there is room for more.
    fn read_found(
        &mut self,
        layered: &Layered,
        rule: &Arc<Rule>,
        matcher: &RegexMatcher,
        found: &Match,
        is_new: &mut dyn FnMut(&Range<usize>) -> bool,
    ) -> Option<usize> {
        let Match { whole, secret, .. } = found;
        let is_of_length = rule.pack.is_none() || whole.len() <= MAX_MATCH;
        let is_whole = is_of_length && stands_alone(layered.text, rule, matcher, secret.as_ref().unwrap_or(whole));
        if is_whole && is_new(whole) {
            if !self.tokens.has_room() {
                return None;
            }
            self.push_match(layered, rule, matcher, found);
        }
        // What ends one match may begin another.
        let end_of_secret = secret.as_ref().map_or(whole.end, |secret| secret.end);
        Some(if is_whole { end_of_secret.max(whole.start + 1) } else { whole.start + 1 })
    }

    /// Records a match of a rule, unless its own characters rule it out.
    fn push_match(&mut self, layered: &Layered, rule: &Arc<Rule>, matcher: &RegexMatcher, found: &Match) {
        let Match { whole, id, secret, host } = found;
        let of = |range: &Range<usize>| &layered.text[range.clone()];
        if let (Some(gitleaks), Some(secret)) = (&matcher.gitleaks, secret) {
            let has_keyword = gitleaks.has_keyword(of(whole)) || layered.has_keyword(rule, gitleaks);
            if has_keyword && gitleaks.reports(self.path, layered.text, whole, of(secret)) {
                let text = String::from_utf8_lossy(of(secret)).into_owned();
                let secret = Some(layered.part(SecretString::from(text), secret.clone()));
                self.tokens.matches.push(Candidate { secret, ..Candidate::new(rule.clone()) });
            }
            return;
        }
        let texts = || id.iter().chain(secret).map(of);
        if texts().any(|text| dummy::entropy(text) < matcher.min_entropy || dummy::is_name(text)) {
            return;
        }
        let proof = match (matcher.check, secret) {
            (Some(check), Some(secret)) => match proof::of(check, of(secret), host.as_ref().map(of), of(whole)) {
                Some(proof) => Some(proof),
                None => return,
            },
            _ => None,
        };
        let is_example = texts().any(dummy::is_documented);
        let in_id = id.as_ref().filter(|id| id.len() == ID_LEN).and_then(|id| dummy::in_key_id(of(id)));
        let in_token = secret
            .as_ref()
            .filter(|_| may_be_placeholder(rule, matcher))
            .and_then(|secret| dummy::in_token(&of(secret)[matcher.shape.fixed(of(secret))..]));
        let text = |range: &Range<usize>| String::from_utf8_lossy(of(range)).into_owned();
        let request = id.as_ref().filter(|_| matcher.is_signed_request).map(|id| request::judge(layered.text, id));
        let is_of_others = request.as_ref().is_some_and(|request| !request.is_of_aws);
        let of_others = || self.rules.of_finder(Finder::S3CompatibleKey);
        let Some(rule) = (if is_of_others { of_others() } else { Some(rule) }) else { return };
        let of_token = || request::expiry_of_token(layered.text, secret.as_ref()?);
        let expires = request
            .as_ref()
            .and_then(|request| request.expires)
            .or_else(of_token)
            .or(proof.and_then(|proof| proof.expires));
        let has_expired = expires.zip(self.now).is_some_and(|(expires, now)| expires < now);
        let is_locked = proof.is_some_and(|proof| proof.is_locked);
        self.tokens.matches.push(Candidate {
            severity: if has_expired || is_locked { Severity::Note } else { rule.severity },
            id: id.as_ref().map(|range| layered.part(text(range), range.clone())),
            secret: secret.as_ref().map(|range| layered.part(SecretString::from(text(range)), range.clone())),
            dummy: in_id.or(in_token).or(is_example.then_some(Dummy::Documented)),
            vendor: request.and_then(|request| request.vendor),
            expires,
            account: proof.and_then(|proof| proof.account),
            ..Candidate::new(rule.clone())
        });
    }
}

/// Where rules may match around one run; a rule's windows are one.
#[derive(Default)]
struct Places {
    starts: BTreeSet<(usize, usize)>,
    windows: BTreeMap<usize, (usize, usize)>,
}

impl Places {
    fn add(&mut self, rule: usize, place: Start) {
        match place {
            Start::At(at) => _ = self.starts.insert((rule, at)),
            Start::Within { start, end } => {
                let window = self.windows.entry(rule).or_insert((start, end));
                *window = (window.0.min(start), window.1.max(end));
            }
        }
    }
}

/// True if what a rule finds is short enough that chance does not make it look like a placeholder. Users' own rules decide
/// themselves, AWS's rules know better.
fn may_be_placeholder(rule: &Rule, matcher: &RegexMatcher) -> bool {
    let is_long = matches!(matcher.check, Some(Check::PemKey | Check::Jwt));
    !is_long && (matcher.form != Form::Any || rule.pack.is_some_and(|pack| pack != AWS))
}

/// The keywords of a rule about URLs, whose hits are the ends of users: where they are, as far as that was asked.
struct Keywords<'a> {
    text: &'a [u8],
    /// None if it need not be asked: the hits are keywords, or there are none.
    words: Vec<Keyword<'a>>,
}

struct Keyword<'a> {
    word: &'a [u8],
    /// Before this there is none but those that were passed.
    next: usize,
    /// True if there is one at `next`.
    is_there: bool,
}

impl<'a> Keywords<'a> {
    fn new(text: &'a [u8], rule: &'a Rule, matcher: &RegexMatcher) -> Self {
        let is_asked = matches!(matcher.shape, Shape::Url { .. });
        let words = rule.keywords.iter().filter(|_| is_asked);
        let words = words.map(|word| Keyword { word: word.as_bytes(), next: 0, is_there: false });
        Self { text, words: words.collect() }
    }

    /// True if one is in a part of the text; parts are asked for in order. Each byte is looked at once.
    fn are_in(&mut self, part: Range<usize>) -> bool {
        let text = self.text;
        let is_in = |keyword: &mut Keyword| {
            let from = keyword.next.max(part.start);
            if !(keyword.is_there && keyword.next >= part.start) {
                let found = text.get(from..part.end).and_then(|rest| memchr::memmem::find(rest, keyword.word));
                keyword.is_there = found.is_some();
                keyword.next =
                    found.map_or_else(|| from.max((part.end + 1).saturating_sub(keyword.word.len())), |at| from + at);
            }
            keyword.is_there && keyword.next + keyword.word.len() <= part.end
        };
        self.words.is_empty() || self.words.iter_mut().any(is_in)
    }
}

/// True for the last word of a file that is stored in a ZIP archive, if it ends without a newline: what follows it begins
/// with `PK` (APPNOTE.TXT, 4.3). It is found in the file itself, without that.
fn ends_in_zip_header(text: &[u8], secret: &Range<usize>) -> bool {
    let after = text.get(secret.end..secret.end + 2);
    text[secret.clone()].ends_with(b"PK") && matches!(after, Some([1, 2] | [3, 4] | [5, 6] | [7, 8]))
}

/// True if a match is not part of something longer, and an assigned value looks like a key and not like a name.
fn stands_alone(text: &[u8], rule: &Rule, matcher: &RegexMatcher, secret: &Range<usize>) -> bool {
    let has_digit = || text[secret.clone()].iter().any(u8::is_ascii_digit);
    match matcher.form {
        Form::Token => {
            let starts_word = text.get(secret.start).is_some_and(|&byte| is_word(byte));
            let is_whole = (!starts_word || may_begin(text, secret.start)) && may_end(text, secret.end);
            is_whole && !ends_in_zip_header(text, secret)
        }
        Form::Assigned => may_end(text, secret.end) && has_digit(),
        Form::Any => rule.pack.is_none() || !matches!(matcher.shape, Shape::Before { .. }) || has_digit(),
    }
}
